//! What the reference's checkpoints keep beside their networks.

use std::collections::BTreeMap;

use super::Contents;
use crate::model::HostTensor;
use crate::settings::Settings;

/// Memory of the optimizer for one parameter.
#[derive(Clone, Debug)]
pub struct Moments {
    pub steps: usize,
    /// Mean of the gradient, or momentum.
    pub first: HostTensor,
    /// Mean of its square.
    pub second: Option<HostTensor>,
}

/// Everything but the networks that a full checkpoint of the reference holds; any of it may lack.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Centres of class and patch logits.
    pub centres: Option<[Vec<f32>; 2]>,
    /// Memory of the optimizer by the number of the parameter: trained ones are counted, first those with
    /// weight decay, then the others.
    pub optimizer: BTreeMap<usize, Moments>,
    /// Epochs done.
    pub epoch: Option<usize>,
    /// The arguments of the training program.
    pub args: BTreeMap<String, String>,
}

/// The reference's arguments, and the settings they became.
const ARGUMENTS: &[(&str, &str)] = &[
    ("epochs", "run.epochs"),
    ("seed", "run.seed"),
    ("global_crops_number", "views.global_crops"),
    ("global_crops_scale", "views.global_scale"),
    ("local_crops_number", "views.local_crops"),
    ("local_crops_scale", "views.local_scale"),
    ("pred_shape", "mask.shape"),
    ("pred_ratio", "mask.ratio"),
    ("pred_ratio_var", "mask.variance"),
    ("pred_start_epoch", "mask.start_epoch"),
    ("drop_path", "model.drop_path"),
    ("norm_last_layer", "head.norm_last_layer"),
    ("act_in_head", "head.act"),
    ("use_masked_im_modeling", "loss.masked_modeling"),
    ("lambda1", "loss.lambda_cls"),
    ("lambda2", "loss.lambda_patch"),
    ("warmup_teacher_temp", "loss.warmup_teacher_temp"),
    ("teacher_temp", "loss.teacher_temp"),
    (
        "warmup_teacher_patch_temp",
        "loss.warmup_teacher_patch_temp",
    ),
    ("teacher_patch_temp", "loss.teacher_patch_temp"),
    (
        "warmup_teacher_temp_epochs",
        "loss.warmup_teacher_temp_epochs",
    ),
    ("optimizer", "optim.kind"),
    ("lr", "optim.lr"),
    ("min_lr", "optim.min_lr"),
    ("warmup_epochs", "optim.warmup_epochs"),
    ("weight_decay", "optim.weight_decay"),
    ("weight_decay_end", "optim.weight_decay_end"),
    ("clip_grad", "optim.clip"),
    ("freeze_last_layer", "optim.freeze_last_layer"),
    ("momentum_teacher", "optim.teacher_momentum"),
];

impl State {
    /// Reads it from what is left of a file's contents.
    pub(super) fn of(contents: &Contents) -> Self {
        let centre = |name: &str| {
            let tensor = contents.tensors.get(&format!("ibot_loss/{name}"));
            tensor.map(|tensor| tensor.data.clone())
        };
        let centres = centre("center").zip(centre("center2"));
        let args = contents.values.iter().filter_map(|(path, value)| {
            let name = path.strip_prefix("args/")?;
            Some((name.to_owned(), value.clone()))
        });
        let epoch = contents.values.get("epoch");
        State {
            centres: centres.map(|(class, patch)| [class, patch]),
            optimizer: moments(contents),
            epoch: epoch.and_then(|epoch| epoch.parse().ok()),
            args: args.collect(),
        }
    }

    /// Puts the recipe in the arguments into `settings`; gives the arguments whose values this program does not
    /// take.
    pub fn put_recipe(&self, settings: &mut Settings) -> Vec<String> {
        let mut refused = Vec::new();
        for &(argument, key) in ARGUMENTS {
            if let Some(text) = self.args.get(argument)
                && settings.set(key, text, "").is_err()
            {
                refused.push(format!("{argument} = {text}"));
            }
        }
        let number = |name: &str| self.args.get(name)?.parse::<usize>().ok();
        if let Some(batch) = number("batch_size_per_gpu") {
            settings.run.batch = batch * number("world_size").unwrap_or(1).max(1);
        }
        refused
    }
}

/// The optimizer's memory: AdamW calls its parts `exp_avg` and `exp_avg_sq`, SGD and LARS `momentum_buffer` and
/// `mu`.
fn moments(contents: &Contents) -> BTreeMap<usize, Moments> {
    let part = |index: usize, name: &str| {
        let path = format!("optimizer/state/{index}/{name}");
        contents.tensors.get(&path).cloned()
    };
    let steps = |index: usize| {
        // A tensor since PyTorch 1.12, a number before.
        let path = format!("optimizer/state/{index}/step");
        let value = contents
            .values
            .get(&path)
            .and_then(|text| text.parse().ok());
        let tensor = contents.tensors.get(&path).and_then(|t| t.data.first());
        value.or(tensor.map(|&steps| steps as usize)).unwrap_or(0)
    };
    let indices = contents.tensors.keys().filter_map(|path| {
        let (index, _) = path.strip_prefix("optimizer/state/")?.split_once('/')?;
        index.parse().ok()
    });
    let mut found = BTreeMap::new();
    for index in indices {
        let names = ["exp_avg", "momentum_buffer", "mu"];
        if let Some(first) = names.iter().find_map(|name| part(index, name)) {
            let moments = Moments {
                steps: steps(index),
                first,
                second: part(index, "exp_avg_sq"),
            };
            found.entry(index).or_insert(moments);
        }
    }
    found
}
