//! `patchlight doctor`: does this device train correctly?

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::device;
use crate::session::doctor::{Check, DoctorOptions, DoctorReport, Quantity, doctor};

/// Options of `doctor`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: super::DeviceArg,
    /// Steps to train
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=1000))]
    steps: u16,
    /// Shapes like a real run's, for which a GPU takes other kernels; takes longer
    #[arg(long)]
    wide: bool,
    /// Also write the report to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Prints the comparison.
///
/// # Errors
/// A device that is not there, does not finish, or does not agree with the CPU; a report that cannot
/// be written.
pub fn run(args: Args) -> Result<()> {
    let chosen = device::choose(&args.device.device)?;
    say!("device  {} ({})", chosen.name, chosen.reason);
    if chosen.is_cpu {
        say!("the CPU is what others are compared with: this checks that it repeats itself");
    }
    let options = DoctorOptions {
        steps: args.steps.into(),
        wide: args.wide,
    };
    let report = doctor(&chosen, options);
    say!("{}", table(&report).trim_end());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n")
            .with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    if let Some(failure) = &report.failure {
        bail!(
            "{}: {failure}. Update its driver, or train with --device cpu",
            report.device
        );
    }
    let failed = report.checks.iter().filter(|check| !check.passed).count();
    if !report.passed {
        bail!(
            "{} differs from the CPU in {failed} of {} tensors. Do not train on it: update its \
             driver, or use --device cpu",
            report.device,
            report.checks.len()
        );
    }
    say!("passed: {} trains like the CPU", report.device);
    Ok(())
}

/// A line for each loss, parameter and centre, then the worst of each kind and the times.
fn table(report: &DoctorReport) -> String {
    let mut text = format!(
        "{:<40}{:>12}{:>12}{:>12}\n",
        "parameter", "gradient", "student", "teacher"
    );
    let find = |quantity: Quantity, name: &str| {
        report
            .checks
            .iter()
            .find(|check| check.quantity == quantity && check.name == name)
    };
    for check in report
        .checks
        .iter()
        .filter(|check| check.quantity == Quantity::Student)
    {
        let columns = [Quantity::Gradient, Quantity::Student, Quantity::Teacher]
            .map(|quantity| cell(find(quantity, &check.name)));
        let [gradient, student, teacher] = columns;
        text += &format!(
            "{:<40}{gradient:>12}{student:>12}{teacher:>12}\n",
            check.name
        );
    }
    for (quantity, what) in [(Quantity::Loss, "loss"), (Quantity::Centre, "centre")] {
        for check in report
            .checks
            .iter()
            .filter(|check| check.quantity == quantity)
        {
            text += &format!(
                "{:<40}{:>12}\n",
                format!("{what}: {}", check.name),
                cell(Some(check))
            );
        }
    }
    text += "\nlargest deviation, relative to the largest value of the tensor\n";
    for (quantity, what) in [
        (Quantity::Loss, "losses"),
        (Quantity::Gradient, "gradients"),
        (Quantity::Student, "student"),
        (Quantity::Teacher, "teacher"),
        (Quantity::Centre, "centres"),
    ] {
        if let Some(worst) = report.worst(quantity) {
            text += &format!(
                "{what:<12}{:>12}  allowed {:.0e}  {}\n",
                cell(Some(worst)),
                worst.tolerance,
                worst.name
            );
        }
    }
    text + &format!(
        "\na step takes {:.1} ms here (the first {:.1} ms) and {:.1} ms on the CPU\n",
        report.device_step * 1e3,
        report.device_first_step * 1e3,
        report.cpu_step * 1e3
    )
}

/// `1.2e-6 ✓`; nothing where nothing was compared.
fn cell(check: Option<&Check>) -> String {
    match check {
        Some(check) => format!(
            "{:.1e} {}",
            check.deviation,
            if check.passed { '✓' } else { '✗' }
        ),
        None => "–".to_string(),
    }
}
