//! Probes of frozen features on labelled pictures: opened, measured, reported.

mod copying;
mod landmarks;
mod measures;
mod rows;
pub mod tuned;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use clap::ValueEnum;
use serde::Serialize;

use super::encoder::Opened;
use super::pictures::{self, Subset};
use crate::data::cifar::Split;
use crate::data::open;
use crate::data::{LoadError, Source};
use crate::explore::{Cache, Tell};
use crate::probe::linear::Rule;
use crate::probe::pooled::Pooling;
use crate::settings::Settings;
pub use landmarks::Landmarks;
use rows::Eyes;

/// Longer side of pictures that are described whole for retrieval, in pixels.
pub const LONG_SIDE: usize = 512;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Weighted k-nearest neighbours of class tokens
    Knn,
    /// A linear classifier on class tokens, at 45 learning rates
    Linear,
    /// Logistic regression with an L2 penalty
    Logistic,
    /// k-means and the network's own prototypes against the classes
    Cluster,
    /// Every test picture looks for those of its class: mean average precision
    Retrieval,
    /// Distorted copies of pictures are looked for among all of them
    Copy,
    /// Train backbone and classifier together on all labels
    Finetune,
    /// Learn from 1 % and 10 % of the labels: frozen features, and the whole network
    Semi,
}

/// How.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kind: Kind,
    /// Neighbours of k-NN.
    pub ks: Vec<usize>,
    /// Temperature of k-NN's votes.
    pub temperature: f32,
    /// Blocks whose class tokens make the features of the linear probe; `None` as the protocol has it.
    pub blocks: Option<usize>,
    pub pooling: Option<Pooling>,
    /// Penalties of logistic regression.
    pub lambdas: Vec<f64>,
    /// Epochs and batch of the linear probe, and one learning rate instead of the sweep over 45.
    pub epochs: usize,
    pub batch: usize,
    pub lr: Option<f64>,
    /// Optimizers and weight decays that the sweep tries at every rate; one rate alone takes the first of each.
    pub rules: Vec<Rule>,
    pub decays: Vec<f64>,
    /// Pictures of retrieval are described whole, their longer side cut down to this; else as squares.
    pub long_side: Option<usize>,
    /// Clusters of k-means; 0 = as many as classes.
    pub clusters: usize,
    /// Features for copy detection are whitened.
    pub whiten: bool,
    /// Share held out of every class where there are no test pictures.
    pub held_out: f64,
    /// Random choices (splits, starts) are drawn this often.
    pub repeats: u64,
    pub seed: u64,
    /// Raw pixels and an untrained network are measured too.
    pub baselines: bool,
}

/// Pictures to learn from and to test with.
pub struct Sets {
    pub train: Arc<dyn Source>,
    /// `None`: some are held out of `train`.
    pub test: Option<Arc<dyn Source>>,
    /// Where the test pictures are from, in words.
    pub from: String,
    pub warnings: Vec<LoadError>,
}

impl Sets {
    /// Opens both, at most `most` pictures of each (0 = all), evenly spread. Without `test` the official test
    /// part of `train` is taken, where it has one.
    ///
    /// # Errors
    /// A source that cannot be opened or has no labels, or two with different classes.
    pub fn open(
        train: &str,
        test: Option<&str>,
        settings: &Settings,
        most: [usize; 2],
    ) -> Result<Self> {
        let limit = |source: Arc<dyn Source>, most: usize| match most {
            0 => source,
            most => Subset::spread(&source, most),
        };
        let mut opened = pictures::open_official(train, settings)?;
        let mut from = match opened.test {
            Some(_) => format!("the test part of {train}"),
            None => String::new(),
        };
        if let Some(test) = test {
            let found = match test == pictures::DEMO {
                true => pictures::open_whole(test, settings)?,
                false => {
                    let found = open::open(test, Split::Test)?;
                    (found.source, found.warnings)
                }
            };
            opened.test = Some(found.0);
            opened.warnings.extend(found.1);
            from = test.to_owned();
        }
        let sets = Sets {
            train: limit(opened.train, most[0]),
            test: opened.test.map(|test| limit(test, most[1])),
            from,
            warnings: opened.warnings,
        };
        let mut named = vec![(train, &sets.train)];
        named.extend(sets.test.as_ref().map(|test| (sets.from.as_str(), test)));
        for (name, source) in named {
            ensure!(
                source.classes().len() > 1,
                "{name} has no classes: a probe needs one folder for each class, CIFAR-10, or a table of path,label"
            );
        }
        if let Some(test) = &sets.test
            && test.classes() != sets.train.classes()
        {
            bail!(
                "the sources have different classes: {} and {}",
                sets.train.classes().join(", "),
                test.classes().join(", ")
            );
        }
        Ok(sets)
    }
}

