//! What single rows cannot see: settings that are each allowed but do not fit together.
//!
//! Run once before anything is built, so that no run ends after minutes of preparation, and all
//! problems are reported at once. Each check stands on its own.

use super::choices::{Arch, HeadNorm};
use super::error::{Problem, SettingsError};
use super::table::Settings;

/// Stages of a Swin transformer; the published ones have four.
const MOST_STAGES: usize = 6;

impl Settings {
    /// Lists every conflict between settings.
    ///
    /// A temperature warm-up longer than the run is no problem: it is shortened to the run (the
    /// reference fails there).
    pub fn check(&self) -> Result<(), SettingsError> {
        let mut problems = Vec::new();
        let mut say =
            |key: &str, message: String| problems.push(Problem::new(String::new(), key, message));
        self.check_run(&mut say);
        self.check_crops(&mut say);
        self.check_masks(&mut say);
        self.check_network(&mut say);
        SettingsError::unless_empty(problems)
    }

    fn check_run(&self, say: &mut impl FnMut(&str, String)) {
        let (run, optim) = (&self.run, &self.optim);
        if !run.batch.is_multiple_of(run.accumulate.max(1)) {
            say(
                "run.accumulate",
                format!(
                    "run.batch ({}) is not divisible by run.accumulate ({}); every part of a batch must be equally large",
                    run.batch, run.accumulate
                ),
            );
        }
        if optim.warmup_epochs > 0.0 && optim.warmup_epochs >= run.epochs as f64 {
            say(
                "optim.warmup_epochs",
                format!(
                    "optim.warmup_epochs ({}) must be shorter than the run (run.epochs = {}); raise the one or lower the other, parts of an epoch are allowed",
                    optim.warmup_epochs, run.epochs
                ),
            );
        }
        if self.loss.lambda_cls == 0.0 && self.loss.lambda_patch == 0.0 {
            say(
                "loss.lambda_cls",
                "loss.lambda_cls and loss.lambda_patch are both 0; nothing would be learned".into(),
            );
        }
    }

    fn check_crops(&self, say: &mut impl FnMut(&str, String)) {
        let views = &self.views;
        let mut crop = |key: &str, side: usize, patch: usize, what: &str| {
            if side == 0 || !side.is_multiple_of(patch) {
                let below = side / patch * patch;
                let near = match below {
                    0 => format!("{patch}"),
                    below => format!("{below} or {}", below + patch),
                };
                say(
                    key,
                    format!("{key} ({side}) is not a multiple of {what} ({patch}); take {near}"),
                );
            }
        };
        let (patch, cell) = (self.model.patch.max(1), self.model.cell().max(1));
        let what = match cell == patch {
            true => "model.patch",
            false => "what a token of the last stage stands for",
        };
        crop("views.global_size", views.global_size, cell, what);
        if views.local_crops > 0 {
            crop("views.local_size", views.local_size, patch, "model.patch");
        }
        if self.loss.lambda_cls > 0.0 && views.global_crops + views.local_crops < 2 {
            say(
                "views.global_crops",
                "the class-token term compares two crops of a picture, but there is only one; set views.global_crops to 2 or loss.lambda_cls to 0".into(),
            );
        }
        for (key, [low, high]) in [
            ("views.global_scale", views.global_scale),
            ("views.local_scale", views.local_scale),
            ("views.aspect", views.aspect),
            ("views.blur_sigma", views.blur_sigma),
        ] {
            // Rows refuse this already; code that fills the struct itself is caught here.
            if low.is_nan() || high.is_nan() || low > high {
                say(
                    key,
                    format!("{key} = [{low}, {high}]: the lower number comes first"),
                );
            }
        }
    }

    fn check_masks(&self, say: &mut impl FnMut(&str, String)) {
        let (ratio, variance) = (&self.mask.ratio, &self.mask.variance);
        if ratio.is_empty() || ratio.len() != variance.len() {
            say(
                "mask.variance",
                format!(
                    "mask.ratio has {} numbers and mask.variance {}; give one variance for each ratio",
                    ratio.len(),
                    variance.len()
                ),
            );
        }
        for (ratio, variance) in ratio.iter().zip(variance) {
            // 1e-9 lets 0.7 ± 0.3 pass, whose sum is above 1 in binary by less than that.
            if ratio - variance < -1e-9 || ratio + variance > 1.0 + 1e-9 {
                say(
                    "mask.variance",
                    format!(
                        "mask.ratio {ratio} ± mask.variance {variance} leaves the range from 0 to 1"
                    ),
                );
            }
        }
    }

