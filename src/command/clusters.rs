//! `patchlight clusters`: pictures with every patch coloured by its prototype.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::look::{
    NetworkArgs, SourceArgs, Watch, file_name, introduce, make_folder, spread, warn,
};
use super::patterns::GroupingArgs;
use crate::data::Picture;
use crate::explore::bank::{Bank, Shown};
use crate::explore::cluster_map::{LegendRow, legend, overlay, save_indices};
use crate::explore::draw::{self, PAPER};
use crate::explore::patterns::{Order, patterns};
use crate::explore::sheet::{Drawn, Mark};
use crate::explore::{Look, Walk};

/// Width in pixels that pictures are enlarged to.
const TILE: usize = 224;

/// Patches beside a prototype in the legend, and patches of each of them along a side.
const THUMBNAILS: usize = 6;
const WINDOW: usize = 3;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    grouping: GroupingArgs,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Pictures to colour, spread over the source; the prototypes are those of all
    #[arg(long, default_value_t = 12, value_name = "N")]
    show: usize,
    /// Prototypes in the legend, those with most members first
    #[arg(long, default_value_t = 24, value_name = "N")]
    legend: usize,
}

/// Colours pictures, and writes a legend and the indices for use elsewhere.
///
/// # Errors
/// A network, source or folder that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let (encoder, grouping) = args.grouping.grouping(&opened.encoder)?;
    let encoder = &encoder;
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    make_folder(&args.out)?;
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let bank = Bank::build(&mut walk, grouping, &args.source.cache())?;
        warn(&walk.failures);
        if bank.each != encoder.patches() {
            bail!("a map needs a prototype for every patch: leave out --of pictures");
        }
        let (mut pairs, mut indices) = (Vec::new(), BTreeMap::new());
        for place in spread(bank.pictures.len(), args.show) {
            let index = bank.pictures[place] as usize;
            let Ok(look) = Look::load(encoder, &source, index) else {
                continue;
            };
            let ids = &bank.ids[place * bank.each..][..bank.each];
            let times = TILE.div_ceil(encoder.side);
            let map = overlay(encoder, &look.view, ids);
            pairs.push(draw::strip(
                &[look.view, map].map(|p: Picture| p.enlarged(times)),
            ));
            let name = file_name(index, &source.name(index));
            let named = save_indices(encoder, ids, &args.out.join(&name))?;
            indices.insert(name, named);
        }
        let path = args.out.join("clusters.png");
        draw::grid(&pairs, 3, 3 * draw::GAP, PAPER).save_png(&path)?;
        let text = serde_json::to_string_pretty(&indices)?;
        let json = args.out.join("indices.json");
        std::fs::write(&json, text + "\n")
            .with_context(|| format!("cannot write {}", json.display()))?;

        let shown = Shown::of(encoder, &*source, &bank)?;
        let found = patterns(
            &bank,
            &*source,
            shown.as_ref(),
            Order::Population,
            args.legend,
            THUMBNAILS,
        );
        let rows = found.into_iter().map(|pattern| {
            let drawn = Drawn::load(encoder, &source, pattern, THUMBNAILS, None);
            let cell = |i| drawn.cell(encoder, i, WINDOW, Mark::None);
            let shows = drawn.pattern.shows.as_ref();
            LegendRow {
                id: drawn.pattern.id,
                name: shows.map_or(String::new(), |shows| {
                    format!("{} {:.0} %", shows.name, 100.0 * shows.purity)
                }),
                thumbnails: (0..drawn.views.len()).map(cell).collect(),
            }
        });
        legend(&rows.collect::<Vec<_>>()).save_png(&args.out.join("legend.png"))?;
        say!(
            "{}, legend.png beside it; a file of indices for each picture, explained in {}",
            path.display(),
            json.display()
        );
        Ok(())
    })
}
