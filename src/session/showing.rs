//! The views of a step as pictures: what teacher and student see of some pictures of the batch.

use crate::data::views::ViewSpec;
use crate::data::{Batch, Picture, Source, pixels};
use crate::settings::Settings;

/// Pictures of a batch that are shown.
const PICTURES: usize = 8;

/// What the networks see of some pictures at one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewsShown {
    pub step: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// mask.shape at this step.
    pub shape: &'static str,
    pub pictures: Vec<PictureShown>,
}

/// One picture's crops.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureShown {
    pub name: String,
    /// Global crops as the teacher sees them, each with the mask that the student sees (true = hidden).
    pub globals: Vec<(Picture, Vec<bool>)>,
    /// Local crops, which only the student sees.
    pub locals: Vec<Picture>,
}

impl PictureShown {
    /// Share of the patches of global crop `crop` that is hidden.
    pub fn hidden(&self, crop: usize) -> f32 {
        self.globals.get(crop).map_or(0.0, |(_, mask)| {
            mask.iter().filter(|&&m| m).count() as f32 / mask.len().max(1) as f32
        })
    }
}

impl ViewsShown {
    /// Takes the first pictures out of a batch.
    pub fn of(batch: &Batch, settings: &Settings, source: &dyn Source, step: usize) -> Self {
        let spec = ViewSpec::from(&settings.views);
        let (all, patch) = (batch.images.len(), settings.model.cell());
        let crop = |pixels: &[f32], row: usize, side: usize| {
            let len = 3 * side * side;
            pixels
                .get(row * len..(row + 1) * len)
                .map(|planes| pixels::from_normalised(planes, side, spec.mean, spec.std))
        };
        let (side, small) = (settings.views.global_size, settings.views.local_size);
        let patches = (side / patch).pow(2);
        let shown = batch.images.iter().take(PICTURES).enumerate();
        let pictures = shown.map(|(i, &index)| PictureShown {
            name: source.name(index),
            globals: (0..spec.globals)
                .filter_map(|v| {
                    let row = v * all + i;
                    let mask = batch.masks.get(row * patches..(row + 1) * patches)?;
                    Some((crop(&batch.globals, row, side)?, mask.to_vec()))
                })
                .collect(),
            locals: (0..spec.locals)
                .filter_map(|v| crop(&batch.locals, v * all + i, small))
                .collect(),
        });
        ViewsShown {
            step,
            patch,
            shape: settings.mask.shape.name(),
            pictures: pictures.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::loader::Loader;
    use crate::data::parts::Parts;
    use std::sync::Arc;

    #[test]
    fn crops_come_back_as_they_were_cut() {
        let mut settings = Settings::default();
        settings.views.global_size = 32;
        settings.views.local_size = 16;
        settings.views.local_crops = 2;
        settings.model.patch = 8;
        settings.run.batch = 3;
        let source = Arc::new(Parts::new(6, 64, 0));
        let plan = crate::session::loading::loader_plan(&settings);
        let mut loader = Loader::new(source.clone(), plan, (0, 0)).unwrap();
        let batch = loader.next_batch().unwrap();
        let shown = ViewsShown::of(&batch, &settings, &*source, 7);
        assert_eq!((shown.step, shown.pictures.len()), (7, 3));
        for (i, picture) in shown.pictures.iter().enumerate() {
            assert_eq!(picture.name, source.name(batch.images[i]));
            assert_eq!((picture.globals.len(), picture.locals.len()), (2, 2));
            for (v, (crop, mask)) in picture.globals.iter().enumerate() {
                let row = v * 3 + i;
                assert_eq!(mask, &batch.masks[row * 16..(row + 1) * 16]);
                let mut planes = vec![0.0; 3 * 32 * 32];
                let spec = ViewSpec::from(&settings.views);
                pixels::write_normalised(crop, spec.mean, spec.std, &mut planes);
                let there = &batch.globals[row * planes.len()..][..planes.len()];
                let apart = planes.iter().zip(there).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0.0, f32::max) < 1e-5);
            }
        }
    }
}
