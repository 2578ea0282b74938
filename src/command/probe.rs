//! `patchlight probe`: how good a network's features are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::look::{NetworkArgs, Watch, warn};
use crate::data::Framing;
use crate::device;
use crate::explore::Cache;
use crate::finetune::Recipe;
use crate::probe::knn::TEMPERATURE;
use crate::probe::linear::Rule;
use crate::probe::logistic::LAMBDAS;
use crate::probe::pooled::Pooling;
use crate::session::evaluate::NEIGHBOURS;
use crate::session::probes::tuned::{Tuned, finetune, semi};
use crate::session::probes::{Kind, Landmarks, Plan, Report, Row, Sets, Subject, run as measure};
use crate::session::tuning::Epoch;
use crate::weights::file::write_atomically;

#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    #[arg(value_enum)]
    kind: Kind,
    #[command(flatten)]
    network: NetworkArgs,
    /// Labelled pictures to learn from: a folder of class folders, an archive of one, CIFAR-10, a table of path,label
    /// (.csv), or `parts`; for retrieval also a list of queries as revisited Oxford and Paris have it (.pkl, .json)
    train: String,
    /// Labelled pictures to test with [default: the test part of TRAIN, or a part held out of it]
    test: Option<String>,
    /// What of a picture is shown to the network [default: squeezed for copy, else evaluation]
    #[arg(long, value_enum)]
    framing: Option<Framing>,
    /// At most this many pictures to learn from, 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_train: usize,
    /// At most this many pictures to test with, 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_test: usize,
    /// Share of every class that is held out where there are no test pictures
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    held_out: f64,
    /// Repeat what is drawn at random (held-out pictures, starts) with so many seeds, for an interval
    #[arg(long, default_value_t = 1, value_name = "N")]
    repeats: u64,
    /// First seed of random choices
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Also measure raw pixels and an untrained network of the same shape
    #[arg(long)]
    baselines: bool,
    /// Write the result here too, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Neither use nor keep features of earlier probes
    #[arg(long)]
    no_cache: bool,
    /// knn: numbers of neighbours
    #[arg(long, value_delimiter = ',', default_values_t = NEIGHBOURS, value_name = "K,K")]
    k: Vec<usize>,
    /// knn: temperature of the votes
    #[arg(long, default_value_t = TEMPERATURE)]
    temperature: f32,
    /// linear: class tokens of so many last blocks [default: 4; 1 where they are 768 wide or wider]
    #[arg(long, value_name = "N")]
    blocks: Option<usize>,
    /// linear: which tokens [default: class; class-and-mean where they are 768 wide or wider]
    #[arg(long, value_enum)]
    pool: Option<Pooling>,
    /// linear: epochs
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// linear: pictures a step
    #[arg(long, default_value_t = 1024)]
    batch: usize,
    /// linear: one learning rate (for a batch of 256) instead of the sweep over 45
    #[arg(long)]
    lr: Option<f64>,
    /// linear: optimizers that are tried at every rate; with --lr the first one
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Rule::Sgd], value_name = "NAME,NAME")]
    optimizer: Vec<Rule>,
    /// linear: weight decays that are tried at every rate; with --lr the first one
    #[arg(long, value_delimiter = ',', default_values_t = [0.0], value_name = "D,D")]
    decay: Vec<f64>,
    /// logistic: penalties
    #[arg(long, value_delimiter = ',', default_values_t = LAMBDAS, value_name = "L,L")]
    lambda: Vec<f64>,
    /// cluster: clusters of k-means, 0 = as many as classes
    #[arg(long, default_value_t = 0, value_name = "N")]
    clusters: usize,
    /// retrieval: describe pictures whole and at three scales, their longer side cut down to this, instead of as
    /// squares [default with a list of queries: 512]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    long_side: Option<u32>,
    /// copy: whiten the features, learned on pictures that are not copied
    #[arg(long)]
    whiten: bool,
    #[command(flatten)]
    tuning: TuningArgs,
}