    fn check_network(&self, say: &mut impl FnMut(&str, String)) {
        let (model, head) = (&self.model, &self.head);
        if let Some((dim, depths, heads)) = model.swin() {
            if depths.len() != heads.len() {
                say(
                    "model.stage_heads",
                    format!(
                        "model.depths has {} stages and model.stage_heads {}; give one number for each stage",
                        depths.len(),
                        heads.len()
                    ),
                );
            }
            if depths.contains(&0) || heads.contains(&0) || depths.len() > MOST_STAGES {
                say(
                    "model.depths",
                    format!(
                        "model.depths and model.stage_heads need 1 to {MOST_STAGES} stages of at least one block and one head each"
                    ),
                );
            }
            for (stage, &heads) in heads.iter().enumerate().take(MOST_STAGES) {
                if heads > 0 && !(dim << stage).is_multiple_of(heads) {
                    say(
                        "model.stage_heads",
                        format!(
                            "stage {} is {} wide, which is not divisible by its {heads} heads",
                            stage + 1,
                            dim << stage
                        ),
                    );
                }
            }
        }
        let (dim, depth, heads) = model.resolved();
        for (key, size) in [
            ("model.dim", dim),
            ("model.depth", depth),
            ("model.heads", heads),
        ] {
            if size == 0 && model.arch == Arch::Custom {
                say(
                    key,
                    format!("model.arch = custom needs {key}, which is 0; set it, or name an arch"),
                );
            }
        }
        if model.swin().is_none() && heads > 0 && !dim.is_multiple_of(heads) {
            say(
                "model.heads",
                format!("model.dim ({dim}) is not divisible by model.heads ({heads})"),
            );
        }
        if (head.shared || head.shared_teacher) && head.out_dim != head.patch_out_dim {
            say(
                "head.patch_out_dim",
                format!(
                    "a shared head has one set of prototypes, but head.out_dim is {} and head.patch_out_dim {}; make them equal, or set head.shared and head.shared_teacher to false",
                    head.out_dim, head.patch_out_dim
                ),
            );
        }
        if head.norm == HeadNorm::Batch && self.run.accumulate > 1 {
            say(
                "run.accumulate",
                "head.norm = bn takes its statistics over the whole batch, which run.accumulate would cut in parts; set run.accumulate to 1 or head.norm to ln".into(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_and_every_conflict_is_listed() {
        assert_eq!(Settings::default().check(), Ok(()));
        let mut settings = Settings::default();
        for (key, text) in [
            ("run.batch", "10"),
            ("run.accumulate", "3"),
            ("run.epochs", "5"),
            ("loss.lambda_cls", "0"),
            ("loss.lambda_patch", "0"),
            ("views.global_size", "100"),
            ("views.local_size", "100"), // unused, therefore no problem
            ("mask.ratio", "0,0.3"),
            ("model.heads", "5"),
            ("head.out_dim", "64"),
            ("head.norm", "bn"),
        ] {
            settings.set(key, text, "test").expect(key);
        }
        let error = settings.check().expect_err("many conflicts");
        let keys: Vec<&str> = error.problems.iter().map(|p| p.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "run.accumulate",
                "optim.warmup_epochs",
                "loss.lambda_cls",
                "views.global_size",
                "mask.variance",
                "model.heads",
                "head.patch_out_dim",
                "run.accumulate"
            ]
        );
        assert!(error.to_string().contains("take 96 or 112"), "{error}");
    }

    #[test]
    fn a_custom_model_needs_its_sizes_and_overrides_win() {
        let mut settings = Settings::default();
        settings.model.depth = 5;
        assert_eq!(settings.model.resolved(), (384, 5, 6));
        settings.model.arch = Arch::Custom;
        let error = settings.check().expect_err("no width, no heads");
        assert_eq!(error.problems.len(), 2, "{error}");
    }

    #[test]
    fn one_crop_alone_cannot_be_compared() {
        let mut settings = Settings::default();
        settings.views.global_crops = 1;
        assert!(settings.check().is_err());
        settings.views.local_crops = 1;
        assert_eq!(settings.check(), Ok(()));
    }
}
