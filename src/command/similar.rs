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

/// Pixels that the large pictures have at least, and the cells of the nearest patches.
const LARGE: usize = 320;
const CELL: usize = 96;

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
    #[arg(long, value_name = "X,Y", value_parser = point)]
    at: (usize, usize),
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

fn point(text: &str) -> Result<(usize, usize), String> {
    let parsed = text
        .split_once(',')
        .and_then(|(x, y)| Some((x.trim().parse().ok()?, y.trim().parse().ok()?)));
    parsed.ok_or_else(|| format!("{text:?} is not a point such as 100,60"))
}

/// Finds, prints and draws.
///
/// # Errors
/// A network, source, picture or point that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let encoder = &opened.encoder;
    let block = encoder.block(args.block).context("--block")?;
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    let index = find(&*source, &args.picture)?;
    let (x, y) = args.at;
    if x >= encoder.side || y >= encoder.side {
        bail!(
            "--at {x},{y} lies outside of the picture: the network sees {0} x {0} pixels",
            encoder.side
        );
    }
    let side = encoder.vit.patch;
    let patch = y / side * encoder.grid() + x / side;
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
        let mut top = vec![
            marked(encoder, &here, patch),
            heat(encoder, &here, &asked, block),
        ];
        if let Some(other) = other {
            let other = view(other)?;
            top.push(large(&other));
            top.push(heat(encoder, &other, &asked, block));
        }
        let mut cells = Vec::new();
        for found in found.iter().flatten() {
            let name = source.name(found.picture);
            let (row, column) = (found.patch / encoder.grid(), found.patch % encoder.grid());
            say!("{:.3}  row {row:2} column {column:2}  {name}", found.cosine);
            cells.push(cell(encoder, &source, found.picture, found.patch)?);
        }
        let top = draw::strip(&top);
        let columns = (top.width / (CELL + draw::GAP)).max(1);
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

fn large(view: &Picture) -> Picture {
    view.enlarged(LARGE.div_ceil(view.width.max(1)))
}

fn marked(encoder: &Encoder, view: &Picture, patch: usize) -> Picture {
    let mut picture = large(view);
    let side = encoder.vit.patch * (picture.width / view.width);
    let (left, top) = (patch % encoder.grid() * side, patch / encoder.grid() * side);
    let line = (picture.width / 160).max(2);
    picture.outline([left, top, side, side], line, ORANGE);
    picture
}

fn heat(encoder: &Encoder, view: &Picture, query: &[f32], block: usize) -> Picture {
    let cosines = map(encoder, view, query, block);
    let bounds = draw::range(&cosines);
    let heat = draw::heat_map(
        &cosines,
        encoder.grid(),
        encoder.vit.patch,
        bounds,
        draw::viridis,
    );
    let mut picture = view.clone();
    for y in 0..heat.height {
        for x in 0..heat.width {
            let at = (y * heat.width + x) * 3;
            let colour = [heat.rgb[at], heat.rgb[at + 1], heat.rgb[at + 2]];
            picture.blend(x, y, colour, HEAT);
        }
    }
    large(&picture)
}

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
    let side = encoder.vit.patch * times;
    let from = WINDOW / 2 * side;
    cell.outline([from - 1, from - 1, side + 2, side + 2], 1, ORANGE);
    Ok(crate::data::pixels::resize(
        &cell,
        CELL,
        CELL,
        crate::data::pixels::Filter::Bicubic,
    ))
}
