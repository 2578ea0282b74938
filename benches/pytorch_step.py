"""Times one iBOT training step in plain PyTorch, to lay beside `patchlight bench step`.

    python -m venv /tmp/pytorch && /tmp/pytorch/bin/pip install torch==2.5.1 numpy
    /tmp/pytorch/bin/python benches/pytorch_step.py a|b [--steps 7] [--threads 2] [--sdpa]

Same sizes, networks and work as `patchlight bench step`, float32 on the CPU, but computed as the
reference implementation does: every token of every view goes through the head and its prototypes,
and the patch loss is taken over all patches and then masked. Attention is an explicit softmax
unless --sdpa asks for PyTorch's fused one. There is no DistributedDataParallel around it, which
can only make it faster. Pixels are noise made before the clock starts; masks hide the same share
of patches as patchlight's but single ones, as their places do not change the work here.

Prints seconds a step (median, least, most), pictures a second, the mean seconds of each phase, and
the peak resident memory. One size a process, so that the memory is that size's own.
"""

import argparse
import copy
import statistics
import sys
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, BOTTLENECK, PROTOTYPES = 2048, 256, 8192
DROP_PATH, CLIP, TEACHER_MOMENTUM, CENTRE_MOMENTUM = 0.1, 3.0, 0.996, 0.9
STUDENT_TEMP, TEACHER_TEMP = 0.1, 0.04
LR_PER_256, WEIGHT_DECAY = 5e-4, 0.04


@dataclass(frozen=True)
class Size:
    """A named size of a step: the table of src/session/bench.rs."""

    dim: int
    heads: int
    patch: int
    side: int
    local_side: int
    locals: int
    batch: int
    depth: int = 12
    globals: int = 2


SIZES = {
    "a": Size(dim=192, heads=3, patch=4, side=32, local_side=0, locals=0, batch=32),
    "b": Size(dim=384, heads=6, patch=16, side=224, local_side=96, locals=2, batch=4),
}


