//! What a run will need, before it starts.

use crate::model::Parameters;
use crate::settings::Settings;

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
    let (dim, depth, heads) = settings.model.resolved();
    let (views, head) = (&settings.views, &settings.head);
    let pictures = settings.run.batch.div_ceil(settings.run.accumulate.max(1));
    let hidden = dim as f64 * settings.model.mlp_ratio;
    let activations = |crops: usize, side: usize| -> f64 {
        let tokens = (side / settings.model.patch).pow(2) + 1;
        let a_token = 8.0 * dim as f64 + 2.0 * hidden + (heads * tokens) as f64;
        (crops * pictures * tokens * depth) as f64 * a_token
    };
    let tokens = (views.global_size / settings.model.patch).pow(2) + 1;
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
