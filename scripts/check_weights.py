"""Checks what patchlight writes against other programs: exported weights go into timm's models, exported networks
into onnxruntime, and the tokens of both must be those that patchlight itself writes for the same picture.

usage: check_weights.py PATCHLIGHT FILE [FILE ...]     (weight files, runs' folders, or demo)
needs: torch, timm, numpy<2 with older torch, onnx, onnxruntime, safetensors, pillow
"""

import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORM = functools.partial(torch.nn.LayerNorm, eps=1e-6)


def patchlight(*arguments):
    done = subprocess.run([sys.argv[1], *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"patchlight {arguments[0]}: {done.stderr}")
    return done.stdout


def sizes(text, pattern):
    return [int(n) for n in re.findall(r"\d+", re.search(pattern, text).group(1))]


def model(about, weights, size):
    """timm's model of the architecture that `inspect` prints."""
    line = next(line for line in about.splitlines() if "blocks of width" in line)
    patch = sizes(line, r"patches of (\d+)")[0]
    if "Swin:" in line:
        return timm.models.SwinTransformer(
            img_size=size,
            patch_size=patch,
            embed_dim=sizes(line, r"blocks of width (\d+)")[0],
            depths=sizes(line, r"Swin: \[(.*?)\] blocks"),
            num_heads=sizes(line, r"up, \[(.*?)\] heads"),
            window_size=sizes(line, r"windows of (\d+)")[0],
            norm_layer=NORM,
            num_classes=0,
        )
    dim = sizes(line, r"width (\d+)")[0]
    return timm.models.VisionTransformer(
        img_size=size,
        patch_size=patch,
        embed_dim=dim,
        depth=sizes(line, r"(\d+) blocks")[0],
        num_heads=sizes(line, r"(\d+) heads")[0],
        mlp_ratio=weights["blocks.0.mlp.fc1.weight"].shape[0] / dim,
        qkv_bias="blocks.0.attn.qkv.bias" in weights,
        init_values=1.0 if "blocks.0.ls1.gamma" in weights else None,
        reg_tokens=weights["reg_token"].shape[1] if "reg_token" in weights else 0,
        no_embed_class="reg_token" in weights,
        dynamic_img_size=True,
        norm_layer=NORM,
        num_classes=0,
    )


def normalised(picture):
    planes = torch.tensor(picture).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return ((planes - mean) / std).float()


def seen(file, folder, size):
    """A picture of exactly `size` pixels, which is not resampled, and what patchlight's network says of it."""
    y, x = np.mgrid[0:size, 0:size] / size
    rng = np.random.default_rng(size)
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * y * x), np.sin(20 * (x - 0.5) ** 2)]
    picture = np.stack(waves, -1) * 90 + 128 + rng.normal(0, 20, (size, size, 3))
    picture = picture.clip(0, 255).astype(np.uint8)
    (folder / f"{size}").mkdir()
    Image.fromarray(picture).save(folder / f"{size}" / "one.png")
    out = folder / f"{size}.npy"
    patchlight(
        "features", file, folder / f"{size}", "--size", size, "--patches", "--no-cache", "--device", "cpu",
        "--out", out,
    )  # fmt: skip
    patches = np.load(out.with_name(f"{size}-patches.npy"))
    return normalised(picture), np.concatenate([np.load(out)[:, None], patches], 1)


def report(file, what, tokens, ours):
    deviation = np.abs(tokens - ours).max()
    print(f"{file}: {what}: {tokens.shape[1]} tokens of {tokens.shape[2]}, deviation {deviation:.1e} of {np.abs(ours).max():.1f}")
    if not deviation < 1e-4:
        sys.exit(f"{file}: {what} computes other tokens")


def check(file, folder):
    about = patchlight("inspect", file)
    size = sizes(about, r"(?:\(|made for )(\d+) px")[0]
    swin = "Swin:" in about
    exported = folder / "timm.safetensors"
    patchlight("export", file, exported, "--names", "timm")
    patchlight("export", file, folder / "reference.safetensors")
    image, ours = seen(file, folder, size)
    weights = load_file(exported)
    network = model(about, weights, size).eval()
    network.load_state_dict(weights, strict=True)
    with torch.no_grad():
        tokens = network.forward_features(image)
    if swin:  # a map; its average stands for the class token
        tokens = tokens.flatten(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
    registers = weights["reg_token"].shape[1] if "reg_token" in weights else 0
    without = lambda tokens: np.concatenate([tokens[:, :1], tokens[:, 1 + registers :]], 1)
    report(file, "timm", without(tokens.numpy()), ours)
    # What was written is read back as it was.
    again = folder / "again.safetensors"
    for written in (exported, folder / "reference.safetensors"):
        heads = [] if swin else ["--heads", sizes(about, r"(\d+) heads")[0]]
        patchlight("export", written, again, "--names", "timm", *heads)
        back = load_file(again)
        same = back.keys() == weights.keys() and all(torch.equal(back[k], weights[k]) for k in weights)
        if not same:
            sys.exit(f"{file}: {written.name} is not read back as it was written")
    # A Swin transformer takes the size that it was exported for; a ViT any.
    step = sizes(about, r"patches of (\d+)")[0] * (2 ** (len(sizes(about, r"Swin: \[(.*?)\]")) - 1) if swin else 1)
    for side in (size, size // 2 // step * step + step):
        graph = folder / f"{side}.onnx"
        patchlight("export", file, graph, "--size", side)
        onnx.checker.check_model(str(graph), full_check=True)
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        image, ours = (image, ours) if side == size else seen(file, folder, side)
        if registers and side != size:  # resampled positions: antialiased in timm as in DINOv2's networks with registers
            with torch.no_grad():
                tokens = network.forward_features(image)
            report(file, f"timm at {side} px", without(tokens.numpy()), ours)
        (tokens,) = session.run(["tokens"], {"image": image.numpy()})
        report(file, f"onnxruntime at {side} px", without(tokens), ours)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for name in sys.argv[2:]:
        with tempfile.TemporaryDirectory() as place:
            check(name, Path(place))