class Attention(nn.Module):
    def __init__(self, dim, heads, fused):
        super().__init__()
        self.heads, self.fused = heads, fused
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        images, tokens, dim = x.shape
        qkv = self.qkv(x).view(images, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v)
        else:
            x = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(images, tokens, dim))


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block with stochastic depth, drawn for every image and branch."""

    def __init__(self, dim, heads, drop, fused):
        super().__init__()
        self.drop = drop
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = Attention(dim, heads, fused), Mlp(dim)

    def skip(self, branch):
        if self.drop == 0.0:
            return branch
        keep = 1.0 - self.drop
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep).div_(keep)

    def forward(self, x):
        x = x + self.skip(self.attn(self.norm1(x)))
        return x + self.skip(self.mlp(self.norm2(x)))


class Vit(nn.Module):
    """Images [B, 3, H, W] to normed tokens [B, 1 + N, dim]; mask [B, N] says which to hide."""

    def __init__(self, size, drop_path=0.0, mask_token=False, fused=False):
        super().__init__()
        self.grid = size.side // size.patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, size.dim))
        self.masked_embed = nn.Parameter(torch.zeros(1, size.dim)) if mask_token else None
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, size.dim, size.patch, stride=size.patch)
        rates = [drop_path * i / (size.depth - 1) for i in range(size.depth)]
        self.blocks = nn.ModuleList(Block(size.dim, size.heads, r, fused) for r in rates)
        self.norm = nn.LayerNorm(size.dim, eps=1e-6)
        for table in (self.cls_token, self.pos_embed):
            nn.init.trunc_normal_(table, std=0.02)
        self.apply(init_linear)

    def positions(self, rows, columns):
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        table = self.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (self.grid, self.grid))
        # The reference resamples by (side + 0.1) / grid, which shifts the values a little.
        scale = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        table = F.interpolate(table, scale_factor=scale, mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], table.flatten(2).transpose(1, 2)], dim=1)

    def forward(self, images, mask=None):
        x = self.patch_embed.proj(images)
        rows, columns = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        if mask is not None:
            x = torch.where(mask.unsqueeze(-1), self.masked_embed, x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        x = x + self.positions(rows, columns)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Prototypes(nn.Module):
    """Weight-normalised linear layer without bias: row k is g_k v_k / |v_k|."""

    def __init__(self, width, count):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(count, 1))
        self.weight_v = nn.Parameter(torch.empty(count, width).uniform_(-1, 1) / width**0.5)

    def forward(self, x):
        lengths = self.weight_v.norm(dim=1, keepdim=True)
        return F.linear(x, self.weight_v * (self.weight_g / lengths))


class Head(nn.Module):
    """Tokens [B, 1 + N, dim] to logits of the class token [B, K] and of all patches [B, N, K]."""

    def __init__(self, dim, hidden=HIDDEN, bottleneck=BOTTLENECK, prototypes=PROTOTYPES):
        super().__init__()
        layers = [nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()]
        self.mlp = nn.Sequential(*layers, nn.Linear(hidden, bottleneck))
        self.last_layer = Prototypes(bottleneck, prototypes)
        self.apply(init_linear)

    def forward(self, tokens):
        logits = self.last_layer(F.normalize(self.mlp(tokens), dim=-1))
        return logits[:, 0], logits[:, 1:]


class Network(nn.Module):
    def __init__(self, backbone, head):
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images, mask=None):
        return self.head(self.backbone(images, mask))


def init_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class Objective:
    """iBOT's loss and its centres."""

    def __init__(self, prototypes=PROTOTYPES):
        self.centre, self.patch_centre = torch.zeros(prototypes), torch.zeros(prototypes)

    def __call__(self, student, teacher, masks, views, temps=(TEACHER_TEMP, TEACHER_TEMP)):
        """Loss of logits (class, patch), views one after another; `views` = (globals, all views).

        The class token must agree across views, a masked patch with itself in the same view; an
        image without a mask counts as 0. The centres move on after use.
        """
        (s_class, s_patch), (t_class, t_patch) = student, teacher
        crops, all_views = views
        p_class = ((t_class - self.centre) / temps[0]).softmax(dim=-1).chunk(crops)
        p_patch = ((t_patch - self.patch_centre) / temps[1]).softmax(dim=-1).chunk(crops)
        log_class = (s_class / STUDENT_TEMP).log_softmax(dim=-1).chunk(all_views)
        s_patch, masks = s_patch.chunk(crops), masks.chunk(crops)
        class_loss = patch_loss = 0.0
        for q in range(crops):
            for v in range(all_views):
                if v != q:
                    class_loss = class_loss - (p_class[q] * log_class[v]).sum(dim=-1).mean()
            log_patch = (s_patch[q] / STUDENT_TEMP).log_softmax(dim=-1)
            entropies, mask = -(p_patch[q] * log_patch).sum(dim=-1), masks[q].float()
            per_image = (entropies * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
            patch_loss = patch_loss + per_image.mean()
        self.centre.lerp_(t_class.mean(dim=0), 1 - CENTRE_MOMENTUM)
        self.patch_centre.lerp_(t_patch.mean(dim=(0, 1)), 1 - CENTRE_MOMENTUM)
        return class_loss / (crops * (all_views - 1)) + patch_loss / crops


class Trainer:
    def __init__(self, student, teacher, batch, crops, prototypes=PROTOTYPES):
        self.student, self.teacher, self.crops = student, teacher, crops
        teacher.load_state_dict(student.state_dict(), strict=False)
        teacher.requires_grad_(False)
        self.objective = Objective(prototypes)
        names = list(student.named_parameters())
        decayed = [p for name, p in names if p.dim() > 1 and not name.endswith(".bias")]
        plain = [p for name, p in names if p.dim() <= 1 or name.endswith(".bias")]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed}, {"params": plain, "weight_decay": 0.0}],
            lr=LR_PER_256 * batch / 256,
            weight_decay=WEIGHT_DECAY,
            foreach=True,
        )
        mine = dict(student.named_parameters())
        self.followers = [(p, mine[name]) for name, p in teacher.named_parameters()]
        self.laps = {}

    def lap(self, name, since):
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - since
        return now

    def step(self, images, locals_, masks, momentum=TEACHER_MOMENTUM, **loss):
        """One step on views [crops * B, 3, H, W], locals likewise or None, masks [crops * B, N]."""
        now = time.perf_counter()
        with torch.no_grad():
            teacher = self.teacher(images)
        now = self.lap("teacher", now)

        s_class, s_patch = self.student(images, masks)
        all_views = self.crops
        if locals_ is not None:
            all_views += len(locals_) * self.crops // len(images)
            s_class = torch.cat([s_class, self.student(locals_)[0]])
        total = self.objective((s_class, s_patch), teacher, masks, (self.crops, all_views), **loss)
        value = total.item()
        if value != value:
            sys.exit("the loss is not a number")
        now = self.lap("student", now)

        self.optimizer.zero_grad()
        total.backward()
        now = self.lap("backward", now)

        for parameter in self.student.parameters():
            if parameter.grad is not None:
                scale = CLIP / (parameter.grad.norm() + 1e-6)
                if scale < 1:
                    parameter.grad.mul_(scale)
        self.optimizer.step()
        now = self.lap("optimizer", now)

        with torch.no_grad():
            for teachers, students in self.followers:
                teachers.lerp_(students, 1 - momentum)
        self.lap("teacher average", now)
        return value


