//! `patchlight parts`: precision, recall and purity of prototypes against part maps.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::look::{NetworkArgs, SourceArgs, Watch, introduce, warn};
use super::patterns::GroupingArgs;
use crate::explore::Walk;
use crate::explore::bank::{Bank, Shown};
use crate::explore::parts::{Found, PartTable, table};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    grouping: GroupingArgs,
    /// Also write the table to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prints a row for each part.
///
/// # Errors
/// A source that does not know parts, or anything else that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let (encoder, grouping) = args.grouping.grouping(&opened.encoder)?;
    let encoder = &encoder;
    let source = args.source.open(&opened.settings)?;
    if source.part_names().is_empty() {
        bail!(
            "nothing is known of the parts in {}; only the built-in pictures, `parts`, come with \
             part maps",
            args.source.source
        );
    }
    introduce(encoder, &*source);
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let bank = Bank::build(&mut walk, grouping, &args.source.cache())?;
        warn(&walk.failures);
        let Some(shown) = Shown::of(encoder, &*source, &bank)? else {
            bail!("whole pictures have no parts: leave out --of pictures");
        };
        let table = table(&bank, &shown)?;
        print(&table);
        if let Some(path) = &args.json {
            let text = serde_json::to_string_pretty(&table)?;
            std::fs::write(path, text + "\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    })
}

fn print(table: &PartTable) {
    let cell = |found: &Option<Found>| match found {
        Some(found) => format!("{:.2} {:.2}", found.precision, found.recall),
        None => "-".to_owned(),
    };
    say!(
        "{:20}{:>8}{:>9}  {:>14}{:>14}{:>14}",
        "",
        "",
        "",
        "best",
        "up to four",
        "purest"
    );
    let pair = "prec. recall";
    say!(
        "{:20}{:>8}{:>9}  {pair:>14}{pair:>14}{pair:>14}",
        "part",
        "patches",
        "share"
    );
    for row in &table.parts {
        say!(
            "{:20}{:>8}{:>7.2} %  {:>14}{:>14}{:>14}",
            row.part,
            row.patches,
            100.0 * row.share,
            cell(&row.best),
            cell(&row.union),
            cell(&row.purest)
        );
    }
    say!(
        "{} prototypes in use; of the patches that show a part, {:.1} % show the commonest part of \
         their prototype",
        table.prototypes,
        100.0 * table.purity
    );
}
