//! `patchlight robustness`: what hidden and shuffled patches change, as a table, curves and one picture
//! under every damage.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::look::{NetworkArgs, SourceArgs, Watch, introduce, make_folder, warn};
use crate::data::Picture;
use crate::data::pixels::{Filter, resize};
use crate::explore::damage::{Damage, Order, grids_of};
use crate::explore::draw::{self, GAP, PAPER, Rgb};
use crate::explore::robustness::{Outcome, Robustness, example, measure};
use crate::explore::{Encoder, Look, Walk, text};
use crate::session::plots::{Chart, Series, draw_panels};

/// Side in pixels of a picture on the sheet.
const CELL: usize = 128;

/// Height of a line of text on the sheet.
const LINE: usize = 16;

const INK: Rgb = [34, 38, 46];

/// Size in pixels of one panel of the curves.
const PANEL: (u32, u32) = (560, 340);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Folder for the pictures
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Shares of the patches to hide
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "SHARES",
        default_value = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"
    )]
    hide: Vec<f64>,
    /// Shuffle squares, this many along a side [default: 2, 4, 8 and so on, down to single patches]
    #[arg(long, value_delimiter = ',', value_name = "CELLS")]
    shuffle: Option<Vec<usize>>,
    /// Number of the picture, from 0, that is shown under every damage
    #[arg(long, default_value_t = 0, value_name = "N")]
    show: usize,
    /// Also write the numbers as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and draws.
pub fn run(args: Args) -> Result<ExitCode> {
    make_folder(&args.out)?;
    Watch::new()?.run(|watch| look(&args, watch))
}

fn look(args: &Args, watch: &mut Watch) -> Result<()> {
    let opened = args.network.open()?;
    let (encoder, source) = (&opened.encoder, args.source.open(&opened.settings)?);
    let (shares, grids) = wanted(args, encoder);
    let damages = Damage::list(encoder, &shares, &grids)?;
    ensure!(!damages.is_empty(), "there is no damage to measure");
    ensure!(
        args.show < source.len(),
        "--show {}: the source has pictures 0 to {}",
        args.show,
        source.len().saturating_sub(1)
    );
    introduce(encoder, &*source);
    let mut tell = |progress| watch.tell(progress);
    let mut walk = Walk::new(encoder, &source, &mut tell);
    let result = measure(&mut walk, &args.source.cache(), &damages)?;
    warn(&walk.failures);
    table(&result, &shares, &grids);

    if let Some(path) = &args.json {
        let numbers = json!({
            "network": encoder.name,
            "weights": encoder.fingerprint(),
            "source": args.source.source,
            "side": encoder.side,
            "robustness": result,
        });
        std::fs::write(path, serde_json::to_vec_pretty(&numbers)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let curves = args.out.join("robustness.png");
    draw_curves(&result, &curves)?;
    let look = match Look::load(encoder, &source, args.show) {
        Ok(look) => look,
        Err(error) => bail!("--show {}: {error}; take another picture", args.show),
    };
    let sheet = args.out.join("damaged.png");
    draw_sheet(&damages, example(encoder, &look, &damages), &look.view).save_png(&sheet)?;
    say!(
        "curves in {}, one picture under every damage in {}",
        curves.display(),
        sheet.display()
    );
    Ok(())
}

/// Shares and grids, rising, each once.
fn wanted(args: &Args, encoder: &Encoder) -> (Vec<f64>, Vec<usize>) {
    let mut shares = args.hide.clone();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    let mut grids = args.shuffle.clone().unwrap_or_else(|| grids_of(encoder));
    grids.sort_unstable();
    grids.dedup();
    (shares, grids)
}

/// Of the damage, if it was measured.
fn outcome(result: &Robustness, damage: Damage) -> Option<&Outcome> {
    result
        .outcomes
        .iter()
        .find(|outcome| outcome.damage == damage)
}

fn table(result: &Robustness, shares: &[f64], grids: &[usize]) {
    let cell = |damage: Damage| {
        let Some(outcome) = outcome(result, damage) else {
            return String::new();
        };
        let accuracy = outcome.accuracy.map(|a| format!("{:>9.1} %", 100.0 * a));
        format!("{:>9.3}{}", outcome.cosine, accuracy.unwrap_or_default())
    };
    let width = if result.accuracy.is_some() { 20 } else { 9 };
    say!(
        "{} pictures; cosine of the class token to that of the whole picture{}",
        result.pictures,
        match result.accuracy {
            Some(accuracy) => format!(
                ", and accuracy by the {} nearest others\n(undamaged {:.1} %, largest class {:.1} %)",
                result.neighbours,
                100.0 * accuracy,
                100.0 * result.largest_class.unwrap_or_default()
            ),
            None => String::new(),
        }
    );
    if !shares.is_empty() {
        let names = Order::ALL.map(|order| format!("{:>width$}", order.name(), width = width + 5));
        say!("{:>10}{}", "hidden", names.join(""));
    }
    for &share in shares {
        let cells =
            Order::ALL.map(|order| format!("     {}", cell(Damage::Hidden { order, share })));
        say!("{:>8.0} %{}", 100.0 * share, cells.join(""));
    }
    if !grids.is_empty() {
        say!("{:>10}", "shuffled");
    }
    for &cells in grids {
        let name = format!("{cells} x {cells}");
        say!("{name:>10}     {}", cell(Damage::Shuffled { cells }));
    }
}

fn draw_curves(result: &Robustness, path: &Path) -> Result<()> {
    let cosine = |outcome: &Outcome| Some(f64::from(outcome.cosine));
    let accuracy = |outcome: &Outcome| outcome.accuracy.map(|a| 100.0 * f64::from(a));
    let mut charts = charts(result, "cosine of the class token", 1.0, &cosine);
    if let Some(undamaged) = result.accuracy {
        let undamaged = 100.0 * f64::from(undamaged);
        let level = result.largest_class.map(|share| 100.0 * f64::from(share));
        let levels: Vec<_> = level
            .map(|y| (y, "largest class".to_owned()))
            .into_iter()
            .collect();
        for mut chart in self::charts(result, "k-NN accuracy, %", undamaged, &accuracy) {
            chart.h_lines = levels.clone();
            charts.push(chart);
        }
    }
    let columns = if charts.len().is_multiple_of(2) { 2 } else { 1 };
    let rows = charts.len().div_ceil(columns) as u32;
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows);
    draw_panels(&charts, columns, path, size)
}

/// A panel for hidden patches and one for shuffled squares; `undamaged` is where the curves begin.
fn charts(
    result: &Robustness,
    y_label: &str,
    undamaged: f64,
    value: &dyn Fn(&Outcome) -> Option<f64>,
) -> Vec<Chart> {
    let curve = |name: &str, x: &dyn Fn(Damage) -> Option<f64>| {
        let points = result.outcomes.iter();
        let points = points.filter_map(|o| Some((x(o.damage)?, value(o)?)));
        let points: Vec<(f64, f64)> = points.filter(|point| point.0 > 0.0).collect();
        Series {
            name: name.into(),
            points: [(0.0, undamaged)].into_iter().chain(points).collect(),
            raw: Vec::new(),
        }
    };
    let hidden = Order::ALL.map(|wanted| {
        curve(wanted.name(), &|damage| match damage {
            Damage::Hidden { order, share } if order == wanted => Some(100.0 * share),
            _ => None,
        })
    });
    let shuffled = curve("shuffled", &|damage| match damage {
        Damage::Shuffled { cells } => Some((cells as f64).log2()),
        Damage::Hidden { .. } => None,
    });
    let chart = |title: &str, x_label: &str, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: x_label.into(),
        y_label: y_label.into(),
        series,
        ..Default::default()
    };
    let charts = [
        chart("Hidden patches", "% of the patches", hidden.to_vec()),
        chart(
            "Shuffled squares",
            "times that the side was halved",
            vec![shuffled],
        ),
    ];
    let measured = |chart: &Chart| chart.series.iter().any(|series| series.points.len() > 1);
    charts.into_iter().filter(measured).collect()
}