def draw_masks(images, patches):
    """Half of the views whole, of the others 10 to 50 % of the patches hidden."""
    share = torch.empty(images, 1).uniform_(0.1, 0.5) * torch.randint(0, 2, (images, 1))
    return torch.rand(images, patches).argsort(dim=1) < (share * patches).floor()


def peak_memory():
    """Peak resident memory of this process in GiB, where the system tells."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def bench(size, steps, warm_up, fused):
    """Seconds of every counted step, and mean seconds of each phase."""
    student = Network(Vit(size, DROP_PATH, mask_token=True, fused=fused), Head(size.dim))
    teacher = Network(Vit(size, fused=fused), Head(size.dim))
    trainer = Trainer(student, teacher, size.batch, size.globals)
    crops, patches = size.globals * size.batch, (size.side // size.patch) ** 2
    locals_ = None
    if size.locals:
        locals_ = torch.randn(size.locals * size.batch, 3, size.local_side, size.local_side)
    images = torch.randn(crops, 3, size.side, size.side)
    seconds = []
    for step in range(warm_up + steps):
        if step == warm_up:
            trainer.laps = {}
        masks = draw_masks(crops, patches)
        begun = time.perf_counter()
        value = trainer.step(images, locals_, masks)
        took = time.perf_counter() - begun
        counted = step >= warm_up
        note = "" if counted else " (warm-up)"
        print(f"  step {step + 1}: {took:.3f} s, loss {value:.4f}{note}", flush=True)
        if counted:
            seconds.append(took)
    return seconds, {name: total / steps for name, total in trainer.laps.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--steps", type=int, default=7, help="counted steps")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sdpa", action="store_true", help="PyTorch's fused attention")
    options = parser.parse_args()
    if options.steps < 1 or options.warm_up < 0 or options.threads < 1:
        parser.error("--steps and --threads must be at least 1, --warm-up at least 0")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    size = SIZES[options.size]
    attention = "fused attention" if options.sdpa else "explicit softmax"
    threads = torch.get_num_threads()
    print(f"PyTorch {torch.__version__}, {threads} threads, float32, {attention}")
    seconds, laps = bench(size, options.steps, options.warm_up, options.sdpa)
    median = statistics.median(seconds)
    print(f"seconds a step: median {median:.3f}, least {min(seconds):.3f}, most {max(seconds):.3f}")
    print(f"pictures a second: {size.batch / median:.2f}")
    print("phases: " + ", ".join(f"{name} {mean:.3f} s" for name, mean in laps.items()))
    memory = peak_memory()
    told = "not told by this system" if memory is None else f"{memory:.2f} GiB"
    print(f"peak memory: {told}")


if __name__ == "__main__":
    main()
