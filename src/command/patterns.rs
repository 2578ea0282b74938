//! `patchlight patterns`: what every prototype stands for, as contact sheets and a page to browse.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::look::{NetworkArgs, SourceArgs, Watch, introduce, make_folder, warn};
use crate::explore::bank::{Bank, Grouping, Shown};
use crate::explore::clusters::ClusterSettings;
use crate::explore::draw::{self, PAPER};
use crate::explore::page::{About, Page};
use crate::explore::patterns::{Order, patterns};
use crate::explore::sheet::{Drawn, Mark};
use crate::explore::{Encoder, Of, Walk};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    grouping: GroupingArgs,
    /// Folder for the sheets and the page
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of prototypes
    #[arg(long, default_value_t = 20, value_name = "N")]
    show: usize,
    /// Which prototypes come first: those with most members, with the best fit, or of one part or class
    #[arg(long, value_enum, default_value = "population")]
    order: OrderArg,
    /// These prototypes instead, in this order
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',')]
    ids: Vec<u32>,
    /// Patches of each
    #[arg(long, default_value_t = 36, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=400))]
    top: u16,
    /// Patches of a cell along a side: the patch and what is around it
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=31))]
    window: u8,
    /// How the patch is marked
    #[arg(long, value_enum, default_value = "outline")]
    mark: MarkArg,
}

/// Which prototypes.
#[derive(clap::Args, Clone, Debug)]
pub struct GroupingArgs {
    /// What has a prototype: every patch, or every picture by its class token
    #[arg(long, value_enum, default_value = "patches")]
    of: OfArg,
    /// Group the patch tokens into this many clusters instead of taking the head's prototypes
    #[arg(long, value_name = "N", conflicts_with = "of", value_parser = clap::value_parser!(u32).range(2..=65_536))]
    clusters: Option<u32>,
    /// Block whose tokens are grouped, from 0, or from the end if negative
    #[arg(long, default_value_t = -1, value_name = "N", allow_negative_numbers = true, requires = "clusters")]
    block: isize,
    /// Seed of the clusters
    #[arg(long, default_value_t = 0, requires = "clusters")]
    seed: u64,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum OfArg {
    Patches,
    Pictures,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum MarkArg {
    Outline,
    Tint,
    None,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum OrderArg {
    Population,
    Confidence,
    Purity,
}

impl GroupingArgs {
    /// What was asked for, and the network seen from the block that it is about.
    ///
    /// # Errors
    /// A block that the network does not have.
    pub fn grouping(&self, encoder: &Encoder) -> Result<(Encoder, Grouping)> {
        let grouping = match (self.clusters, self.of) {
            (Some(count), _) => {
                let encoder = encoder.focused(self.block).context("--block")?;
                let settings = ClusterSettings {
                    count: count as usize,
                    block: encoder.focus(),
                    seed: self.seed,
                };
                return Ok((encoder, Grouping::Clusters(settings)));
            }
            (None, OfArg::Patches) => Grouping::Prototypes(Of::Patches),
            (None, OfArg::Pictures) => Grouping::Prototypes(Of::Pictures),
        };
        Ok((encoder.clone(), grouping))
    }
}

/// Writes a sheet for each pattern, and one page with all of them.
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
    let (kind, window) = match grouping {
        Grouping::Prototypes(Of::Pictures) => ("picture", 0),
        _ => ("patch", usize::from(args.window)),
    };
    let order = match args.order {
        OrderArg::Population => Order::Population,
        OrderArg::Confidence => Order::Confidence,
        OrderArg::Purity => Order::Purity,
    };
    let mark = match args.mark {
        MarkArg::Outline => Mark::Outline,
        MarkArg::Tint => Mark::Tint,
        MarkArg::None => Mark::None,
    };
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let bank = Bank::build(&mut walk, grouping, &args.source.cache())?;
        warn(&walk.failures);
        let shown = Shown::of(encoder, &*source, &bank)?;
        let top = usize::from(args.top);
        // Twice as many as are shown: some will be too dark.
        let show = if args.ids.is_empty() {
            args.show
        } else {
            bank.kinds
        };
        let mut found = patterns(&bank, &*source, shown.as_ref(), order, show, 2 * top);
        if !args.ids.is_empty() {
            let wanted = args.ids.iter().map(|&id| {
                let pattern = found.iter().find(|pattern| pattern.id == id).cloned();
                pattern.with_context(|| format!("--ids: prototype {id} has no members"))
            });
            found = wanted.collect::<Result<_>>()?;
        }
        let (mut page, mut lines) = (Page::new(), Vec::new());
        let used = bank.populations().iter().filter(|p| p.members > 0).count();
        let count = found.len();
        for (rank, pattern) in found.into_iter().enumerate() {
            let drawn = Drawn::load(encoder, &source, pattern, top, Some(window));
            let name = format!(
                "{kind}_rank-{rank:03}_prototype-{:05}_top-{top}.png",
                drawn.pattern.id
            );
            drawn
                .sheet(encoder, window, mark)
                .save_png(&args.out.join(name))?;
            lines.push(drawn.line(encoder, window, mark));
            page.add(&drawn, &*source)?;
        }
        let overview = draw::grid(&lines, 1, 2 * draw::GAP, PAPER);
        overview.save_png(&args.out.join("overview.png"))?;
        let about = About {
            title: format!("Patterns · {}", encoder.name),
            subtitle: format!(
                "{}: what {count} of {used} {} in use stand for",
                encoder.name,
                match grouping {
                    Grouping::Clusters(_) => "clusters",
                    Grouping::Prototypes(_) => "prototypes",
                }
            ),
            window,
            known: match (&shown, source.classes().is_empty()) {
                (Some(_), _) => Some("part"),
                (None, false) => Some("class"),
                (None, true) => None,
            },
        };
        let path = args.out.join("index.html");
        std::fs::write(&path, page.finish(&about, encoder))
            .with_context(|| format!("cannot write {}", path.display()))?;
        say!(
            "{used} of {} prototypes in use; {count} sheets, overview.png and {}",
            bank.kinds,
            path.display()
        );
        Ok(())
    })
}
