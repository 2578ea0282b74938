//! What a run will need, before it starts.

use crate::model::Parameters;
use crate::pretrain::Network;
use crate::settings::{HeadNorm, Settings};

/// Parameters of the backbone alone.
pub fn backbone_parameters(student: &Parameters) -> usize {
    let backbone = student.iter().filter(|p| p.name.starts_with("backbone."));
    backbone.map(|p| p.shape.iter().product::<usize>()).sum()
}

/// Bytes that training needs, to within a third: weights of both networks, two moments and the
/// gradient, and what the student's backward pass has to remember.
///
/// A block remembers for each token about 16 rows of its width (two norms, queries, keys and
/// values, the attended values, two residual sums, the hidden layer before and after its
/// activation) and a row of attention weights for each head.
pub fn training_bytes(settings: &Settings, parameters: usize) -> u64 {
    let (views, head) = (&settings.views, &settings.head);
    let pictures = settings.run.batch.div_ceil(settings.run.accumulate.max(1));
    let activations = |crops: usize, side: usize| -> f64 {
        let of = |stage: Stage| {
            let hidden = stage.dim * settings.model.mlp_ratio;
            let a_token = 8.0 * stage.dim + 2.0 * hidden + stage.heads * stage.keys;
            stage.tokens * stage.depth * a_token
        };
        let an_image: f64 = stages(settings, side).into_iter().map(of).sum();
        (crops * pictures) as f64 * an_image
    };
    let tokens = tokens(settings, views.global_size) as usize;
    let globals = (views.global_crops * pictures) as f64;
    let likeliest_ratio = settings.mask.ratio.iter().copied().fold(0.0, f64::max) / 2.0;
    let projected = globals * (1.0 + likeliest_ratio * tokens as f64);
    // The teacher's hidden layers see every token; prototypes are for class and masked tokens, and
    // logits, targets and gradient are there at once.
    let teacher = globals * tokens as f64 * (2 * head.hidden + head.bottleneck) as f64;
    let prototypes = projected * (5 * head.out_dim + 4 * head.hidden) as f64;
    let floats = 5.0 * parameters as f64
        + activations(views.global_crops, views.global_size)
        + activations(views.local_crops, views.local_size)
        + teacher
        + prototypes;
    (4.0 * floats) as u64
}

/// Parameters that a network would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Student with its head.
    pub student: usize,
    /// Student without its head.
    pub backbone: usize,
}

/// Counts the student's parameters from their shapes; nothing is built.
pub fn parameters(settings: &Settings) -> Counts {
    let size = |shape: &[usize]| shape.iter().fold(1, |all: usize, &n| all.saturating_mul(n));
    let mut counts = Counts {
        student: 0,
        backbone: 0,
    };
    for spec in Network::student(settings).specs() {
        let size = size(&spec.shape);
        counts.student = counts.student.saturating_add(size);
        if spec.name.starts_with("backbone.") {
            counts.backbone = counts.backbone.saturating_add(size);
        }
    }
    counts
}

/// Floating point operations (a multiplication and an addition are two) of the matrix products of
/// one training step of a whole batch.
///
/// The teacher runs forward over the global crops. The student runs forward over all crops and
/// backward, which costs twice as much again. Prototypes are compared with class tokens and
/// masked patches only. The two sizes of `patchlight bench step` come out at 142 and 157 GFLOP/s
/// of the same machine (benches/RESULTS.md), so the parts are weighed rightly.
pub fn step_flops(settings: &Settings) -> f64 {
    let (views, head) = (&settings.views, &settings.head);
    let pictures = settings.run.batch as f64;
    let globals = pictures * views.global_crops as f64;
    let locals = pictures * views.local_crops as f64;
    let global_tokens = tokens(settings, views.global_size);
    let local_tokens = tokens(settings, views.local_size);
    let global_crop = crop_flops(settings, views.global_size);

    let ratios = &settings.mask.ratio;
    let masked = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let masked_rows = globals * masked * (global_tokens - 1.0);
    let (teacher_class, student_class) = (globals, globals + locals);
    // Batch norm needs every token; see Trainer::study.
    let student_rows = match head.norm {
        HeadNorm::Batch => globals * global_tokens + locals * local_tokens,
        HeadNorm::None | HeadNorm::Layer => student_class + masked_rows,
    };
    let prototypes = 2.0 * head.bottleneck as f64;
    let (class, patch) = (
        prototypes * head.out_dim as f64,
        prototypes * head.patch_out_dim as f64,
    );
    let teacher = globals * (global_crop + global_tokens * head_flops(settings))
        + teacher_class * class
        + masked_rows * patch;
    let student = globals * global_crop
        + locals * crop_flops(settings, views.local_size)
        + student_rows * head_flops(settings)
        + student_class * class
        + masked_rows * patch;
    teacher + 3.0 * student
}