/// Fine-tuning; defaults are the reference's for ViT-S.
#[derive(clap::Args)]
#[command(next_help_heading = "Fine-tuning (finetune, semi)")]
struct TuningArgs {
    /// Folder for metrics and checkpoints; the same command goes on with what is there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Epochs
    #[arg(long, default_value_t = 200, value_name = "N")]
    tune_epochs: usize,
    /// Pictures a step
    #[arg(long, default_value_t = 128, value_name = "N")]
    tune_batch: usize,
    /// Highest learning rate; not scaled with the batch
    #[arg(long, default_value_t = 1e-3, value_name = "RATE")]
    tune_lr: f64,
    /// Epochs over which the learning rate rises
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    warmup: f64,
    /// Weight decay of matrices
    #[arg(long, default_value_t = 0.05)]
    weight_decay: f64,
    /// Each block learns this much slower than the one after it
    #[arg(long, default_value_t = 0.75)]
    layer_decay: f64,
    /// How often the last block is skipped for a picture
    #[arg(long, default_value_t = 0.1)]
    drop_path: f64,
    /// Mixup's alpha, 0 = off
    #[arg(long, default_value_t = 0.8)]
    mixup: f64,
    /// CutMix's alpha, 0 = off
    #[arg(long, default_value_t = 1.0)]
    cutmix: f64,
    /// Probability of erasing a rectangle
    #[arg(long, default_value_t = 0.25)]
    erasing: f64,
    /// Share of a label that is spread over all classes
    #[arg(long, default_value_t = 0.1)]
    smoothing: f64,
    /// No RandAugment
    #[arg(long)]
    no_rand_augment: bool,
    /// finetune: begin from the first layer of the projection head, as semi does where there is one
    #[arg(long)]
    from_head: bool,
    /// semi: shares of the labels
    #[arg(long, value_delimiter = ',', default_values_t = [0.01, 0.1], value_name = "SHARE,SHARE")]
    share: Vec<f64>,
}

impl TuningArgs {
    fn recipe(&self, seed: u64) -> Recipe {
        Recipe {
            epochs: self.tune_epochs,
            batch: self.tune_batch,
            lr: self.tune_lr,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            layer_decay: self.layer_decay,
            drop_path: self.drop_path,
            rand_augment: !self.no_rand_augment,
            erasing: self.erasing,
            mixup: self.mixup,
            cutmix: self.cutmix,
            smoothing: self.smoothing,
            seed,
            ..Recipe::default()
        }
    }
}

impl Args {
    fn plan(&self) -> Plan {
        Plan {
            kind: self.kind,
            ks: self.k.clone(),
            temperature: self.temperature,
            blocks: self.blocks,
            pooling: self.pool,
            lambdas: self.lambda.clone(),
            epochs: self.epochs,
            batch: self.batch,
            lr: self.lr,
            rules: self.optimizer.clone(),
            decays: self.decay.clone(),
            long_side: self.long_side.map(|side| side as usize),
            clusters: self.clusters,
            whiten: self.whiten,
            held_out: self.held_out,
            repeats: self.repeats,
            seed: self.seed,
            baselines: self.baselines,
        }
    }
}

