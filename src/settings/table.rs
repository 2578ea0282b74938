//! The table: every setting of patchlight, a row each.
//!
//! `name: type = default, limits, "unit", live|fixed, "help";` in the group it belongs to. The
//! macro turns the rows into the structs (one a group, help as the field's documentation), their
//! defaults, and [`ROWS`], from which files, flags, lists and forms are made. Defaults are those
//! of the reference implementation where it has one. Limits keep numbers that can never work, or
//! would exhaust a machine by a typing error, out of a run; they are not advice.

use super::choices::{Activation, Arch, HeadNorm, MaskShape, Optimizer};
use super::value::{Row, Value};

macro_rules! limits {
    (any) => {
        None
    };
    ([$low:expr, $high:expr]) => {
        Some(($low as f64, $high as f64))
    };
}

macro_rules! is_live {
    (live) => {
        true
    };
    (fixed) => {
        false
    };
}

macro_rules! settings {
    ($($group:ident: $Group:ident, $about:literal {
        $($name:ident: $kind:ty = $default:expr, $limits:tt, $unit:literal, $live:ident, $help:literal;)+
    })+) => {
        /// Every setting, by group.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Settings { $(#[doc = $about] pub $group: $Group,)+ }

        $(
            #[doc = $about]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Group { $(#[doc = $help] pub $name: $kind,)+ }

            impl Default for $Group {
                fn default() -> Self {
                    $Group { $($name: $default,)+ }
                }
            }
        )+

        /// Name of every group and what it is about.
        pub static GROUPS: &[(&str, &str)] = &[$((stringify!($group), $about)),+];

        /// Every setting, group by group.
        pub static ROWS: &[Row] = &[$($(Row {
            key: concat!(stringify!($group), ".", stringify!($name)),
            group: stringify!($group),
            name: stringify!($name),
            kind: <$kind as Value>::KIND,
            limits: limits!($limits),
            unit: $unit,
            help: $help,
            live: is_live!($live),
            get: |settings| settings.$group.$name.to_toml(),
            put: |settings, value| match Value::from_toml(value) {
                Some(value) => { settings.$group.$name = value; true }
                None => false,
            },
        },)+)+];
    };
}

