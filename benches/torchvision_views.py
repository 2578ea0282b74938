"""Times the same views as `patchlight bench loader` with torchvision and Pillow, on one core.

    python -m venv /tmp/views && /tmp/views/bin/pip install pillow torch torchvision
    /tmp/views/bin/python benches/torchvision_views.py [--locals 10] [--seconds 5]

Prints microseconds a picture for every stage, and pictures a second. Without torchvision the same
Pillow calls that torchvision makes are made directly (and numpy normalises), which leaves out
torchvision's own overhead: a lower bound of its time. Pictures are drawn by the same formula.
"""

import argparse
import io
import math
import random
import time

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

try:
    import torch
    import torchvision
    from torchvision.transforms import functional as F

    torch.set_num_threads(1)
except ImportError:
    torchvision = None
try:
    import numpy
except ImportError:
    numpy = None

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STAGES = ("decode", "crop + resize", "colour jitter", "blur", "solarise", "normalise")
PICTURES = 16


def synthetic(width, height, number):
    """The picture of src/data/bench.rs: shading, edges and some noise."""
    state, values = number + 1, bytearray()
    for y in range(height):
        for x in range(width):
            state = (state * 1664525 + 1013904223) % 2**32
            edge = 60 if (x // 40 + y // 30 + number) % 3 == 0 else 0
            u, v = x * 0.02, y * 0.03 + number
            for channel in range(3):
                wave = math.sin(u + channel) * math.cos(v - channel)
                values.append(int(90 + 60 * wave + edge + (state >> 27)))
    return Image.frombytes("RGB", (width, height), bytes(values))


def region(width, height, scale, draw):
    """The rectangle of a random resized crop: left, top, width, height."""
    for _ in range(10):
        area = width * height * draw.uniform(*scale)
        aspect = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return draw.randint(0, width - w), draw.randint(0, height - h), w, h
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def crop_and_flip(image, size, scale, draw):
    left, top, w, h = region(*image.size, scale, draw)
    flip = draw.random() < 0.5
    if torchvision:
        mode = F.InterpolationMode.BICUBIC
        image = F.resized_crop(image, top, left, h, w, [size, size], mode)
        return F.hflip(image) if flip else image
    image = image.crop((left, top, left + w, top + h)).resize((size, size), Image.BICUBIC)
    return image.transpose(Image.FLIP_LEFT_RIGHT) if flip else image


def shift_hue(image, turns):
    h, s, v = image.convert("HSV").split()
    shift = int(turns * 255)
    return Image.merge("HSV", (h.point([(i + shift) % 256 for i in range(256)]), s, v)).convert("RGB")


def jitter(image, draw):
    if draw.random() < 0.8:
        enhance = {
            "brightness": lambda i, f: ImageEnhance.Brightness(i).enhance(f),
            "contrast": lambda i, f: ImageEnhance.Contrast(i).enhance(f),
            "saturation": lambda i, f: ImageEnhance.Color(i).enhance(f),
            "hue": shift_hue,
        }
        if torchvision:
            enhance = {name: getattr(F, "adjust_" + name) for name in enhance}
        factors = {
            "brightness": draw.uniform(0.6, 1.4),
            "contrast": draw.uniform(0.6, 1.4),
            "saturation": draw.uniform(0.8, 1.2),
            "hue": draw.uniform(-0.1, 0.1),
        }
        names = list(factors)
        draw.shuffle(names)
        for name in names:
            image = enhance[name](image, factors[name])
    if draw.random() < 0.2:
        if torchvision:
            return F.rgb_to_grayscale(image, num_output_channels=3)
        grey = image.convert("L")
        image = Image.merge("RGB", (grey, grey, grey))
    return image


def normalise(image):
    if torchvision:
        return F.normalize(F.to_tensor(image), MEAN, STD)
    if numpy is None:
        return None
    values = numpy.asarray(image).transpose(2, 0, 1).astype(numpy.float32) / numpy.float32(255)
    mean = numpy.array(MEAN, numpy.float32)[:, None, None]
    return (values - mean) / numpy.array(STD, numpy.float32)[:, None, None]


def views(source, crops, times, draw):
    """One picture through all stages; seconds are added to `times`."""

    def lap():
        nonlocal began
        now = time.perf_counter()
        seconds, began = now - began, now
        return seconds

    began = time.perf_counter()
    image = Image.open(io.BytesIO(source)).convert("RGB") if isinstance(source, bytes) else source
    times["decode"] += lap()
    for size, scale, blur, solarise in crops:
        crop = crop_and_flip(image, size, scale, draw)
        times["crop + resize"] += lap()
        crop = jitter(crop, draw)
        times["colour jitter"] += lap()
        if draw.random() < blur:
            crop = crop.filter(ImageFilter.GaussianBlur(radius=draw.uniform(0.1, 2.0)))
        times["blur"] += lap()
        if draw.random() < solarise:
            crop = ImageOps.solarize(crop)
        times["solarise"] += lap()
        normalise(crop)
        times["normalise"] += lap()


def bench(name, sources, crops, seconds):
    draw = random.Random(0)
    for source in sources:
        views(source, crops, dict.fromkeys(STAGES, 0.0), draw)
    times, count, began = dict.fromkeys(STAGES, 0.0), 0, time.perf_counter()
    while time.perf_counter() - began < seconds or count < len(sources):
        views(sources[count % len(sources)], crops, times, draw)
        count += 1
    print(f"{name}: {count / sum(times.values()):.1f} images/s on one core")
    for stage in STAGES:
        print(f"    {stage:14} {times[stage] / count * 1e6:9.1f} us")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--locals", type=int, default=0, help="local crops of a JPEG")
    parser.add_argument("--seconds", type=float, default=5, help="time for each table")
    options = parser.parse_args()
    made_by = f"torchvision {torchvision.__version__}" if torchvision else "no torchvision"
    print(f"Pillow {Image.__version__}, {made_by}")
    if not torchvision and numpy is None:
        print("neither torchvision nor numpy: normalising is left out")

    jpegs = []
    for number in range(PICTURES):
        buffer = io.BytesIO()
        synthetic(500, 375, number).save(buffer, "JPEG", quality=90)
        jpegs.append(buffer.getvalue())
    crops = [(224, (0.14, 1.0), 1.0, 0.0), (224, (0.14, 1.0), 0.1, 0.2)]
    crops += [(96, (0.05, 0.4), 0.5, 0.0)] * options.locals
    bench(f"JPEG 500x375, 2 of 224, {options.locals} of 96", jpegs, crops, options.seconds)
    small = [synthetic(32, 32, number) for number in range(PICTURES)]
    crops = [(32, scale, blur, solarise) for _, scale, blur, solarise in crops[:2]]
    bench("32x32, 2 of 32", small, crops, options.seconds)


if __name__ == "__main__":
    main()
