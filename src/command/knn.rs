//! `patchlight knn`: k-NN accuracy of a checkpoint on two labelled sources.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::DeviceArg;
use crate::device;
use crate::session::knn::{Row, Sources, compare};

#[derive(clap::Args)]
pub struct Args {
    /// A checkpoint, the folder of a run (its newest checkpoint), or `demo`
    checkpoint: PathBuf,
    /// Labelled pictures that vote
    train: String,
    /// Labelled pictures to classify; without it, the test part of TRAIN
    test: Option<String>,
    /// Also measure raw pixels and an untrained network of the same shape
    #[arg(long)]
    baselines: bool,
    /// Use the student instead of the teacher
    #[arg(long)]
    student: bool,
    /// At most this many pictures that vote, 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_train: usize,
    /// At most this many pictures to classify, 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    max_test: usize,
    #[command(flatten)]
    device: DeviceArg,
}

/// Prints a table of k-NN accuracies.
pub fn run(args: Args) -> Result<()> {
    let chosen = device::choose(&args.device.device)?;
    let checkpoint = crate::session::import::checkpoint(&args.checkpoint)?;
    let sources = Sources::open(&args.train, args.test.as_deref(), &checkpoint.settings)?;
    let sources = Sources {
        train: limit(sources.train, args.max_train),
        test: limit(sources.test, args.max_test),
    };
    say!(
        "{} training pictures, {} test pictures",
        sources.train.len(),
        sources.test.len()
    );
    let rows = compare(
        &checkpoint,
        &sources,
        &chosen.device,
        args.student,
        args.baselines,
    )?;
    let Some(first) = rows.first() else {
        bail!("nothing was measured")
    };
    let ks: Vec<String> = first
        .top1
        .iter()
        .map(|(k, _)| format!("{:>9}", format!("k = {k}")))
        .collect();
    say!("{:24}{}", "top-1 accuracy", ks.join(""));
    for Row { name, top1 } in &rows {
        let cells: Vec<String> = top1
            .iter()
            .map(|(_, accuracy)| format!("{:>7.2} %", 100.0 * accuracy))
            .collect();
        say!("{name:24}{}", cells.join(""));
    }
    Ok(())
}

fn limit(source: Arc<dyn crate::data::Source>, count: usize) -> Arc<dyn crate::data::Source> {
    match count {
        0 => source,
        count => crate::session::pictures::Subset::spread(&source, count),
    }
}
