//! A first look at a source, before anything is built: what is there, and which preset suits it.

use std::sync::Arc;

use anyhow::Result;
use rayon::prelude::*;

use super::pictures::{self, DEMO, Subset};
use crate::data::pixels::{Filter, resize_shorter};
use crate::data::{Picture, Source, pixels};
use crate::settings::{Settings, preset};

/// Pictures that are opened to learn about the others.
const SAMPLES: usize = 48;

/// Side of a sample picture.
const SIDE: usize = 96;

/// What is in a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// As it was asked for.
    pub source: String,
    pub pictures: usize,
    /// Class names with the number of their pictures; empty where nothing is labelled.
    pub classes: Vec<(String, usize)>,
    /// Width and height in pixels, of the samples: least, median, largest by area.
    pub sizes: Option<[(usize, usize); 3]>,
    /// Files that cannot be used, of those that were looked at.
    pub broken: Vec<String>,
    /// Small squares of some pictures, with their names.
    pub samples: Vec<(String, Picture)>,
    /// The preset that suits it, and why.
    pub preset: &'static str,
    pub why: String,
}

impl Survey {
    /// Looks into `spec`: `parts`, a folder, an archive, a file, CIFAR-10. `is_cpu` tells whether the run would
    /// be computed without a GPU.
    ///
    /// # Errors
    /// A path that is missing or holds no readable picture.
    pub fn of(spec: &str, is_cpu: bool) -> Result<Self> {
        let (source, warnings) = match spec {
            DEMO => {
                let demo = pictures::open(spec, &preset("demo")?.settings()?)?;
                (demo.train, demo.warnings)
            }
            _ => pictures::open_whole(spec, &Settings::default())?,
        };
        let mut broken: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let spread = Subset::spread(&source, SAMPLES);
        let loaded: Vec<_> = (0..spread.len())
            .into_par_iter()
            .map(|index| (spread.name(index), spread.load(index)))
            .collect();
        let (mut samples, mut sizes) = (Vec::new(), Vec::new());
        for (name, picture) in loaded {
            match picture {
                Ok(picture) => {
                    sizes.push((picture.width, picture.height));
                    let small = resize_shorter(&picture, SIDE, Filter::Bicubic);
                    samples.push((name, pixels::centre_crop(&small, SIDE)));
                }
                Err(failure) => broken.push(failure.to_string()),
            }
        }
        sizes.sort_by_key(|&(w, h)| w * h);
        let sizes = match sizes.as_slice() {
            [] => None,
            all => Some([all[0], all[all.len() / 2], all[all.len() - 1]]),
        };
        let (preset, why) = suits(spec, source.len(), sizes, is_cpu);
        Ok(Survey {
            source: spec.to_owned(),
            pictures: source.len(),
            classes: count(&source),
            sizes,
            broken,
            samples,
            preset,
            why,
        })
    }
}

fn count(source: &Arc<dyn Source>) -> Vec<(String, usize)> {
    let mut counts = vec![0; source.classes().len()];
    for label in (0..source.len()).filter_map(|index| source.label(index)) {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    source.classes().iter().cloned().zip(counts).collect()
}

/// The preset for so many pictures of these sizes.
fn suits(
    spec: &str,
    pictures: usize,
    sizes: Option<[(usize, usize); 3]>,
    is_cpu: bool,
) -> (&'static str, String) {
    let small = sizes.is_some_and(|[_, (w, h), _]| w.max(h) <= 48);
    if spec == DEMO {
        return (
            "demo",
            "the built-in pictures have a preset of their own".into(),
        );
    }
    if small {
        let why = "the pictures are as small as those of CIFAR-10";
        return ("cifar10", why.into());
    }
    if is_cpu || pictures < 20_000 {
        let why = match (is_cpu, pictures < 20_000) {
            (true, _) => "on a CPU a small network learns most in the time there is".into(),
            _ => format!("{pictures} pictures are few: a small network learns them soonest"),
        };
        return ("photos", why);
    }
    let why = format!("{pictures} pictures and a GPU are enough for ViT-S/16");
    ("vits16", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_described_with_what_is_broken() {
        let folder = tempfile::tempdir().unwrap();
        for (class, count) in [("cat", 3), ("dog", 2)] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            for i in 0..count {
                let picture = image::RgbImage::from_pixel(60 + i, 50, image::Rgb([200, 10, 10]));
                picture
                    .save(folder.path().join(class).join(format!("{i}.png")))
                    .unwrap();
            }
        }
        std::fs::write(folder.path().join("dog/bad.jpg"), b"no picture").unwrap();
        let survey = Survey::of(&folder.path().display().to_string(), true).unwrap();
        assert_eq!(survey.classes, [("cat".into(), 3), ("dog".into(), 3)]);
        assert_eq!(survey.samples.len(), 5);
        assert!(survey.broken.len() == 1 && survey.broken[0].contains("bad.jpg"));
        assert_eq!(survey.sizes.unwrap()[2], (62, 50));
        assert_eq!(survey.preset, "photos");
        assert!(Survey::of("/no/such/place", true).is_err());
        assert_eq!(suits("x", 100_000, survey.sizes, false).0, "vits16");
        assert_eq!(suits("x", 100_000, Some([(32, 32); 3]), false).0, "cifar10");
    }
}
