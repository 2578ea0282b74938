//! A fine-tuning from its first epoch to its last: batches, tests, checkpoints that it can go on from.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::finetune::{BatchKey, RandAugment, Recipe as Views, ViewKey};
use crate::data::pixels::{self, Filter};
use crate::data::{Framing, Source};
use crate::explore::{Progress, Stopped, Tell};
use crate::finetune::{Classifier, Recipe, Tuner};
use crate::model::WeightError;
use crate::weights::file::{self, Precision};
use crate::weights::{Found, resize};

/// Pictures that are tested at once.
const TESTED: usize = 64;

/// What to fine-tune, on what.
pub struct Job<'a> {
    pub found: &'a Found,
    pub recipe: Recipe,
    /// Begin from the first layer of the projection head instead of from the backbone.
    pub from_head: bool,
    pub train: Arc<dyn Source>,
    pub test: Arc<dyn Source>,
    /// Side of the views in pixels.
    pub side: usize,
    /// What of a test picture is shown.
    pub framing: Framing,
    /// What views are normalised by.
    pub mean: [f64; 3],
    pub std: [f64; 3],
    /// Where metrics and checkpoints go; what is found there is gone on with.
    pub folder: Option<PathBuf>,
}

/// One epoch, and the test after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    pub loss: f64,
    pub lr: f64,
    /// Shares of right answers, `[0, 1]`.
    pub top1: f64,
    pub top5: f64,
}

/// All epochs.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub epochs: Vec<Epoch>,
    pub tested: usize,
}

impl Outcome {
    /// The epoch with most right answers; the reference reports it.
    pub fn best(&self) -> Option<&Epoch> {
        let better = |a: &&Epoch, b: &&Epoch| a.top1.total_cmp(&b.top1);
        self.epochs.iter().max_by(better)
    }
}

/// Fine-tunes; tells every epoch to `see`.
///
/// # Errors
/// Weights that do not fit, a folder of another fine-tuning, pictures of which none can be read, a loss that is not
/// finite, a stop from outside.
pub fn tune(
    job: &Job,
    device: &Device,
    tell: Tell,
    see: &mut dyn FnMut(&Epoch),
) -> Result<Outcome> {
    let mut tuning = Tuning::new(job, device)?;
    let labelled = |source: &Arc<dyn Source>| -> Vec<usize> {
        (0..source.len())
            .filter(|&i| source.label(i).is_some())
            .collect()
    };
    let (train, test) = (labelled(&job.train), labelled(&job.test));
    ensure!(
        !train.is_empty(),
        "none of the pictures to learn from is labelled"
    );
    ensure!(!test.is_empty(), "none of the test pictures is labelled");
    let done = tuning.outcome.epochs.len();
    for epoch in done..job.recipe.epochs {
        let loss = tuning.learn(epoch, &train, tell)?;
        let (top1, top5, tested) = tuning.test(&test)?;
        let total = job.recipe.epochs * tuning.per_epoch(train.len());
        let last = (epoch + 1) * tuning.per_epoch(train.len()) - 1;
        let lr = job.recipe.lr_at(last, tuning.per_epoch(train.len()), total);
        let line = Epoch {
            epoch: epoch + 1,
            loss,
            lr,
            top1,
            top5,
        };
        tuning.outcome.tested = tested;
        tuning.outcome.epochs.push(line.clone());
        tuning.keep(&line)?;
        see(&line);
    }
    if tuning.outcome.tested == 0 {
        tuning.outcome.tested = test.len();
    }
    Ok(tuning.outcome)
}

struct Tuning<'a> {
    job: &'a Job<'a>,
    tuner: Tuner,
    views: Views,
    outcome: Outcome,
}

/// A batch on its way.
struct Loaded {
    planes: Vec<f32>,
    targets: Vec<f32>,
    rows: usize,
}

