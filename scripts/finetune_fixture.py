"""Writes what Pillow makes of small pictures, for the tests of RandAugment's operations.

usage: finetune_fixture.py tests/fixtures/finetune/operations.safetensors
needs: pillow (made with 13.0), numpy, safetensors

Tensors: "picture N", uint8 [height, width, 3], and for each result "N operation argument".
"""

import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from safetensors.numpy import save_file

FILL = (124, 116, 104)
AFFINE, BICUBIC = Image.Transform.AFFINE, Image.Resampling.BICUBIC


def affine(*matrix):
    return lambda p: p.transform(p.size, AFFINE, matrix, resample=BICUBIC, fillcolor=FILL)


def enhance(kind):
    return lambda factor: lambda p: kind(p).enhance(factor)


def posterise(bits):
    # Pillow 13 refuses 0 bits; black is what masking off every bit leaves.
    return lambda p: ImageOps.posterize(p, bits) if bits else Image.new("RGB", p.size)


OPERATIONS = {
    "autocontrast": (lambda _: ImageOps.autocontrast, [0]),
    "equalise": (lambda _: ImageOps.equalize, [0]),
    "invert": (lambda _: ImageOps.invert, [0]),
    "rotate": (lambda d: lambda p: p.rotate(d, resample=BICUBIC, fillcolor=FILL), [27.0, -26.3, 0.0]),
    "posterise": (posterise, [0, 1, 3]),
    "solarise": (lambda t: lambda p: ImageOps.solarize(p, t), [26]),
    "solarise_add": (lambda a: lambda p: p.point([min(255, i + a) if i < 128 else i for i in range(256)] * 3), [99]),
    "saturation": (enhance(ImageEnhance.Color), [0.19, 1.81]),
    "contrast": (enhance(ImageEnhance.Contrast), [0.19, 1.81]),
    "brightness": (enhance(ImageEnhance.Brightness), [0.19, 1.81]),
    "sharpness": (enhance(ImageEnhance.Sharpness), [0.19, 1.81]),
    "shear_x": (lambda f: affine(1, f, 0, 0, 1, 0), [0.27, -0.251]),
    "shear_y": (lambda f: affine(1, 0, 0, f, 1, 0), [0.27, -0.251]),
    "translate_x": (lambda s: lambda p: affine(1, 0, s * p.width, 0, 1, 0)(p), [0.405, -0.377]),
    "translate_y": (lambda s: lambda p: affine(1, 0, 0, 0, 1, s * p.height)(p), [0.405, -0.377]),
}


def synthetic(width, height, low, high):
    """Slopes, an edge, noise and a flat corner; each channel spans its own part of low..high."""
    noise = np.random.default_rng(width).normal(0, 6, (height, width, 3))
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 5 + y / 9), np.cos(x / 3 - y / 6), np.sin((x * y) / 60)]
    values = np.stack(waves, -1) * 0.5 + 0.5 + 0.3 * ((x > y)[..., None])
    values = low + (high - low) * values / 1.3 * np.array([1.0, 0.8, 0.6]) + noise
    values[: height // 4, : width // 4] = 77
    return np.clip(np.rint(values), low, high).astype(np.uint8)


def main():
    pictures = [synthetic(32, 32, 20, 230), synthetic(45, 37, 0, 255)]
    tensors = {}
    for number, picture in enumerate(pictures):
        tensors[f"picture {number}"] = picture
        for name, (make, arguments) in OPERATIONS.items():
            for argument in arguments:
                result = make(argument)(Image.fromarray(picture))
                tensors[f"{number} {name} {argument}"] = np.ascontiguousarray(result)
    save_file(tensors, sys.argv[1])


main()