/// Measures and prints a table.
///
/// # Errors
/// A network or source that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let path = &args.network.checkpoint;
    let imported = args.network.import(path)?;
    let mut opened = args.network.look_through(&imported, path)?;
    opened.encoder.framing = args.framing.unwrap_or(match args.kind {
        Kind::Copy => Framing::Squeezed,
        _ => Framing::Evaluation,
    });
    let device = device::choose(&args.network.device.device)?.device;
    let cache = match args.no_cache {
        true => Cache::none(),
        false => Cache::of_user(),
    };
    let plan = args.plan();
    let train = args.train.as_str();
    let is_list = plan.kind == Kind::Retrieval && Landmarks::is_list(train.as_ref());
    let subject = match is_list {
        true => Subject::List(Landmarks::open(train.as_ref())?),
        false => {
            let most = [args.max_train, args.max_test];
            let sets = Sets::open(train, args.test.as_deref(), &opened.settings, most)?;
            warn(&sets.warnings);
            Subject::Sets(sets)
        }
    };
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let report = match (&subject, plan.kind) {
            (Subject::Sets(sets), Kind::Finetune | Kind::Semi) => {
                let found = imported.network(args.network.student);
                let has_head = found.head.as_ref().is_some_and(|head| head.layers > 1);
                let is_semi = plan.kind == Kind::Semi;
                let tuned = Tuned {
                    found: &found,
                    encoder: &opened.encoder,
                    recipe: args.tuning.recipe(args.seed),
                    from_head: args.tuning.from_head || (is_semi && has_head),
                    folder: args.tuning.out.clone(),
                    shares: args.tuning.share.clone(),
                };
                let mut see = |epoch: &Epoch| {
                    say!(
                        "epoch {:>4}  loss {:.4}  lr {:.2e}  top-1 {:.2} %  top-5 {:.2} %",
                        epoch.epoch,
                        epoch.loss,
                        epoch.lr,
                        100.0 * epoch.top1,
                        100.0 * epoch.top5
                    );
                };
                let train = (sets, train);
                match is_semi {
                    true => semi(&plan, &tuned, train, &cache, &device, &mut tell, &mut see)?,
                    false => finetune(&plan, &tuned, train, &device, &mut tell, &mut see)?,
                }
            }
            _ => measure(
                &plan,
                &opened,
                (&subject, train),
                &cache,
                &device,
                &mut tell,
            )?,
        };
        show(&report, args.json.as_deref())
    })
}

/// Prints a report, and writes it to `json`.
fn show(report: &Report, json: Option<&Path>) -> Result<()> {
    print(report);
    if let Some(path) = json {
        let text = serde_json::to_vec_pretty(report)?;
        write_atomically(path, &text)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn print(report: &Report) {
    let classes = match report.classes {
        0 => String::new(),
        classes => format!(" of {classes} classes"),
    };
    say!(
        "{} pictures{classes} from {}; {} test pictures: {}",
        report.train_pictures,
        report.train,
        report.test_pictures,
        report.test
    );
    let width = report
        .rows
        .iter()
        .map(|row| row.features.chars().count())
        .max()
        .unwrap_or(0);
    // One column a measure; many measures read better as lines.
    let many = report.rows.iter().any(|row| row.measures.len() > 6);
    if !many {
        let mut names: Vec<&str> = Vec::new();
        for measure in report.rows.iter().flat_map(|row| &row.measures) {
            if !names.contains(&measure.name.as_str()) {
                names.push(&measure.name);
            }
        }
        let head: Vec<String> = names.iter().map(|name| format!("{name:>22}")).collect();
        say!("{:width$}{}", "", head.join(""));
        for row in &report.rows {
            let cells: Vec<String> = names.iter().map(|name| cell(row, name)).collect();
            say!("{:width$}{}", row.features, cells.join(""));
        }
    } else if let Some(first) = report.rows.last() {
        let head: Vec<String> = report
            .rows
            .iter()
            .map(|row| format!("  {}", row.features))
            .collect();
        say!("{:32}{}", "", head.join(""));
        for measure in &first.measures {
            let cells: Vec<String> = report
                .rows
                .iter()
                .map(|row| {
                    let width = row.features.chars().count() + 2;
                    format!("{:>width$}", cell(row, &measure.name).trim())
                })
                .collect();
            say!("{:32}{}", measure.name, cells.join(""));
        }
    }
    if !report.intervals.is_empty() {
        say!("intervals: {}", report.intervals);
    }
    for row in &report.rows {
        for note in &row.notes {
            say!("{}: {note}", row.features);
        }
    }
}

fn cell(row: &Row, name: &str) -> String {
    let found = row.measures.iter().find(|measure| measure.name == name);
    let text = found.map_or(String::new(), |measure| {
        let value = format!("{:.2} %", 100.0 * measure.value);
        match measure.interval {
            Some((low, high)) => format!("{value} ({:.1}-{:.1})", 100.0 * low, 100.0 * high),
            None => value,
        }
    });
    format!("{text:>22}")
}