impl<'a> Tuning<'a> {
    fn new(job: &'a Job, device: &Device) -> Result<Self> {
        let head = match (&job.found.head, job.from_head) {
            (_, false) => None,
            (Some(head), true) if head.layers > 1 => Some(head.hidden),
            (_, true) => bail!(
                "these weights have no projection head to begin from; leave out --from-head, or take a checkpoint \
                 with its head"
            ),
        };
        let mut backbone = job.found.backbone.clone();
        let own = backbone.clone();
        match &mut backbone {
            crate::model::Backbone::Vit(vit) => vit.image = job.side,
            crate::model::Backbone::Swin(_) => {}
        }
        let mut tensors = job.found.tensors.clone();
        resize(&mut tensors, &own, &backbone);
        let classifier = Classifier {
            backbone,
            head,
            classes: job.train.classes().len(),
        };
        let weights = classifier
            .begin(&tensors, job.recipe.seed, device)
            .context("the weights do not fit")?;
        let f32s = |v: [f64; 3]| v.map(|x| x as f32);
        let recipe = &job.recipe;
        let mut tuning = Tuning {
            job,
            tuner: Tuner::new(classifier, weights, recipe.clone(), device),
            views: Views {
                rand_augment: recipe.rand_augment.then(RandAugment::default),
                erasing: recipe.erasing,
                mixup: recipe.mixup,
                cutmix: recipe.cutmix,
                smoothing: recipe.smoothing,
                ..Views::new(job.side, f32s(job.mean), f32s(job.std))
            },
            outcome: Outcome::default(),
        };
        tuning.take_up()?;
        Ok(tuning)
    }

    fn per_epoch(&self, pictures: usize) -> usize {
        pictures.div_ceil(self.job.recipe.batch.max(1))
    }

    /// Trains for one epoch; gives the mean loss.
    fn learn(&mut self, epoch: usize, pictures: &[usize], tell: Tell) -> Result<f64> {
        let recipe = &self.job.recipe;
        let (per_epoch, seed) = (self.per_epoch(pictures.len()), recipe.seed);
        let total = recipe.epochs * per_epoch;
        let mut order = pictures.to_vec();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(epoch as u64);
        order.shuffle(&mut rng);
        let (views, source) = (&self.views, &self.job.train);
        let classes = self.tuner.classifier.classes;
        let (tuner, side) = (&mut self.tuner, self.job.side);
        let (mut sum, mut seen) = (0.0, 0usize);
        std::thread::scope(|scope| -> Result<()> {
            let (give, take) = sync_channel(1);
            let (order, batch) = (&order, recipe.batch.max(1));
            scope.spawn(move || {
                for (step, pictures) in order.chunks(batch).enumerate() {
                    let key = BatchKey { seed, epoch, step };
                    if give
                        .send(load(views, source, pictures, classes, key))
                        .is_err()
                    {
                        return; // the epoch was ended
                    }
                }
            });
            for (i, loaded) in take.into_iter().enumerate() {
                let loaded = loaded?;
                let step = epoch * per_epoch + i;
                if loaded.rows > 0 {
                    let lr = recipe.lr_at(step, per_epoch, total);
                    let loss = tuner.step(&loaded.planes, loaded.targets, side, step, lr);
                    ensure!(
                        loss.is_finite(),
                        "the loss is {loss} in epoch {}; a lower --lr usually helps",
                        epoch + 1
                    );
                    sum += f64::from(loss) * loaded.rows as f64;
                    seen += loaded.rows;
                }
                let progress = Progress {
                    what: "fine-tuning",
                    done: step + 1,
                    total,
                };
                if let ControlFlow::Break(()) = tell(progress) {
                    bail!(Stopped);
                }
            }
            Ok(())
        })?;
        ensure!(seen > 0, "none of the pictures to learn from can be read");
        Ok(sum / seen as f64)
    }

    /// Shares of right answers on test pictures, first and among five, and how many were tested.
    fn test(&self, pictures: &[usize]) -> Result<(f64, f64, usize)> {
        let (side, source) = (self.job.side, &self.job.test);
        let classes = self.tuner.classifier.classes;
        let (mut first, mut five, mut tested) = (0usize, 0usize, 0usize);
        for batch in pictures.chunks(TESTED) {
            let loaded: Vec<(Vec<f32>, usize)> = batch
                .par_iter()
                .filter_map(|&index| {
                    let picture = source.load(index).ok()?;
                    let view = self.job.framing.square(&picture, side, Filter::Bilinear);
                    let mut planes = vec![0.0; 3 * side * side];
                    let (mean, std) = (self.views.mean, self.views.std);
                    pixels::write_normalised(&view, mean, std, &mut planes);
                    Some((planes, source.label(index)?))
                })
                .collect();
            if loaded.is_empty() {
                continue;
            }
            let planes: Vec<f32> = loaded
                .iter()
                .flat_map(|(planes, _)| planes)
                .copied()
                .collect();
            let logits = self.tuner.logits(&planes, side);
            for (row, (_, label)) in logits.chunks_exact(classes).zip(&loaded) {
                let above = row.iter().filter(|&&x| x > row[*label]).count();
                first += usize::from(above == 0);
                five += usize::from(above < 5);
            }
            tested += loaded.len();
        }
        ensure!(tested > 0, "none of the test pictures can be read");
        let of = |n: usize| n as f64 / tested as f64;
        Ok((of(first), of(five), tested))
    }

