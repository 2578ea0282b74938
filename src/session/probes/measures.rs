//! The probes that learn from labels, and those that compare with them.

use anyhow::{Result, bail};

use super::rows::{Bench, Rows, What};
use super::{Kind, Measure, Measured, Plan, Row, Sets};
use crate::probe::interval::{spread, wilson};
use crate::probe::kmeans::{KmeansOptions, kmeans};
use crate::probe::knn::knn;
use crate::probe::labelled::Labelled;
use crate::probe::linear::{LinearOptions, Rate, Rule, train_linear};
use crate::probe::logistic::{LogisticOptions, logistic};
use crate::probe::nearest::Features;
use crate::probe::pooled::Pooling;
use crate::probe::retrieval::{KS, leave_one_out};
use crate::probe::sweep::{rates, sweep};
use crate::probe::{clusters, splits};

/// Numbers by name, each once a repeat.
type Numbers = Vec<(String, f64)>;

/// Measures one kind of features.
pub fn measure(bench: &mut Bench, sets: &Sets) -> Result<(Row, Measured)> {
    let plan = bench.plan;
    let what = match plan.kind {
        Kind::Linear => {
            let (blocks, pooling) = bench.eyes.linear_protocol();
            What::Pooled(
                plan.blocks.unwrap_or(blocks),
                plan.pooling.unwrap_or(pooling),
            )
        }
        Kind::Retrieval if let Some(longest) = plan.long_side => What::Whole(longest),
        _ => What::Pooled(1, Pooling::Class),
    };
    let whole = bench.rows(&sets.train, what)?;
    let test = match &sets.test {
        Some(test) => Some(bench.rows(test, what)?),
        None => None,
    };
    // Only what is random is drawn again: the split, k-means' start, the classifier's start.
    let is_random = test.is_none() || matches!(plan.kind, Kind::Cluster | Kind::Linear);
    let repeats = if is_random { plan.repeats.max(1) } else { 1 };
    let mut each: Vec<Numbers> = Vec::new();
    let mut notes = Vec::new();
    let mut measured = Measured {
        train: 0,
        test: 0,
        words: sets.from.clone(),
        intervals: String::new(),
    };
    for repeat in 0..repeats {
        let seed = plan.seed.wrapping_add(repeat);
        let drawn;
        let (train, test) = match &test {
            Some(test) => (&whole, test),
            None => {
                let split = splits::held_out(&whole.labels, plan.held_out, seed)?;
                drawn = (whole.take(&split.train), whole.take(&split.held_out));
                (&drawn.0, &drawn.1)
            }
        };
        (measured.train, measured.test) = (train.labels.len(), test.labels.len());
        let (numbers, mut said) = match plan.kind {
            Kind::Knn => (neighbours(plan, train, test)?, Vec::new()),
            Kind::Linear => linear(bench, train, test, seed)?,
            Kind::Logistic => regression(bench, train, test)?,
            Kind::Cluster => (clustered(bench, test, seed)?, Vec::new()),
            Kind::Retrieval => (retrieved(test)?, Vec::new()),
            Kind::Copy | Kind::Finetune | Kind::Semi => bail!("this probe is measured elsewhere"),
        };
        if repeat == 0 {
            notes.append(&mut said);
        }
        each.push(numbers);
    }
    if test.is_none() {
        measured.words = format!(
            "{:.0} % held out of every class (seed {})",
            100.0 * plan.held_out,
            plan.seed
        );
    }
    let accuracies = matches!(plan.kind, Kind::Knn | Kind::Linear | Kind::Logistic);
    measured.intervals = match (repeats > 1, accuracies) {
        (true, _) => format!("95 % of the mean over {repeats} seeds (Student's t)"),
        (false, true) => "95 % for so many test pictures (Wilson)".into(),
        (false, false) => String::new(),
    };
    let mut row = Row {
        features: bench.eyes.name(),
        measures: Vec::new(),
        notes,
    };
    for (i, (name, value)) in each[0].iter().enumerate() {
        let values: Vec<f64> = each.iter().map(|numbers| numbers[i].1).collect();
        let (value, interval) = match repeats > 1 {
            true => {
                let over = spread(&values)?;
                (over.mean, over.interval)
            }
            false if accuracies => {
                let right = (value * measured.test as f64).round() as usize;
                (*value, Some(wilson(right, measured.test)?))
            }
            false => (*value, None),
        };
        row.measures.push(Measure {
            name: name.clone(),
            value,
            interval,
        });
    }
    // The prototypes need no training and no k-means: their assignment is what the network itself says.
    if let (Kind::Cluster, Some(test)) = (plan.kind, &sets.test)
        && let Some((ids, labels)) = bench.prototypes(test)?
    {
        let found = clusters::compare(&labels, &ids)?;
        let numbers = agreement("prototypes", &found);
        row.measures.extend(numbers.into_iter().map(Measure::bare));
        row.notes.push(format!(
            "prototypes: the most likely one of the class token, {} of them in use",
            found.clusters
        ));
    }
    Ok((row, measured))
}

