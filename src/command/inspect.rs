//! `patchlight inspect`: what a weight file is.

use std::path::PathBuf;

use anyhow::Result;

use crate::model::{Backbone, HostTensors};
use crate::session::import::{self, Imported};
use crate::settings::Settings;
use crate::weights::{Found, Weights};

#[derive(clap::Args)]
pub struct Args {
    /// A weight file of any origin, a run's folder, or `demo`
    file: PathBuf,
    /// Attention heads of a ViT whose file does not say: needed where its width is no multiple of 64
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Also list every tensor with its shape
    #[arg(long)]
    tensors: bool,
}

/// Says what it is, its architecture and shapes, and what it lacks.
///
/// # Errors
/// A file that cannot be read, or weights of a network that is not known.
pub fn run(args: Args) -> Result<()> {
    let is_file = args.file.is_file();
    let weights = match is_file {
        true => Some(crate::weights::read(&args.file, args.heads)?),
        false => None,
    };
    say!("file        {}", args.file.display());
    match weights {
        None | Some(Weights::Ours(..)) => ours(&args)?,
        Some(Weights::Network { found, place }) => {
            let at = match place.as_str() {
                "" => String::new(),
                place => format!(", under {place:?}"),
            };
            say!("kind        one network{at}");
            network("network", &found);
            let head = found.head.is_none().then_some("projection head");
            let mask = !found.tensors.contains_key("backbone.masked_embed");
            let lacks = [
                head,
                mask.then_some("mask token"),
                Some("centres, optimizer, recipe"),
            ];
            say!("lacks       {}", listed(lacks.into_iter().flatten()));
            unused(&found);
            list(&args, "", &found.tensors);
        }
        Some(Weights::Pair {
            student,
            teacher,
            state,
        }) => {
            let epoch = match (state.epoch, state.args.get("epochs")) {
                (Some(epoch), Some(all)) => format!(", after epoch {epoch} of {all}"),
                (Some(epoch), None) => format!(", after epoch {epoch}"),
                (None, _) => String::new(),
            };
            say!("kind        checkpoint of the reference: student and teacher{epoch}");
            network("student", &student);
            network("teacher", &teacher);
            let mut settings = Settings::default();
            let refused = state.put_recipe(&mut settings);
            match state.args.is_empty() {
                true => say!("recipe      none"),
                false => {
                    let changed = settings.diff(&Settings::default());
                    say!(
                        "recipe      {} arguments; not the default: {}",
                        state.args.len(),
                        listed(&changed)
                    );
                }
            }
            if !refused.is_empty() {
                say!("not taken   {}", listed(&refused));
            }
            say!("optimizer   memory of {} parameters", state.optimizer.len());
            let lacks = [
                (student.head.is_none(), "projection head"),
                (state.centres.is_none(), "centres"),
                (state.optimizer.is_empty(), "optimizer"),
                (state.epoch.is_none(), "epoch"),
                (state.args.is_empty(), "recipe"),
            ];
            let lacks: Vec<&str> = lacks.iter().filter(|l| l.0).map(|l| l.1).collect();
            say!(
                "lacks       {}",
                if lacks.is_empty() {
                    "nothing".into()
                } else {
                    listed(&lacks)
                }
            );
            unused(&student);
            list(&args, "student.", &student.tensors);
            list(&args, "teacher.", &teacher.tensors);
        }
    }
    Ok(())
}

/// A checkpoint of this program.
fn ours(args: &Args) -> Result<()> {
    let Imported::Checkpoint(checkpoint) = import::open(&args.file, args.heads)? else {
        return Ok(());
    };
    say!(
        "kind        checkpoint of patchlight, after step {}",
        checkpoint.step
    );
    if let Some(best) = checkpoint.best_knn {
        say!("best k-NN   {:.1} %", 100.0 * best);
    }
    for part in ["student", "teacher"] {
        let found = checkpoint.network(part);
        network(part, &found);
        list(args, &format!("{part}."), &found.tensors);
    }
    let lacks = if checkpoint.is_whole() {
        "nothing"
    } else {
        "optimizer"
    };
    say!("lacks       {lacks}");
    Ok(())
}

fn network(name: &str, found: &Found) {
    let count = |prefix: &str| -> usize {
        let of = found
            .tensors
            .iter()
            .filter(|(name, _)| name.starts_with(prefix));
        of.map(|(_, tensor)| tensor.data.len()).sum()
    };
    say!("{name:<11} {}", architecture(&found.backbone));
    say!(
        "            {:.2} M parameters in the backbone",
        count("backbone.") as f64 / 1e6
    );
    if let Some(head) = &found.head {
        let (shared, gain) = match (head.shared, head.fixed_gain) {
            (true, true) => ("shared by class and patches", "of length 1"),
            (true, false) => ("shared by class and patches", "of learned length"),
            (false, true) => ("class and patches apart", "of length 1"),
            (false, false) => ("class and patches apart", "of learned length"),
        };
        say!(
            "            head: {} layers of {}, bottleneck {}, {} + {} prototypes {gain}, {shared}",
            head.layers,
            head.hidden,
            head.bottleneck,
            head.out,
            head.patch_count()
        );
    }
}

fn architecture(backbone: &Backbone) -> String {
    match backbone {
        Backbone::Vit(vit) => {
            let side = vit.side();
            let mut text = format!(
                "ViT: {} blocks of width {}, {} heads, patches of {} px, positions for {side} x {side} patches ({} px)",
                vit.depth, vit.dim, vit.heads, vit.patch, vit.image
            );
            if vit.layer_scale > 0.0 {
                text += ", layer scale";
            }
            if vit.registers > 0 {
                text += &format!(", {} registers", vit.registers);
            }
            if vit.mean_pool {
                text += ", mean pooling";
            }
            if !vit.qkv_bias {
                text += ", no bias of queries, keys and values";
            }
            text
        }
        Backbone::Swin(swin) => format!(
            "Swin: {:?} blocks of width {} and up, {:?} heads, windows of {}, patches of {} px, made for {} px",
            swin.depths, swin.dim, swin.heads, swin.window, swin.patch, swin.image
        ),
    }
}

fn unused(found: &Found) {
    if !found.unused.is_empty() {
        let shown: Vec<&String> = found.unused.iter().take(6).collect();
        let more = match found.unused.len().saturating_sub(6) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        say!("not used    {}{more}", listed(shown));
    }
}

fn list(args: &Args, prefix: &str, tensors: &HostTensors) {
    if args.tensors {
        for (name, tensor) in tensors {
            say!("  {prefix}{name}  {:?}", tensor.shape);
        }
    }
}

fn listed<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}
