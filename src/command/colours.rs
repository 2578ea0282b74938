//! `patchlight colours`: patch tokens as colours, the same colour for the same thing in every picture.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::look::{
    NetworkArgs, SourceArgs, Watch, file_name, introduce, make_folder, spread, warn,
};
use crate::data::Picture;
use crate::explore::colours::{ColourBasis, ColourSettings, Sample};
use crate::explore::draw::{self, PAPER};
use crate::explore::{Encoder, Look, Walk};
use crate::session::encoder::steps;

/// Width in pixels that pictures are enlarged to in the overview.
const TILE: usize = 160;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pictures to paint, spread over the source; the basis is that of all
    #[arg(long, default_value_t = 24, value_name = "N")]
    show: usize,
    /// Block whose tokens are painted, from 0, or from the end if negative
    #[arg(long, default_value_t = -1, value_name = "N", allow_negative_numbers = true)]
    block: isize,
    /// Leave the background dark, and give all colours to what is in front of it
    #[arg(long)]
    foreground: bool,
    /// A row for every checkpoint of the run's folder, colours aligned from one to the next
    #[arg(long)]
    steps: bool,
}

/// Paints.
///
/// # Errors
/// A network, source or folder that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let source = args.source.open(&opened.settings)?;
    introduce(&opened.encoder, &*source);
    make_folder(&args.out)?;
    let cache = args.source.cache();
    let shown = spread(source.len(), args.show);
    let basis_of = |encoder: &Encoder, watch: &mut Watch| {
        let settings = ColourSettings {
            block: encoder.focus(),
            foreground: args.foreground,
        };
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let basis = ColourBasis::fit(&mut walk, settings, &cache)?;
        warn(&walk.failures);
        anyhow::Ok((basis, settings.block))
    };
    let focused = |encoder: &Encoder| encoder.focused(args.block).context("--block");
    let load = |encoder: &Encoder| -> Vec<Look> {
        let looks = shown.iter().map(|&i| Look::load(encoder, &source, i));
        looks.filter_map(Result::ok).collect()
    };
    let enlarge = |picture: &Picture| picture.enlarged(TILE.div_ceil(picture.width.max(1)));
    let path = args.out.join("colours.png");
    Watch::new()?.run(|watch| {
        if !args.steps {
            let encoder = &focused(&opened.encoder)?;
            let (basis, _) = basis_of(encoder, watch)?;
            let looks = load(encoder);
            let mut pairs = Vec::new();
            for looks in looks.chunks(encoder.batch()) {
                let views: Vec<Picture> = looks.iter().map(|look| look.view.clone()).collect();
                for (look, map) in looks.iter().zip(basis.paint(encoder, &views)) {
                    let map = map.enlarged(encoder.patch());
                    let pair = draw::strip(&[look.view.clone(), map].map(|p| enlarge(&p)));
                    let name = file_name(look.index, &source.name(look.index));
                    pair.save_png(&args.out.join(name))?;
                    pairs.push(pair);
                }
            }
            draw::grid(&pairs, 4, 3 * draw::GAP, PAPER).save_png(&path)?;
            say!(
                "{} pictures, all of them in {}",
                pairs.len(),
                path.display()
            );
            return Ok(());
        }
        let mut rows: Vec<Picture> = Vec::new();
        // A sample of the source through the newest network, and where its tokens were in the one before.
        let mut before: Option<Vec<[f32; 3]>> = None;
        let checkpoints = steps(&args.network.checkpoint)?;
        let mut columns = 0;
        for checkpoint in &checkpoints {
            let encoder = &focused(&args.network.open_file(checkpoint)?.encoder)?;
            let (mut basis, block) = basis_of(encoder, watch)?;
            let mut tell = |progress| watch.tell(progress);
            let sample = Sample::take(&mut Walk::new(encoder, &source, &mut tell), block)?;
            if let Some(before) = &before {
                basis.align(&sample, before);
            }
            before = Some(basis.points(&sample));
            let views: Vec<Picture> = load(encoder).into_iter().map(|look| look.view).collect();
            columns = views.len();
            if rows.is_empty() {
                rows.extend(views.iter().map(enlarge));
            }
            for views in views.chunks(encoder.batch()) {
                let maps = basis.paint(encoder, views);
                rows.extend(
                    maps.iter()
                        .map(|map| enlarge(&map.enlarged(encoder.patch()))),
                );
            }
        }
        draw::grid(&rows, columns, draw::GAP, PAPER).save_png(&path)?;
        say!(
            "{}: the pictures, then a row for each of {} checkpoints",
            path.display(),
            checkpoints.len()
        );
        Ok(())
    })
}
