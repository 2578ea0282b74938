//! The measurements that a run makes of itself every so often, on the teacher.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::events::{EvalMetrics, PartMetrics};
use super::pictures::{Pictures, Subset};
use crate::data::{LoadError, Source};
use crate::pretrain::Trainer;
use crate::probe::clusters;
use crate::probe::features::{Embedded, Prepared, embed};
use crate::probe::knn::{Features, TEMPERATURE, knn};
use crate::probe::parts::{PatchParts, SHARE, part_groups, part_scores, patch_parts};
use crate::settings::Settings;

/// Neighbour counts of the reference's protocol; the best one counts.
pub const NEIGHBOURS: [usize; 4] = [10, 20, 100, 200];

/// Prepared pictures that are kept from one evaluation to the next, at most.
const KEPT_BYTES: usize = 256 << 20;

/// Pictures loaded and embedded at once where they are not kept.
const CHUNK: usize = 512;

/// Most prototypes that may together stand for a part.
const UNION: usize = 4;

/// Parts of several animals that also count as one.
const POOLS: [&str; 2] = ["eye", "ear"];

/// The pictures that evaluations look at, and what is known about them.
pub struct Evaluator {
    train: Option<Set>,
    test: Set,
}

struct Set {
    source: Arc<dyn Source>,
    kept: Option<Prepared>,
}

impl Evaluator {
    /// Chooses the pictures: labelled test pictures and their neighbours among the training ones;
    /// without labels, some training pictures for the label-free measures.
    pub fn new(pictures: &Pictures, settings: &Settings) -> Self {
        let data = &settings.data;
        let set = |source: &Arc<dyn Source>, count| Set {
            source: Subset::spread(source, count),
            kept: None,
        };
        match &pictures.test {
            Some(test) => Evaluator {
                train: Some(set(&pictures.train, data.knn_train)),
                test: set(test, data.knn_test),
            },
            None => Evaluator {
                train: None,
                test: set(&pictures.train, data.knn_test),
            },
        }
    }

    /// Measures the teacher after `step` steps. Pictures that cannot be read are returned.
    ///
    /// # Errors
    /// Features that are not finite.
    pub fn measure(
        &mut self,
        trainer: &Trainer,
        step: usize,
    ) -> Result<(EvalMetrics, Vec<LoadError>)> {
        let start = Instant::now();
        let (test, mut failures) = self.test.embed(trainer, true);
        let mut metrics = EvalMetrics {
            step,
            prototypes_used: distinct(&test.embedded.class_prototypes),
            prototypes_used_patch: distinct(&test.embedded.patch_prototypes),
            ..EvalMetrics::default()
        };
        if let Some(train) = &mut self.train {
            let (train, more) = train.embed(trainer, false);
            failures.extend(more);
            let (train_features, train_labels, _) = train.labelled();
            let (test_features, test_labels, prototypes) = test.labelled();
            if !train_labels.is_empty() && !test_labels.is_empty() {
                let results = knn(
                    &train_features,
                    &train_labels,
                    &test_features,
                    Some(&test_labels),
                    &NEIGHBOURS,
                    TEMPERATURE,
                )?;
                let accuracy = |r: &crate::probe::knn::KnnResult| Some((r.top1?, r.k));
                let best = results
                    .iter()
                    .filter_map(accuracy)
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                metrics.knn = best.map(|(top1, _)| top1);
                metrics.knn_k = best.map(|(_, k)| k);
                let scores = clusters::compare(&test_labels, &prototypes)?;
                metrics.nmi = Some(scores.nmi);
                metrics.ari = Some(scores.ari);
                metrics.fmi = Some(scores.fmi);
            }
        }
        metrics.parts = test.parts(&*self.test.source, trainer.settings.model.cell())?;
        metrics.seconds = start.elapsed().as_secs_f64();
        Ok((metrics, failures))
    }
}

fn distinct(values: &[u32]) -> usize {
    values
        .iter()
        .collect::<std::collections::HashSet<_>>()
        .len()
}

/// What the network said about a set, beside what is known of it.
struct Seen {
    dim: usize,
    embedded: Embedded,
    labels: Vec<Option<u32>>,
    maps: Vec<Option<crate::data::PartMap>>,
}

impl Set {
    fn embed(&mut self, trainer: &Trainer, head: bool) -> (Seen, Vec<LoadError>) {
        let settings = &trainer.settings;
        let side = settings.views.global_size;
        let mut seen = Seen {
            dim: trainer.teacher_network.backbone.dim(),
            embedded: Embedded::default(),
            labels: Vec::new(),
            maps: Vec::new(),
        };
        let mut failures = Vec::new();
        let count = self.source.len();
        let keep = count * side * side * 3 <= KEPT_BYTES;
        let chunk = if keep { count.max(1) } else { CHUNK };
        for from in (0..count).step_by(chunk) {
            let prepared = match self.kept.take() {
                Some(kept) => kept,
                None => Prepared::load(&self.source, from, from + chunk, side),
            };
            let (network, weights) = (&trainer.teacher_network, &trainer.teacher);
            let more = embed(
                network,
                weights,
                &prepared.pictures,
                &settings.views,
                head.then_some(&trainer.centres),
                &trainer.device,
            );
            seen.embedded.class.extend(more.class);
            seen.embedded.class_prototypes.extend(more.class_prototypes);
            seen.embedded.patch_prototypes.extend(more.patch_prototypes);
            seen.labels.extend(&prepared.labels);
            seen.maps.extend(prepared.parts.iter().cloned());
            failures.extend(prepared.failures.iter().cloned());
            self.kept = keep.then_some(prepared);
        }
        (seen, failures)
    }
}

impl Seen {
    /// Features, labels and class prototypes of the pictures whose class is known.
    fn labelled(&self) -> (Features, Vec<u32>, Vec<u32>) {
        let known = || {
            self.labels
                .iter()
                .enumerate()
                .filter_map(|(i, label)| Some((i, (*label)?)))
        };
        let features = known().flat_map(|(i, _)| &self.embedded.class[i * self.dim..][..self.dim]);
        let prototypes = known().filter_map(|(i, _)| self.embedded.class_prototypes.get(i));
        (
            Features {
                dim: self.dim,
                data: features.copied().collect(),
            },
            known().map(|(_, label)| label).collect(),
            prototypes.copied().collect(),
        )
    }

    /// How well prototypes find parts; empty where parts are not known.
    fn parts(&self, source: &dyn Source, patch: usize) -> Result<Vec<PartMetrics>> {
        let groups = part_groups(source.part_names(), &POOLS);
        let mut shown: Vec<PatchParts> = Vec::new();
        for map in &self.maps {
            match map {
                Some(map) => shown.extend(patch_parts(map, patch, &groups, SHARE)?),
                None => return Ok(Vec::new()),
            }
        }
        if shown.is_empty() {
            return Ok(Vec::new());
        }
        let scores = part_scores(&self.embedded.patch_prototypes, &shown, &groups, UNION)?;
        Ok(scores
            .into_iter()
            .filter_map(|score| {
                let (best, union) = (score.best?, score.union?);
                Some(PartMetrics {
                    part: score.name,
                    patches: score.population,
                    prototype: *best.prototypes.first()?,
                    precision: best.precision,
                    recall: best.recall,
                    union_precision: union.precision,
                    union_recall: union.recall,
                })
            })
            .collect())
    }
}