/// One number of a probe.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    pub name: String,
    pub value: f64,
    /// 95 % confidence interval, where it is known.
    pub interval: Option<(f64, f64)>,
}

impl Measure {
    /// A number without an interval.
    fn bare((name, value): (String, f64)) -> Self {
        Measure {
            name,
            value,
            interval: None,
        }
    }
}

/// The numbers of one kind of features.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub features: String,
    pub measures: Vec<Measure>,
    /// What has to be said of them.
    pub notes: Vec<String>,
}

/// A probe's result.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub probe: Kind,
    pub train: String,
    pub train_pictures: usize,
    pub test: String,
    pub test_pictures: usize,
    pub classes: usize,
    /// What the intervals are of.
    pub intervals: String,
    pub rows: Vec<Row>,
}

/// What is measured on.
pub enum Subject {
    Sets(Sets),
    /// Retrieval with a list of what every query should find.
    List(Landmarks),
}

/// Measures the network of `opened` on `subject`, called `name`, and with `plan.baselines` raw pixels and an untrained
/// network of its shape.
///
/// # Errors
/// A stopped walk, pictures of which none is labelled and readable, numbers that are not finite.
pub fn run(
    plan: &Plan,
    opened: &Opened,
    (subject, name): (&Subject, &str),
    cache: &Cache,
    device: &Device,
    tell: Tell,
) -> Result<Report> {
    let mut report = Report::empty(plan.kind, name);
    for eyes in &eyes(plan, opened, device)? {
        let mut bench = rows::Bench {
            plan,
            eyes,
            cache,
            tell: &mut *tell,
        };
        let measured = match (subject, plan.kind) {
            (Subject::List(list), _) => list.measure(&mut bench),
            (Subject::Sets(sets), Kind::Copy) => copying::measure(&mut bench, sets),
            (Subject::Sets(sets), _) => measures::measure(&mut bench, sets),
        };
        let (row, on) = measured.with_context(|| format!("features of {}", eyes.name()))?;
        (report.train_pictures, report.test_pictures) = (on.train, on.test);
        (report.test, report.intervals) = (on.words, on.intervals);
        report.rows.push(row);
    }
    if let Subject::Sets(sets) = subject {
        report.classes = sets.train.classes().len();
    }
    Ok(report)
}

impl Report {
    fn empty(probe: Kind, train: &str) -> Self {
        Report {
            probe,
            train: train.to_owned(),
            train_pictures: 0,
            test: String::new(),
            test_pictures: 0,
            classes: 0,
            intervals: String::new(),
            rows: Vec::new(),
        }
    }
}

/// What is compared: the network, with `plan.baselines` also raw pixels and an untrained network.
fn eyes(plan: &Plan, opened: &Opened, device: &Device) -> Result<Vec<Eyes>> {
    let encoder = || Box::new(opened.encoder.clone());
    let mut eyes: Vec<Eyes> = Vec::new();
    if plan.baselines {
        let side = opened.encoder.side.min(rows::RAW_SIDE);
        eyes.push(Eyes::Pixels(side, encoder()));
        let untrained = opened
            .encoder
            .untrained(&opened.settings, plan.seed, device)?;
        eyes.push(Eyes::Network(Box::new(untrained)));
    }
    eyes.push(Eyes::Network(encoder()));
    Ok(eyes)
}

/// What the numbers of a row were measured on.
struct Measured {
    train: usize,
    test: usize,
    /// How the test pictures were chosen.
    words: String,
    intervals: String,
}