/// A row for each order and one for the shuffles, each beginning with the whole picture. Below a picture
/// stand its damage, its cosine, and its place among all by that.
fn draw_sheet(damages: &[Damage], shown: Vec<(Picture, f32)>, whole: &Picture) -> Picture {
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by(|&a, &b| shown[b].1.total_cmp(&shown[a].1));
    let mut place = vec![0; shown.len()];
    for (rank, &at) in order.iter().enumerate() {
        place[at] = rank + 1;
    }
    let mut rows: Vec<(String, Vec<Picture>)> = Vec::new();
    for (i, (damage, (picture, cosine))) in damages.iter().zip(&shown).enumerate() {
        let (title, name) = match damage {
            Damage::Hidden { order, share } => (
                format!("Hidden, {}", order.name()),
                format!("{:.0} %", 100.0 * share),
            ),
            Damage::Shuffled { cells } => ("Shuffled".to_owned(), format!("{cells} x {cells}")),
        };
        if rows.last().is_none_or(|(last, _)| *last != title) {
            rows.push((title, vec![cell(whole, "whole", "1.000")]));
        }
        let told = format!("{cosine:.3}  #{}", place[i]);
        if let Some((_, cells)) = rows.last_mut() {
            cells.push(cell(picture, &name, &told));
        }
    }
    let strips = rows.iter().map(|(title, cells)| {
        let strip = draw::grid(cells, cells.len(), 3 * GAP, PAPER);
        let width = strip.width.max(text::width(title, LINE + 2));
        let mut row = Picture::filled(width, strip.height + LINE + 4 * GAP, PAPER);
        text::write(&mut row, title, 0, GAP, LINE + 2, INK);
        row.paste(&strip, 0, LINE + 3 * GAP);
        row
    });
    draw::grid(&strips.collect::<Vec<_>>(), 1, GAP, PAPER)
}

/// `picture` at the size of the sheet above a line of text: `left` at its left end, `right` at its right.
fn cell(picture: &Picture, left: &str, right: &str) -> Picture {
    let picture = match CELL / picture.width.max(1) {
        0 => resize(picture, CELL, CELL, Filter::Bilinear),
        times => picture.enlarged(times),
    };
    let mut cell = Picture::filled(picture.width, picture.height + LINE + GAP, PAPER);
    cell.paste(&picture, 0, 0);
    let end = picture.width.saturating_sub(text::width(right, LINE));
    text::write(&mut cell, left, 0, picture.height + 2, LINE, INK);
    text::write(&mut cell, right, end, picture.height + 2, LINE, INK);
    cell
}
