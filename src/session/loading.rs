//! From settings to what the loader needs.

use crate::data::loader::LoaderPlan;
use crate::data::masks::MaskSpec;
use crate::data::views::ViewSpec;
use crate::settings::Settings;

/// Batches made ahead of the step: enough to bridge an evaluation's cold start.
const QUEUE: usize = 4;

/// The loader's plan for a run.
pub fn loader_plan(settings: &Settings) -> LoaderPlan {
    let run = &settings.run;
    LoaderPlan {
        views: ViewSpec::from(&settings.views),
        masks: MaskSpec::from(&settings.mask),
        patch: settings.model.cell(),
        batch: run.batch,
        seed: run.seed,
        workers: run.workers,
        queue: QUEUE,
        cache_bytes: run.cache_mb << 20,
        cache_side: settings.views.cache_side,
    }
}
