//! `patchlight similar`: which patches are like this one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::look::{NetworkArgs, SourceArgs, Watch, introduce, warn};
use crate::data::{Picture, Source};
use crate::explore::draw::{self, PAPER};
use crate::explore::sheet::{ORANGE, context};
use crate::explore::similarity::{map, nearest, query};
use crate::explore::{Encoder, Look, Walk};

/// Pixels that the large pictures have at least, and the cells of the nearest patches; smaller ones are
/// enlarged by a whole factor.
const LARGE: usize = 320;
const CELL: usize = 96;

/// Width of the line around a patch in its cell.
const LINE: usize = 2;

/// Patches of a cell along a side.
const WINDOW: usize = 5;

/// How much of a heat map covers the picture.
const HEAT: f32 = 0.65;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// The picture: its number in the source, or the end of its name
    #[arg(long, value_name = "PICTURE")]
    picture: String,
    /// A point of the patch, in pixels of the square that the network sees
    #[arg(long, value_name = "X,Y", value_parser = pair, required_unless_present = "patch")]
    at: Option<(usize, usize)>,
    /// The patch itself, counted from 0
    #[arg(long, value_name = "ROW,COLUMN", value_parser = pair, conflicts_with = "at")]
    patch: Option<(usize, usize)>,
    /// Also map this picture
    #[arg(long = "in", value_name = "PICTURE")]
    other: Option<String>,
    /// Nearest patches of the source
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// The nearest patch of each picture only
    #[arg(long)]
    one_a_picture: bool,
    /// Block whose tokens are compared, from 0, or from the end if negative
    #[arg(long, default_value_t = -1, value_name = "N", allow_negative_numbers = true)]
    block: isize,
    /// Picture to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

fn pair(text: &str) -> Result<(usize, usize), String> {
    let parsed = text
        .split_once(',')
        .and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is not two numbers such as 100,60"))
}

impl Args {
    /// The patch that is meant.
    fn patch(&self, encoder: &Encoder) -> Result<usize> {
        let (side, grid) = (encoder.side, encoder.grid());
        let (row, column) = match (self.patch, self.at) {
            (Some((row, column)), _) if row < grid && column < grid => (row, column),
            (Some((row, column)), _) => bail!(
                "--patch {row},{column}: there are {grid} rows and columns, from 0 to {}",
                grid - 1
            ),
            (None, Some((x, y))) if x < side && y < side => {
                (y / encoder.patch(), x / encoder.patch())
            }
            (None, Some((x, y))) => bail!(
                "--at {x},{y} lies outside of the picture: the network sees {side} x {side} pixels"
            ),
            (None, None) => bail!("which patch? Say --at X,Y or --patch ROW,COLUMN"),
        };
        Ok(row * grid + column)
    }
}