/// Seconds of a step on a device that computes `flops_per_second`; infinite where it computes
/// nothing.
pub fn seconds_per_step(settings: &Settings, flops_per_second: f64) -> f64 {
    match flops_per_second > 0.0 {
        true => step_flops(settings) / flops_per_second,
        false => f64::INFINITY,
    }
}

/// Steps that the run will do: its epochs, or run.max_steps where that is fewer.
pub fn total_steps(settings: &Settings, steps_per_epoch: usize) -> usize {
    let all = settings.run.epochs.saturating_mul(steps_per_epoch);
    match settings.run.max_steps {
        0 => all,
        limit => all.min(limit),
    }
}

/// Seconds of the whole run without its evaluations, at most run.max_minutes.
pub fn run_seconds(settings: &Settings, steps_per_epoch: usize, flops_per_second: f64) -> f64 {
    let steps = total_steps(settings, steps_per_epoch);
    let all = steps as f64 * seconds_per_step(settings, flops_per_second);
    match settings.run.max_minutes {
        minutes if minutes > 0.0 => all.min(60.0 * minutes),
        _ => all,
    }
}

/// Blocks that see a crop in the same way.
#[derive(Clone, Copy)]
struct Stage {
    /// Tokens of a crop, the class token among them.
    tokens: f64,
    /// Tokens that each of them sees.
    keys: f64,
    dim: f64,
    heads: f64,
    depth: f64,
}

/// The stages of a backbone for a crop of `side` pixels; a ViT has one.
fn stages(settings: &Settings, side: usize) -> Vec<Stage> {
    let model = &settings.model;
    let side = side / model.patch.max(1);
    let Some((dim, depths, heads)) = model.swin() else {
        let (dim, depth, heads) = model.resolved();
        let tokens = (side * side + 1) as f64;
        return vec![Stage {
            tokens,
            keys: tokens,
            dim: dim as f64,
            heads: heads as f64,
            depth: depth as f64,
        }];
    };
    let stage = |(i, (&depth, &heads)): (usize, (&usize, &usize))| {
        let side = side.div_ceil(1 << i);
        let window = model.window.min(side);
        // Windows are filled up with padding.
        let tokens = side.next_multiple_of(window.max(1)).pow(2) as f64;
        Stage {
            tokens,
            keys: (window * window) as f64,
            dim: (dim << i) as f64,
            heads: heads as f64,
            depth: depth as f64,
        }
    };
    depths.iter().zip(&heads).enumerate().map(stage).collect()
}

/// Tokens of a crop after the last block, the class token among them.
fn tokens(settings: &Settings, side: usize) -> f64 {
    let cells = side.div_ceil(settings.model.cell().max(1));
    (cells * cells + 1) as f64
}

/// Width of a token after the last block.
fn width(settings: &Settings) -> f64 {
    let model = &settings.model;
    match model.swin() {
        Some((dim, depths, _)) => (dim << (depths.len() - 1)) as f64,
        None => model.resolved().0 as f64,
    }
}

/// Forward pass of the backbone over one crop of `side` pixels.
fn crop_flops(settings: &Settings, side: usize) -> f64 {
    let stages = stages(settings, side);
    let patch = (settings.model.patch * settings.model.patch) as f64;
    let of = |stage: &Stage| {
        let (dim, tokens) = (stage.dim, stage.tokens);
        let hidden = dim * settings.model.mlp_ratio;
        // Queries, keys, values and the projection; both layers of the MLP; scores and their sum.
        stage.depth
            * (tokens * (4.0 * dim * dim + 2.0 * dim * hidden) + 2.0 * tokens * stage.keys * dim)
    };
    let embed = stages
        .first()
        .map_or(0.0, |first| first.tokens * 3.0 * patch * first.dim);
    2.0 * (embed + stages.iter().map(of).sum::<f64>())
}

/// Forward pass of the head over one token, up to the bottleneck.
fn head_flops(settings: &Settings) -> f64 {
    let head = &settings.head;
    let (dim, hidden, out) = (width(settings), head.hidden as f64, head.bottleneck as f64);
    let products = match head.layers {
        0 | 1 => dim * out,
        layers => dim * hidden + (layers - 2) as f64 * hidden * hidden + hidden * out,
    };
    2.0 * products
}

#[cfg(test)]
mod tests;