settings! {
run: RunSettings, "The run: how long it is, its batches, what it writes and how often." {
    epochs: usize = 100, [1, 100_000], "epochs", fixed,
        "How often every picture is seen; all schedules stretch over this length.";
    max_steps: usize = 0, [0, 1e9], "steps", fixed,
        "Stop after this many steps without changing any schedule. 0 = no limit.";
    max_minutes: f64 = 0.0, [0, 1e6], "minutes", fixed,
        "Stop, with a checkpoint, after this time without changing any schedule. 0 = no limit.";
    batch: usize = 64, [1, 65_536], "pictures", fixed,
        "Pictures for one step of the optimizer. The learning rate is scaled with it.";
    accumulate: usize = 1, [1, 65_536], "parts", fixed,
        "Compute a batch in this many equal parts to save memory. The result is that of the whole batch.";
    seed: u64 = 0, [0, 9_007_199_254_740_991u64], "", fixed,
        "Start of all randomness: the same seed and settings repeat a run.";
    workers: usize = 0, [0, 1024], "threads", fixed,
        "Threads that decode pictures and make views. 0 = one for every core.";
    cache_mb: usize = 1024, [0, 1e7], "MiB", fixed,
        "Memory for decoded pictures that are kept for the next epoch. 0 = decode every time.";
    eval_every: usize = 0, [0, 1e9], "steps", live,
        "Steps between two evaluations (k-NN and the label-free signals). 0 = once an epoch.";
    checkpoint_every: usize = 0, [0, 1e9], "steps", fixed,
        "Steps between two checkpoints. 0 = once an epoch.";
    keep: usize = 3, [1, 10_000], "checkpoints", fixed,
        "How many of the newest checkpoints stay on disk; the best by k-NN is kept besides.";
    log_every: usize = 1, [1, 1e6], "steps", live,
        "Steps between two lines of metrics.";
    look_every: usize = 100, [1, 1e9], "steps", live,
        "Steps between two looks of the window at patterns and colours, and between two snapshots of the time slider.";
    snapshots: usize = 40, [2, 10_000], "snapshots", fixed,
        "How many snapshots (both networks, half precision) the window keeps of a run, spread over its length.";
    device: String = "auto".into(), any, "", fixed,
        "Where to compute: auto, cpu, gpu, or a name that `patchlight devices` lists, such as vulkan:0.";
}
data: DataSettings, "The pictures: the built-in demo's, and what is set aside to measure k-NN." {
    images: usize = 4096, [1, 1e8], "pictures", fixed,
        "Pictures an epoch of the built-in demo, which never runs out of them.";
    size: usize = 64, [16, 1024], "pixels", fixed,
        "Side of the built-in demo's pictures.";
    held_out: f64 = 0.1, [0, 0.9], "share", fixed,
        "Share of the labelled pictures kept from training to test k-NN, where the source has no test part of its own.";
    knn_train: usize = 5000, [1, 1e7], "pictures", fixed,
        "At most this many training pictures are the neighbours in the k-NN test during a run.";
    knn_test: usize = 1000, [1, 1e7], "pictures", fixed,
        "At most this many pictures are classified in the k-NN test during a run.";
}
views: ViewsSettings, "The views: how crops are cut from a picture and altered." {
    global_size: usize = 224, [8, 2048], "pixels", fixed,
        "Side of a global crop. A multiple of model.patch; for Swin of the side that a token of the last stage stands for.";
    local_size: usize = 96, [8, 2048], "pixels", fixed,
        "Side of a local crop. A multiple of model.patch.";
    global_crops: usize = 2, [1, 16], "crops", fixed,
        "Global crops of every picture; teacher and student see them.";
    local_crops: usize = 0, [0, 64], "crops", fixed,
        "Local crops of every picture; only the student sees them. The published recipes use 10.";
    global_scale: [f64; 2] = [0.14, 1.0], [0.001, 1], "share of the area", fixed,
        "How much of the picture a global crop covers, drawn evenly between the two.";
    local_scale: [f64; 2] = [0.05, 0.4], [0.001, 1], "share of the area", fixed,
        "How much of the picture a local crop covers, drawn evenly between the two.";
    aspect: [f64; 2] = [0.75, 1.3333333333333333], [0.1, 10], "width / height", fixed,
        "Shape of the region that is cut out, drawn log-evenly, before it is made square.";
    flip: f64 = 0.5, [0, 1], "probability", fixed,
        "How often a crop is mirrored left to right.";
    jitter: f64 = 0.8, [0, 1], "probability", fixed,
        "How often brightness, contrast, saturation and hue are changed, in random order.";
    brightness: f64 = 0.4, [0, 1], "strength", fixed,
        "Brightness is multiplied by 1 ± this, drawn evenly.";
    contrast: f64 = 0.4, [0, 1], "strength", fixed,
        "Contrast is multiplied by 1 ± this, drawn evenly.";
    saturation: f64 = 0.2, [0, 1], "strength", fixed,
        "Saturation is multiplied by 1 ± this, drawn evenly.";
    hue: f64 = 0.1, [0, 0.5], "turns of the colour circle", fixed,
        "Hue is shifted by up to this in either direction.";
    grayscale: f64 = 0.2, [0, 1], "probability", fixed,
        "How often a crop loses its colour.";
    blur_global1: f64 = 1.0, [0, 1], "probability", fixed,
        "How often the first global crop is blurred.";
    blur_global2: f64 = 0.1, [0, 1], "probability", fixed,
        "How often the second and any further global crop is blurred.";
    blur_local: f64 = 0.5, [0, 1], "probability", fixed,
        "How often a local crop is blurred.";
    blur_sigma: [f64; 2] = [0.1, 2.0], [0, 50], "pixels", fixed,
        "Standard deviation of the blur, drawn evenly between the two.";
    solarize: f64 = 0.2, [0, 1], "probability", fixed,
        "How often the bright values of the second and any further global crop are inverted.";
    solarize_threshold: usize = 128, [0, 256], "grey level", fixed,
        "Values from here up are inverted when a crop is solarised.";
    mean: [f64; 3] = [0.485, 0.456, 0.406], [0, 1], "of full brightness", fixed,
        "Subtracted from red, green and blue (0 to 1) before the network sees them.";
    std: [f64; 3] = [0.229, 0.224, 0.225], [0.001, 10], "of full brightness", fixed,
        "Red, green and blue are divided by this after the mean is subtracted.";
    cache_side: usize = 0, [0, 8192], "pixels", fixed,
        "Shorter side to which decoded pictures are reduced before they are cached and cropped. 0 = never reduced, as the reference does.";
}
mask: MaskSettings, "The masks: which patches of its global crops the student must guess." {
    shape: MaskShape = MaskShape::Block, any, "", live,
        "block hides rectangles, rand hides single patches.";
    ratio: Vec<f64> = vec![0.3], [0, 1], "share of the patches", live,
        "Share that is hidden. Of a list, one is drawn for every crop: [0, 0.3] leaves every second crop whole.";
    variance: Vec<f64> = vec![0.0], [0, 1], "share of the patches", live,
        "The share is drawn evenly from ratio ± this; one number for each of mask.ratio.";
    start_epoch: usize = 0, [0, 100_000], "epochs", live,
        "Nothing is hidden before this epoch, and the patch temperature waits as long.";
    aspect: f64 = 0.3, [0.01, 1], "height / width", live,
        "Flattest rectangle; the steepest is its inverse.";
}
model: ModelSettings, "The model: a vision transformer, plain (ViT) or with windows (Swin)." {
    arch: Arch = Arch::VitSmall, any, "", fixed,
        "Named size; dim, depth and heads (Swin: dim, depths, stage_heads) replace its parts where they are not 0. custom names a ViT without sizes and needs all three.";
    dim: usize = 0, [0, 8192], "numbers a token", fixed,
        "Width of a token. A multiple of heads. Swin: of the first stage, doubled from stage to stage. 0 = as arch says.";
    depth: usize = 0, [0, 128], "blocks", fixed,
        "Number of transformer blocks of a ViT. 0 = as arch says.";
    heads: usize = 0, [0, 128], "heads", fixed,
        "Attention heads in a block of a ViT. 0 = as arch says.";
    depths: Vec<usize> = vec![0], [0, 128], "blocks a stage", fixed,
        "Swin: number of blocks of every stage. A single 0 = as arch says.";
    stage_heads: Vec<usize> = vec![0], [0, 128], "heads a stage", fixed,
        "Swin: attention heads of every stage. A single 0 = as arch says.";
    window: usize = 7, [1, 64], "tokens", fixed,
        "Swin: side of the windows within which tokens see each other. Published are 7 and 14.";
    patch: usize = 16, [1, 256], "pixels", fixed,
        "Side of a patch. Half the side means four times the patches. Swin: 4; every stage but the last doubles it.";
    mlp_ratio: f64 = 4.0, [0.1, 16], "times dim", fixed,
        "Width of the hidden layer in a block.";
    qkv_bias: bool = true, any, "", fixed,
        "Whether queries, keys and values of a ViT have a bias. Those of a Swin transformer have.";
    drop_path: f64 = 0.1, [0, 0.95], "probability", fixed,
        "How often the student's last block is skipped for a picture; earlier blocks less, the first never.";
    layer_scale: f64 = 0.0, [0, 1], "", fixed,
        "Initial scale of what a block of a ViT adds. 0 = no such scale.";
    registers: usize = 0, [0, 64], "tokens", fixed,
        "Register tokens of a ViT: they take part in attention, and no one reads them.";
    init_std: f64 = 0.02, [0, 1], "", fixed,
        "Standard deviation of the initial weights of linear layers and tokens. 0 = 1/sqrt(inputs) of each layer, which small networks need: 0.02 suits a width of thousands.";
}
head: HeadSettings, "The projection head: from tokens to prototypes." {
    out_dim: usize = 8192, [2, 1_048_576], "prototypes", fixed,
        "Number of prototypes for the class token.";
    patch_out_dim: usize = 8192, [2, 1_048_576], "prototypes", fixed,
        "Number of prototypes for patches. Equal to out_dim where a head is shared.";
    shared: bool = false, any, "", fixed,
        "Whether the student's class token and patches share their prototypes. The published recipes do.";
    shared_teacher: bool = true, any, "", fixed,
        "Whether the teacher's class token and patches share their prototypes.";
    norm_last_layer: bool = true, any, "", fixed,
        "Keep prototypes at length 1, which is steadier; false lets their lengths be learned.";
    layers: usize = 3, [1, 16], "layers", fixed,
        "Linear layers before the prototypes.";
    hidden: usize = 2048, [1, 65_536], "numbers", fixed,
        "Width of the hidden layers.";
    bottleneck: usize = 256, [1, 65_536], "numbers", fixed,
        "Width of the normalised vector that is compared with the prototypes.";
    norm: HeadNorm = HeadNorm::None, any, "", fixed,
        "Normalisation of the hidden layers: none, ln (layer norm) or bn (batch norm).";
    act: Activation = Activation::Gelu, any, "", fixed,
        "Activation of the hidden layers.";
}
loss: LossSettings, "The objective: agreement of student and teacher on crops and on hidden patches." {
    masked_modeling: bool = true, any, "", fixed,
        "Whether patches are hidden from the student. false leaves its crops whole.";
    lambda_cls: f64 = 1.0, [0, 1000], "weight", fixed,
        "Weight of the class-token term.";
    lambda_patch: f64 = 1.0, [0, 1000], "weight", fixed,
        "Weight of the patch term.";
    student_temp: f64 = 0.1, [0.001, 10], "temperature", live,
        "Temperature of the student's distributions. Lower is sharper.";
    centre_momentum: f64 = 0.9, [0, 1], "a step", fixed,
        "How much of the class token's centre is kept each step. The centre keeps one prototype from winning everything.";
    patch_centre_momentum: f64 = 0.9, [0, 1], "a step", fixed,
        "How much of the patches' centre is kept each step.";
    warmup_teacher_temp: f64 = 0.04, [0.001, 10], "temperature", live,
        "Temperature of the teacher's class token at the start.";
    teacher_temp: f64 = 0.04, [0.001, 10], "temperature", live,
        "Temperature of the teacher's class token after the warm-up. The published recipes use 0.07.";
    warmup_teacher_patch_temp: f64 = 0.04, [0.001, 10], "temperature", live,
        "Temperature of the teacher's patches at the start.";
    teacher_patch_temp: f64 = 0.07, [0.001, 10], "temperature", live,
        "Temperature of the teacher's patches after the warm-up.";
    warmup_teacher_temp_epochs: usize = 30, [0, 100_000], "epochs", fixed,
        "Epochs over which both temperatures rise. Longer than the run is as long as the run.";
}
optim: OptimSettings, "The optimizer, its schedules, and the teacher's pace." {
    kind: Optimizer = Optimizer::AdamW, any, "", fixed,
        "adamw, sgd (with momentum) or lars (for very large batches).";
    lr: f64 = 5e-4, [0, 100], "per 256 pictures", live,
        "Highest learning rate for a batch of 256; it is scaled to run.batch.";
    min_lr: f64 = 1e-6, [0, 100], "", fixed,
        "Learning rate at the end of the run. Not scaled.";
    warmup_epochs: f64 = 10.0, [0, 100_000], "epochs", fixed,
        "The learning rate rises from 0 over this time. Parts of an epoch are allowed.";
    weight_decay: f64 = 0.04, [0, 10], "", fixed,
        "Weight decay at the start.";
    weight_decay_end: f64 = 0.4, [0, 10], "", fixed,
        "Weight decay at the end.";
    clip: f64 = 3.0, [0, 1e6], "gradient norm", fixed,
        "A larger gradient is shortened to this, every parameter tensor by itself. 0 = off.";
    freeze_backbone: usize = 0, [0, 100_000], "epochs", fixed,
        "The backbone stays as it is for this long, while the head learns. Starting from a backbone without a head sets 1.";
    freeze_last_layer: usize = 1, [0, 100_000], "epochs", fixed,
        "Prototypes stay as they are for this long, which steadies the start.";
    teacher_momentum: f64 = 0.996, [0, 1], "a step", fixed,
        "How much of the teacher is kept each step, at the start. Small batches want it higher (0.9995 for 256).";
    teacher_momentum_end: f64 = 1.0, [0, 1], "a step", fixed,
        "How much of the teacher is kept each step, at the end.";
    beta1: f64 = 0.9, [0, 0.99999], "", fixed,
        "AdamW: memory of the gradient's mean.";
    beta2: f64 = 0.999, [0, 0.99999], "", fixed,
        "AdamW: memory of the gradient's square.";
    eps: f64 = 1e-8, [1e-16, 1], "", fixed,
        "AdamW: added to the divisor.";
    sgd_momentum: f64 = 0.9, [0, 0.99999], "", fixed,
        "SGD and LARS: momentum.";
    lars_trust: f64 = 0.001, [1e-9, 10], "", fixed,
        "LARS: trust coefficient.";
}
}
