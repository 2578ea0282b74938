//! k-NN of a checkpoint on any two labelled sources, beside the baselines it must beat.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;

use super::checkpoint::Checkpoint;
use super::evaluate::NEIGHBOURS;
use super::pictures;
use crate::data::Source;
use crate::model::Parameters;
use crate::pretrain::Network;
use crate::probe::features::{Prepared, embed};
use crate::probe::knn::{Features, TEMPERATURE, knn};
use crate::settings::Settings;

/// Raw pixels are compared at this side at most: beyond it they only get slower.
const RAW_SIDE: usize = 32;

/// Pictures that vote and pictures to classify.
pub struct Sources {
    pub train: Arc<dyn Source>,
    pub test: Arc<dyn Source>,
}

impl Sources {
    /// Opens both; without a test source, the test part of the training source.
    ///
    /// # Errors
    /// A source that cannot be opened or has no labels.
    pub fn open(train: &str, test: Option<&str>, settings: &Settings) -> Result<Self> {
        let opened = pictures::open(train, settings)?;
        let test = match test {
            Some(test) if test != train => {
                let opened = pictures::open(test, settings)?;
                opened
                    .test
                    .filter(|_| opened.train.classes().is_empty())
                    .unwrap_or(opened.train)
            }
            _ => opened.test.with_context(|| {
                format!("{train} has no labelled pictures to test with; name a test source")
            })?,
        };
        for (name, source) in [(train, &opened.train), ("the test source", &test)] {
            if source.classes().is_empty() {
                bail!("{name} has no classes: k-NN needs one folder for each class");
            }
        }
        if opened.train.classes() != test.classes() {
            bail!(
                "the sources have different classes: {} and {}",
                opened.train.classes().join(", "),
                test.classes().join(", ")
            );
        }
        Ok(Sources {
            train: opened.train,
            test,
        })
    }
}

/// Accuracies of one kind of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub name: String,
    /// Top-1 accuracy in [0, 1] for each k.
    pub top1: Vec<(usize, f64)>,
}

/// Measures the checkpoint's teacher (or student), and with `baselines` raw pixels and an untrained
/// network of the same shape.
///
/// # Errors
/// Weights that do not fit, or pictures of which none is labelled and readable.
pub fn compare(
    checkpoint: &Checkpoint,
    sources: &Sources,
    device: &Device,
    student: bool,
    baselines: bool,
) -> Result<Vec<Row>> {
    let settings = &checkpoint.settings;
    let (network, part) = match student {
        true => (Network::student(settings), "student"),
        false => (Network::teacher(settings), "teacher"),
    };
    let specs = network.specs();
    let trained = Parameters::load(&specs, &checkpoint.part(part), device)?;
    let side = settings.views.global_size;
    let mut rows = Vec::new();
    let load = |source: &Arc<dyn Source>, side| Prepared::load(source, 0, source.len(), side);
    if baselines {
        let side = side.min(RAW_SIDE);
        let (train, test) = (load(&sources.train, side), load(&sources.test, side));
        rows.push(accuracy("raw pixels", &train, &test, |set| set.raw())?);
    }
    let (train, test) = (load(&sources.train, side), load(&sources.test, side));
    let features = |weights: &Parameters, set: &Prepared| {
        let seen = embed(
            &network,
            weights,
            &set.pictures,
            &settings.views,
            None,
            device,
        );
        Features {
            dim: network.backbone.dim(),
            data: seen.class,
        }
    };
    if baselines {
        let fresh = Parameters::init(&specs, settings.run.seed, device);
        rows.push(accuracy("untrained network", &train, &test, |set| {
            features(&fresh, set)
        })?);
    }
    let name = format!("{part} after {} steps", checkpoint.step);
    rows.push(accuracy(&name, &train, &test, |set| {
        features(&trained, set)
    })?);
    Ok(rows)
}

fn accuracy(
    name: &str,
    train: &Prepared,
    test: &Prepared,
    features: impl Fn(&Prepared) -> Features,
) -> Result<Row> {
    let labelled = |set: &Prepared| -> (Features, Vec<u32>) {
        let all = features(set);
        let known = set
            .labels
            .iter()
            .enumerate()
            .filter(|(_, label)| label.is_some());
        let rows = known.flat_map(|(i, _)| all.data[i * all.dim..][..all.dim].to_vec());
        let data = rows.collect();
        (
            Features { dim: all.dim, data },
            set.labels.iter().flatten().copied().collect(),
        )
    };
    let ((train, train_labels), (test, test_labels)) = (labelled(train), labelled(test));
    let results = knn(
        &train,
        &train_labels,
        &test,
        Some(&test_labels),
        &NEIGHBOURS,
        TEMPERATURE,
    )?;
    let top1 = results
        .iter()
        .map(|r| (r.k, r.top1.unwrap_or(f64::NAN)))
        .collect();
    Ok(Row {
        name: name.to_owned(),
        top1,
    })
}