fn neighbours(plan: &Plan, train: &Rows, test: &Rows) -> Result<Numbers> {
    let results = knn(
        &train.features,
        &train.labels,
        &test.features,
        Some(&test.labels),
        &plan.ks,
        plan.temperature,
    )?;
    let number = |k: usize, top: &str, value: Option<f64>| {
        value.map(|value| (format!("k = {k}{top}"), value))
    };
    let top1 = results.iter().filter_map(|r| number(r.k, "", r.top1));
    Ok(top1.collect())
}

/// The best accuracy over all numbers of neighbours, as the reference reports it.
pub(super) fn neighbours_best(plan: &Plan, train: &Rows, test: &Rows) -> Result<f64> {
    let all = neighbours(plan, train, test)?;
    Ok(all.iter().map(|(_, value)| *value).fold(0.0, f64::max))
}

pub(super) fn labelled(rows: &Rows) -> Labelled<'_> {
    Labelled {
        features: &rows.features,
        labels: &rows.labels,
    }
}

fn classes(train: &Rows, test: &Rows) -> usize {
    let all = train.labels.iter().chain(&test.labels);
    all.max().map_or(0, |&label| label as usize + 1)
}

fn linear(bench: &Bench, train: &Rows, test: &Rows, seed: u64) -> Result<(Numbers, Vec<String>)> {
    let plan = bench.plan;
    let options = LinearOptions {
        epochs: plan.epochs,
        batch: plan.batch,
        seed,
        ..LinearOptions::new(classes(train, test))
    };
    if let Some(lr) = plan.lr {
        let rate = Rate {
            lr,
            weight_decay: plan.decays.first().copied().unwrap_or(0.0),
            rule: plan.rules.first().copied().unwrap_or_default(),
        };
        let result = train_linear(labelled(train), labelled(test), rate, &options)?;
        let best = &result.epochs[result.best].test;
        let last = result.epochs.last().map_or(best, |epoch| &epoch.test);
        let numbers = vec![
            ("best epoch".to_owned(), best.top1),
            ("last epoch".to_owned(), last.top1),
        ];
        return Ok((numbers, Vec::new()));
    }
    let rates = rates(&plan.rules, &plan.decays);
    let found = sweep(labelled(train), labelled(test), &rates, &options)?;
    let named = |rate: &Rate| {
        let rule = match rate.rule {
            Rule::Sgd => "",
            Rule::Lars => " of LARS",
        };
        match rate.weight_decay {
            0.0 => format!("rate {:.5}{rule}", rate.lr),
            decay => format!("rate {:.5}{rule}, weight decay {decay:e}", rate.lr),
        }
    };
    let mut numbers = Numbers::new();
    let mut notes = Vec::new();
    if let Some(honest) = found.honest {
        numbers.push(("top-1".into(), honest.test.top1));
        notes.push(format!(
            "top-1: {} and epoch {} chosen on a held-out tenth of the training pictures",
            named(&honest.rate),
            honest.epoch + 1
        ));
    }
    numbers.push(("best on test".into(), found.on_test.test.top1));
    notes.push(format!(
        "best on test: {} and epoch {} chosen on the test pictures themselves, as in the reference",
        named(&found.on_test.rate),
        found.on_test.epoch + 1
    ));
    Ok((numbers, notes))
}

fn regression(bench: &Bench, train: &Rows, test: &Rows) -> Result<(Numbers, Vec<String>)> {
    let (mut numbers, mut notes) = (Numbers::new(), Vec::new());
    let count = classes(train, test);
    for &lambda in &bench.plan.lambdas {
        let options = LogisticOptions::new(count, lambda);
        let found = logistic(labelled(train), labelled(test), &options)?;
        if !found.converged {
            notes.push(format!(
                "lambda {lambda}: not converged after {} iterations, gradient {:.1e}",
                found.iterations, found.gradient_norm
            ));
        }
        numbers.push((format!("lambda {lambda}"), found.accuracy.top1));
    }
    Ok((numbers, notes))
}

fn clustered(bench: &Bench, test: &Rows, seed: u64) -> Result<Numbers> {
    let count = match bench.plan.clusters {
        0 => classes(test, test),
        count => count,
    };
    let options = KmeansOptions {
        seed,
        ..KmeansOptions::new(count.min(test.labels.len()))
    };
    let mut unit = test.features.clone();
    normalise(&mut unit);
    let found = kmeans(&unit, &options)?;
    let scores = clusters::compare(&test.labels, &found.assignments)?;
    Ok(agreement("k-means", &scores))
}

fn agreement(of: &str, scores: &clusters::ClusterScores) -> Numbers {
    vec![
        (format!("{of} ACC"), scores.accuracy),
        (format!("{of} NMI"), scores.nmi),
        (format!("{of} ARI"), scores.ari),
        (format!("{of} FMI"), scores.fmi),
    ]
}

fn retrieved(test: &Rows) -> Result<Numbers> {
    let found = leave_one_out(&test.features, &test.labels, &KS)?;
    let mut numbers = vec![("mAP".to_owned(), found.map)];
    for (k, precision) in KS.iter().zip(&found.precision) {
        numbers.push((format!("mP@{k}"), *precision));
    }
    Ok(numbers)
}

/// Every row at length 1.
fn normalise(features: &mut Features) {
    for row in features.data.chunks_exact_mut(features.dim.max(1)) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
        row.iter_mut().for_each(|x| *x /= norm);
    }
}