/// Finds, prints and draws.
///
/// # Errors
/// A network, source, picture or point that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let encoder = &opened.encoder;
    let encoder = &encoder.focused(args.block).context("--block")?;
    let block = encoder.focus();
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    let index = find(&*source, &args.picture)?;
    let patch = args.patch(encoder)?;
    let other = args.other.as_deref().map(|name| find(&*source, name));
    let other = other.transpose()?;
    let view = |index| anyhow::Ok(Look::load(encoder, &source, index)?.view);
    let here = view(index)?;
    let asked = query(encoder, &here, patch, block);
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let count = usize::from(args.count);
        let found = nearest(
            &mut walk,
            std::slice::from_ref(&asked),
            count,
            args.one_a_picture,
            block,
        )?;
        warn(&walk.failures);
        if found.iter().all(Vec::is_empty) {
            bail!("the tokens of this patch are not numbers: the network has diverged");
        }
        let mut views = vec![here];
        if let Some(other) = other {
            views.push(view(other)?);
        }
        let maps: Vec<_> = views
            .iter()
            .map(|v| map(encoder, v, &asked, block))
            .collect();
        // One scale for both pictures, so that they can be compared.
        let bounds = draw::range(&maps.concat());
        say!(
            "map: cosine {:.3} (dark) to {:.3} (bright)",
            bounds.0,
            bounds.1
        );
        let mut top = Vec::new();
        for (i, (view, map)) in views.iter().zip(&maps).enumerate() {
            let marked = (i == 0).then_some(patch);
            top.push(large(encoder, view, marked));
            top.push(large(encoder, &heat(encoder, view, map, bounds), marked));
        }
        let mut cells = Vec::new();
        for found in found.iter().flatten() {
            let name = source.name(found.picture);
            let (row, column) = (found.patch / encoder.grid(), found.patch % encoder.grid());
            say!("{:.3}  row {row:2} column {column:2}  {name}", found.cosine);
            cells.push(cell(encoder, &source, found.picture, found.patch)?);
        }
        let top = draw::strip(&top);
        let cell = cells.first().map_or(CELL, |cell| cell.width);
        let columns = ((top.width + draw::GAP) / (cell + draw::GAP)).max(1);
        let below = draw::grid(&cells, columns, draw::GAP, PAPER);
        let gap = 3 * draw::GAP;
        let (width, height) = (top.width.max(below.width), top.height + gap + below.height);
        let mut sheet = Picture::filled(width, height, PAPER);
        sheet.paste(&top, 0, 0);
        sheet.paste(&below, 0, top.height + gap);
        sheet.save_png(&args.out)?;
        say!("{}", args.out.display());
        Ok(())
    })
}

/// The picture that is meant by a number or the end of a name.
pub fn find(source: &dyn Source, wanted: &str) -> Result<usize> {
    if let Ok(index) = wanted.parse::<usize>() {
        if index < source.len() {
            return Ok(index);
        }
        bail!(
            "there is no picture {index}: the source has {}",
            source.len()
        );
    }
    let stem = |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    let found = (0..source.len()).find(|&i| {
        let name = source.name(i);
        name.ends_with(wanted) || stem(&name).is_some_and(|stem| stem.ends_with(wanted))
    });
    found.with_context(|| format!("no picture of the source has a name that ends with {wanted:?}"))
}

/// A picture enlarged, with the patch that was asked for outlined.
fn large(encoder: &Encoder, view: &Picture, marked: Option<usize>) -> Picture {
    let times = LARGE.div_ceil(view.width.max(1));
    let mut picture = view.enlarged(times);
    if let Some(patch) = marked {
        let side = encoder.patch() * times;
        let (left, top) = (patch % encoder.grid() * side, patch / encoder.grid() * side);
        let line = (picture.width / 160).max(2);
        picture.outline([left, top, side, side], line, ORANGE);
    }
    picture
}

/// A map laid over its picture.
fn heat(encoder: &Encoder, view: &Picture, map: &[f32], bounds: (f32, f32)) -> Picture {
    let (grid, patch) = (encoder.grid(), encoder.patch());
    let heat = draw::heat_map(map, grid, patch, bounds, draw::viridis);
    let mut picture = view.clone();
    let (colours, _) = heat.rgb.as_chunks::<3>();
    for (i, &colour) in colours.iter().enumerate() {
        picture.blend(i % heat.width, i / heat.width, colour, HEAT);
    }
    picture
}

/// A patch with what is around it.
fn cell(
    encoder: &Encoder,
    source: &Arc<dyn Source>,
    picture: usize,
    patch: usize,
) -> Result<Picture> {
    let view = Look::load(encoder, source, picture)?.view;
    let cell = context(encoder, &view, patch, WINDOW);
    let times = CELL.div_ceil(cell.width);
    let mut cell = cell.enlarged(times);
    let side = encoder.patch() * times;
    // Just outside the patch: nothing of it is covered.
    let from = WINDOW / 2 * side - LINE;
    cell.outline([from, from, side + 2 * LINE, side + 2 * LINE], LINE, ORANGE);
    Ok(cell)
}
