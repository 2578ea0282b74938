//! From settings to what the loader needs.

use crate::data::loader::LoaderPlan;
use crate::data::masks::MaskSpec;
use crate::data::views::{CropSpec, ViewSpec};
use crate::settings::{MaskSettings, Settings, ViewsSettings};

/// Batches made ahead of the step: enough to bridge an evaluation's cold start.
const QUEUE: usize = 4;

/// The loader's plan for a run.
pub fn loader_plan(settings: &Settings) -> LoaderPlan {
    let run = &settings.run;
    LoaderPlan {
        views: view_spec(&settings.views),
        masks: mask_spec(&settings.mask),
        patch: settings.model.patch,
        batch: run.batch,
        seed: run.seed,
        workers: run.workers,
        queue: QUEUE,
        cache_bytes: run.cache_mb << 20,
        cache_side: settings.views.cache_side,
    }
}

/// The mask sampler's parameters.
pub fn mask_spec(mask: &MaskSettings) -> MaskSpec {
    MaskSpec {
        shape: mask.shape,
        ratio: mask.ratio.clone(),
        variance: mask.variance.clone(),
        start_epoch: mask.start_epoch,
        aspect: [mask.aspect, 1.0 / mask.aspect],
    }
}

fn view_spec(views: &ViewsSettings) -> ViewSpec {
    let crop = |size, scale, blur, solarise| CropSpec {
        size,
        scale,
        aspect: views.aspect,
        flip: views.flip,
        jitter: views.jitter,
        brightness: views.brightness,
        contrast: views.contrast,
        saturation: views.saturation,
        hue: views.hue,
        grayscale: views.grayscale,
        blur,
        blur_sigma: views.blur_sigma,
        solarise,
        solarise_threshold: views.solarize_threshold as u16,
    };
    ViewSpec {
        globals: views.global_crops,
        locals: views.local_crops,
        global1: crop(
            views.global_size,
            views.global_scale,
            views.blur_global1,
            0.0,
        ),
        global2: crop(
            views.global_size,
            views.global_scale,
            views.blur_global2,
            views.solarize,
        ),
        local: crop(views.local_size, views.local_scale, views.blur_local, 0.0),
        mean: views.mean.map(|v| v as f32),
        std: views.std.map(|v| v as f32),
    }
}
