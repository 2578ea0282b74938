//! The command line: one file a subcommand.

/// `println!` that does not panic when the reader has gone: one who closes the pipe has seen enough.
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($part)*);
    }};
}

mod attention;
mod bench;
mod clusters;
mod colours;
mod devices;
mod doctor;
mod export;
mod features;
mod inspect;
mod look;
mod matches;
mod open;
mod pack;
mod parts;
mod patterns;
mod probe;
mod resume;
mod robustness;
mod settings;
mod similar;
mod terminal;
mod train;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Pretrain vision transformers with iBOT on any GPU or the CPU, and see what every patch learns.
///
/// Without a command it opens the window; where there is no screen, it trains the built-in demo in the
/// terminal.
#[derive(Parser)]
#[command(name = "patchlight", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    window: open::Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Open the window: with nothing, a run, or a weight file
    Open(open::Args),
    /// Pretrain on pictures: a folder, a zip or tar, CIFAR-10, or the built-in demo
    Train(train::Args),
    /// Go on with a run from its newest checkpoint
    Resume(resume::Args),
    /// How good features are: k-NN, linear, logistic, clusters, retrieval, copies
    Probe(Box<probe::Args>),
    /// What every prototype stands for: its best patches, as sheets and a page to browse
    Patterns(patterns::Args),
    /// How well prototypes stand for the parts of the built-in pictures
    Parts(parts::Args),
    /// Where the class token looks: heads as heat maps and in colour
    Attention(attention::Args),
    /// What hidden and shuffled patches change in what a network says
    Robustness(robustness::Args),
    /// Which patches are like this one: in its picture, in another, in the whole source
    Similar(similar::Args),
    /// Which patch of one picture is which of another
    Match(matches::Args),
    /// Pictures with every patch coloured by its prototype, with a legend
    Clusters(clusters::Args),
    /// Patch tokens as colours: the same colour for the same thing in every picture
    Colours(colours::Args),
    /// Write a checkpoint without the optimizer's memory, in half precision
    Pack(pack::Args),
    /// Write a backbone for other programs: safetensors under the reference's names or timm's
    Export(export::Args),
    /// Write class and patch tokens of pictures for other programs: Parquet or NumPy
    Features(features::Args),
    /// What a weight file is: kind, architecture, shapes, what it lacks
    Inspect(inspect::Args),
    /// Every setting: default, range, unit, help
    Settings(settings::Args),
    /// The GPUs and the CPU of this machine, and which would be taken
    Devices(devices::Args),
    /// Check that a device trains correctly, against the CPU
    Doctor(doctor::Args),
    /// Measure speed and memory
    Bench(bench::Args),
}

/// Exit code after Ctrl-C: 128 + SIGINT, as shells expect.
const INTERRUPTED: u8 = 130;

/// Parses the command line and runs the command.
///
/// # Errors
/// Whatever the command could not do, with what to do about it.
pub fn run() -> Result<ExitCode> {
    // The flags of all settings are made from the settings table.
    let command =
        Cli::command().mut_subcommand("train", |train| train.args(crate::settings::args()));
    let matches = command.get_matches();
    let cli = Cli::from_arg_matches(&matches)?;
    let done = |()| ExitCode::SUCCESS;
    match cli.command {
        None => open::run(cli.window.into()),
        Some(Command::Open(args)) => open::run(args),
        Some(Command::Train(args)) => {
            train::run(args, matches.subcommand().map(|(_, matches)| matches))
        }
        Some(Command::Resume(args)) => resume::run(args),
        Some(Command::Probe(args)) => probe::run(*args),
        Some(Command::Patterns(args)) => patterns::run(args),
        Some(Command::Parts(args)) => parts::run(args),
        Some(Command::Colours(args)) => colours::run(args),
        Some(Command::Clusters(args)) => clusters::run(args),
        Some(Command::Similar(args)) => similar::run(args),
        Some(Command::Match(args)) => matches::run(args),
        Some(Command::Attention(args)) => attention::run(args),
        Some(Command::Robustness(args)) => robustness::run(args),
        Some(Command::Pack(args)) => pack::run(args).map(done),
        Some(Command::Export(args)) => export::run(args).map(done),
        Some(Command::Features(args)) => features::run(args),
        Some(Command::Inspect(args)) => inspect::run(args).map(done),
        Some(Command::Settings(args)) => settings::run(args).map(done),
        Some(Command::Devices(args)) => devices::run(args).map(done),
        Some(Command::Doctor(args)) => doctor::run(args).map(done),
        Some(Command::Bench(args)) => bench::run(args).map(done),
    }
}

/// The device to compute on.
#[derive(Args, Clone, Debug)]
struct DeviceArg {
    /// Where to compute: auto, cpu, gpu, or a name that `patchlight devices` lists
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
}