    fn checkpoint(folder: &Path) -> PathBuf {
        folder.join("checkpoint.safetensors")
    }

    /// Goes on with what the folder holds.
    fn take_up(&mut self) -> Result<()> {
        let Some(folder) = &self.job.folder else {
            return Ok(());
        };
        let path = Self::checkpoint(folder);
        if !path.is_file() {
            return Ok(());
        }
        let (tensors, metadata) = file::read(&path)?;
        let is = |key: &str, want: &str| metadata.get(key).map(String::as_str) == Some(want);
        ensure!(
            is("recipe", &self.described()?),
            "{} holds a fine-tuning with other settings or pictures; name another --out, or delete it",
            folder.display()
        );
        self.tuner
            .restore(&tensors)
            .map_err(|error: WeightError| anyhow::anyhow!("{}: {error}", path.display()))?;
        let epochs = metadata.get("epochs").map_or("[]", String::as_str);
        self.outcome.epochs = serde_json::from_str(epochs)
            .with_context(|| format!("epochs in {}", path.display()))?;
        Ok(())
    }

    /// What has to be the same for a fine-tuning to go on.
    fn described(&self) -> Result<String> {
        let (train, test) = (&self.job.train, &self.job.test);
        Ok(serde_json::to_string(&(
            &self.job.recipe,
            self.job.from_head,
            (self.job.side, self.job.framing),
            (train.len(), test.len(), train.classes()),
        ))?)
    }

    /// Writes what an epoch has changed.
    fn keep(&self, epoch: &Epoch) -> Result<()> {
        let Some(folder) = &self.job.folder else {
            return Ok(());
        };
        let write = || -> Result<()> {
            std::fs::create_dir_all(folder)?;
            let metadata = HashMap::from([
                ("recipe".to_owned(), self.described()?),
                (
                    "epochs".to_owned(),
                    serde_json::to_string(&self.outcome.epochs)?,
                ),
            ]);
            let tensors = self.tuner.to_host();
            file::write(
                &Self::checkpoint(folder),
                &tensors,
                metadata,
                Precision::Full,
            )?;
            let is_best = self.outcome.best().map(|best| best.epoch) == Some(epoch.epoch);
            if is_best {
                let weights = self.tuner.weights.to_host();
                let best = folder.join("best.safetensors");
                file::write(&best, &weights, HashMap::new(), Precision::Full)?;
            }
            let mut lines = OpenOptions::new()
                .create(true)
                .append(true)
                .open(folder.join("metrics.jsonl"))?;
            let line = serde_json::to_string(epoch)? + "\n";
            Ok(lines.write_all(line.as_bytes())?)
        };
        write().with_context(|| format!("cannot write to {}", folder.display()))
    }
}

/// Loads and alters the pictures of a batch; those that cannot be read are left out.
fn load(
    views: &Views,
    source: &Arc<dyn Source>,
    pictures: &[usize],
    classes: usize,
    key: BatchKey,
) -> Result<Loaded> {
    let each: Vec<(Vec<f32>, usize)> = pictures
        .par_iter()
        .filter_map(|&picture| {
            let loaded = source.load(picture).ok()?;
            let key = ViewKey {
                seed: key.seed,
                epoch: key.epoch,
                picture,
                view: 0,
            };
            Some((views.view(&loaded, key), source.label(picture)?))
        })
        .collect();
    let labels: Vec<usize> = each.iter().map(|(_, label)| *label).collect();
    let mut planes: Vec<f32> = each.into_iter().flat_map(|(planes, _)| planes).collect();
    let targets = views.mix(&mut planes, &labels, classes, key)?;
    Ok(Loaded {
        planes,
        targets,
        rows: labels.len(),
    })
}
