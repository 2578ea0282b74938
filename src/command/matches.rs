//! `patchlight match`: which patch of one picture is which of another.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::look::{NetworkArgs, SourceArgs, Watch, file_name, introduce, make_folder, warn};
use super::similar::find;
use crate::data::{Picture, Source};
use crate::explore::attention::Attention;
use crate::explore::correspondence::{
    Accuracy, accuracy, lines, matches, salient, truth, two_views,
};
use crate::explore::draw;
use crate::explore::{Encoder, Look, Progress, Stopped};

/// Pixels that a picture has at least.
const LARGE: usize = 320;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// A picture of the source: its number, or the end of its name
    #[arg(required_unless_present = "views")]
    a: Option<String>,
    /// The picture in which the patches of A are looked for
    #[arg(required_unless_present = "views")]
    b: Option<String>,
    /// Match two random views of each picture, and say how often the matches are right
    #[arg(long, conflicts_with_all = ["a", "b"])]
    views: bool,
    /// A match counts if it is at most this many patches from the right one
    #[arg(long, default_value_t = 0, value_name = "PATCHES", requires = "views")]
    radius: usize,
    /// Seed of the views
    #[arg(long, default_value_t = 0, requires = "views")]
    seed: u64,
    /// Also write the accuracies to this file
    #[arg(long, value_name = "FILE", requires = "views")]
    json: Option<PathBuf>,
    /// Compare tokens at length 1, instead of as they are as the reference does
    #[arg(long)]
    cosine: bool,
    /// Matches to draw: those that the class token looks at most
    #[arg(long, default_value_t = 12, value_name = "N")]
    lines: usize,
    /// Show the attention that chose them
    #[arg(long)]
    attention: bool,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Matches and draws.
///
/// # Errors
/// A network, source or picture that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let encoder = &opened.encoder;
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    make_folder(&args.out)?;
    if let (Some(a), Some(b)) = (&args.a, &args.b) {
        let indices = [find(&*source, a)?, find(&*source, b)?];
        let view = |index| anyhow::Ok(Look::load(encoder, &source, index)?.view);
        let (from, to) = (view(indices[0])?, view(indices[1])?);
        let found = matches(encoder, &from, &to, args.cosine);
        let name = format!("match-{}-{}.png", indices[0], indices[1]);
        let path = args.out.join(name);
        picture(&args, encoder, [&from, &to], &found, |_| true).save_png(&path)?;
        say!("{}", path.display());
        return Ok(ExitCode::SUCCESS);
    }
    Watch::new()?.run(|watch| views(&args, encoder, &*source, watch))
}

fn views(args: &Args, encoder: &Encoder, source: &dyn Source, watch: &mut Watch) -> Result<()> {
    let grid = encoder.grid();
    let mut found: Vec<(String, Accuracy)> = Vec::new();
    let mut failures = Vec::new();
    for index in 0..source.len() {
        let progress = Progress {
            what: "views",
            done: index,
            total: source.len(),
        };
        if watch.tell(progress).is_break() {
            bail!(Stopped);
        }
        let picture_of = match source.load(index) {
            Ok(picture) => picture,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let [a, b] = two_views(encoder, &picture_of, index, args.seed);
        let best = matches(encoder, &a.picture, &b.picture, args.cosine);
        let truth = truth(&a.params, &b.params, grid);
        let name = source.name(index);
        if let Some(accuracy) = accuracy(&best, &truth, grid, args.radius) {
            found.push((name.clone(), accuracy));
        }
        let both = [&a.picture, &b.picture];
        let overlaps = |patch: usize| truth[patch].is_some();
        picture(args, encoder, both, &best, overlaps)
            .save_png(&args.out.join(file_name(index, &name)))?;
    }
    warn(&failures);
    if found.is_empty() {
        bail!("no picture could be read, or no two views overlap: nothing was measured");
    }
    let count = found.len() as f64;
    let mean = |of: fn(&Accuracy) -> f64| found.iter().map(|(_, a)| of(a)).sum::<f64>() / count;
    let (right, chance) = (mean(|a| a.accuracy), mean(|a| a.chance));
    let spread: f64 = found
        .iter()
        .map(|(_, a)| (a.accuracy - right).powi(2))
        .sum();
    // One picture says nothing of how much pictures differ.
    let error = (count > 1.0).then(|| (spread / (count * (count - 1.0))).sqrt());
    say!(
        "{:.1} {}% of overlapping patches are matched {} (by chance {:.1} %), {} pictures",
        100.0 * right,
        error.map_or(String::new(), |error| format!("± {:.1} ", 100.0 * error)),
        match args.radius {
            0 => "with the right patch".to_owned(),
            1 => "at most 1 patch beside the right one".to_owned(),
            radius => format!("at most {radius} patches beside the right one"),
        },
        100.0 * chance,
        found.len()
    );
    if let Some(path) = &args.json {
        let rows = found.iter().map(|(name, a)| {
            json!({
                "picture": name,
                "overlapping": a.overlapping,
                "accuracy": a.accuracy,
                "chance": a.chance,
            })
        });
        let report = json!({
            "network": encoder.name,
            "side": encoder.side,
            "compared_by": if args.cosine { "cosine" } else { "product" },
            "seed": args.seed,
            "radius": args.radius,
            "accuracy": right,
            "standard_error": error,
            "chance": chance,
            "pictures": rows.collect::<Vec<_>>(),
        });
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The pictures with their lines, and the attention beside them where it was asked for.
fn picture(
    args: &Args,
    encoder: &Encoder,
    both: [&Picture; 2],
    matches: &[usize],
    allowed: impl Fn(usize) -> bool,
) -> Picture {
    let views = std::slice::from_ref(both[0]);
    let attention = Attention::of(encoder, views, encoder.last_block());
    let attention = attention.first().map(Attention::mean).unwrap_or_default();
    let chosen = salient(&attention, args.lines, allowed);
    let times = LARGE.div_ceil(encoder.side);
    let drawn = lines(encoder, both, &chosen, matches, times);
    if !args.attention {
        return drawn;
    }
    let range = draw::range(&attention);
    let side = encoder.patch() * times;
    let heat = draw::heat_map(&attention, encoder.grid(), side, range, draw::inferno);
    draw::strip(&[heat, drawn])
}
