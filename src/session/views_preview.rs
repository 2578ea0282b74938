//! Views and masks drawn anew under other settings, without touching a run.

use anyhow::Result;

use super::loading::loader_plan;
use super::pictures;
use super::showing::ViewsShown;
use crate::data::loader::Loader;
use crate::settings::Settings;

/// Pictures of a drawing.
const PICTURES: usize = 8;

/// Draws the views of some pictures of `source`; another `draw` gives other pictures and other views.
///
/// # Errors
/// A source that cannot be opened, or settings that do not fit together.
pub fn draw(source: &str, settings: &Settings, draw: usize) -> Result<ViewsShown> {
    settings.check()?;
    let mut settings = settings.clone();
    settings.run.batch = PICTURES;
    settings.run.workers = 1;
    settings.run.cache_mb = 0;
    settings.mask.start_epoch = 0;
    let opened = pictures::open(source, &settings)?;
    settings.run.batch = PICTURES.min(opened.train.len());
    let steps = opened.train.len() / settings.run.batch.max(1);
    let position = (draw / steps.max(1), draw % steps.max(1));
    let mut loader = Loader::new(opened.train.clone(), loader_plan(&settings), position)?;
    let batch = loader.next_batch()?;
    Ok(ViewsShown::of(&batch, &settings, &*opened.train, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_settings_give_other_masks() {
        let mut settings = crate::settings::preset("demo").unwrap().settings().unwrap();
        settings.mask.ratio = vec![0.5];
        settings.mask.variance = vec![0.0];
        let first = draw("parts", &settings, 0).unwrap();
        assert_eq!(first.pictures.len(), 8);
        assert!((0..8).all(|i| (first.pictures[i].hidden(0) - 0.5).abs() < 0.1));
        assert_eq!(draw("parts", &settings, 0).unwrap(), first);
        assert_ne!(draw("parts", &settings, 1).unwrap(), first);
        settings.mask.ratio = vec![0.1];
        let less = draw("parts", &settings, 0).unwrap();
        assert!(less.pictures[0].hidden(0) < 0.2);
        settings.run.seed += 1;
        assert!(draw("/none", &settings, 0).is_err());
    }
}
