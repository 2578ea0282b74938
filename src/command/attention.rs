//! `patchlight attention`: where the class token looks, for one picture, a folder, or the frames of a film.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::look::{NetworkArgs, SourceArgs, Watch, file_name, introduce, make_folder, warn};
use crate::data::Picture;
use crate::explore::Walk;
use crate::explore::animation::Animation;
use crate::explore::attention::{Attention, composite, heat, threshold};
use crate::explore::draw::{self, GAP, PAPER};

/// Pixels that a picture has at least.
const LARGE: usize = 224;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Block, from 0, or from the end if negative
    #[arg(long, default_value_t = -1, value_name = "N", allow_negative_numbers = true)]
    block: isize,
    /// Share of each head's attention that the patches in colour hold together
    #[arg(long, default_value_t = 0.6, value_name = "SHARE", value_parser = share)]
    threshold: f32,
    /// Also write all pictures as the frames of one animation, in the order of their names, with the
    /// mean over heads beside (other programs make films of the pictures)
    #[arg(long, value_name = "FILE")]
    gif: Option<PathBuf>,
    /// Frames a second of the animation
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=50))]
    fps: u16,
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(format!("{text:?} is not a share above 0 and up to 1")),
    }
}

/// Draws, for each picture, a row of heat maps and below it what is left of them.
///
/// # Errors
/// A network, source, file or folder that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let encoder = &opened.encoder;
    let encoder = &encoder.focused(args.block).context("--block")?;
    let block = encoder.focus();
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    make_folder(&args.out)?;
    let film = args.gif.as_deref();
    let film = film.map(|path| Animation::create(path, args.fps.into()));
    let mut film = film.transpose().context("--gif")?;
    let times = LARGE.div_ceil(encoder.side);
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let mut count = 0;
        walk.each("attention", false, |looks| {
            let views: Vec<Picture> = looks.iter().map(|look| look.view.clone()).collect();
            for (look, attention) in looks.iter().zip(Attention::of(encoder, &views, block)) {
                let heads = || (0..attention.heads).map(|head| attention.head(head));
                let kept: Vec<Vec<f32>> = heads().map(|h| threshold(h, args.threshold)).collect();
                let together = composite(encoder, &look.view, &kept);
                let mean = heat(encoder, &attention.mean(), draw::inferno);
                let mut cells = vec![look.view.clone(), together];
                cells.extend(heads().map(|head| heat(encoder, head, draw::viridis)));
                let columns = cells.len();
                // The second row: the mean, and each head's patches above the threshold.
                cells.extend([mean.clone(), masked(encoder, &look.view, &attention, args.threshold)]);
                cells.extend(kept.iter().map(|head| heat(encoder, head, draw::viridis)));
                let cells: Vec<Picture> = cells.iter().map(|cell| cell.enlarged(times)).collect();
                let name = file_name(look.index, &source.name(look.index));
                draw::grid(&cells, columns, GAP, PAPER).save_png(&args.out.join(name))?;
                if let Some(film) = &mut film {
                    let frame = draw::strip(&[look.view.clone(), mean].map(|p| p.enlarged(times)));
                    film.add(&frame)?;
                }
                count += 1;
            }
            Ok(())
        })?;
        warn(&walk.failures);
        if let Some(film) = film {
            film.finish()?;
        }
        say!(
            "{count} pictures in {}: the picture, all heads, each head; below: the mean, the part of \
             the picture that holds {:.0} % of it, and of each head",
            args.out.display(),
            100.0 * args.threshold
        );
        if let Some(path) = &args.gif {
            say!("{}", path.display());
        }
        Ok(())
    })
}

/// The view, dark where the mean attention is below the threshold.
fn masked(
    encoder: &crate::explore::Encoder,
    view: &Picture,
    attention: &Attention,
    mass: f32,
) -> Picture {
    let kept = threshold(&attention.mean(), mass);
    let (side, grid) = (encoder.patch(), encoder.grid());
    let mut picture = view.clone();
    for y in 0..view.height {
        for x in 0..view.width {
            if kept[y / side * grid + x / side] == 0.0 {
                picture.blend(x, y, [0; 3], 0.85);
            }
        }
    }
    picture
}
