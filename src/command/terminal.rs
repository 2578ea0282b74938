//! The terminal as a front end of a run: a plan, a progress bar, lines for what happens.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::INTERRUPTED;
use crate::device;
use crate::session::events::{EvalMetrics, Plan, StepMetrics, Summary};
use crate::session::{self, Control, Ending, Event, Job};

/// Runs a job, shows it, and says how it ended.
pub fn train(job: Job) -> Result<ExitCode> {
    let chosen = device::choose(&job.settings.run.device)?;
    let control = Arc::new(Control::default());
    let asked = control.clone();
    // A second Ctrl-C must not be needed, but must not hurt: the flag is only set again.
    ctrlc::set_handler(move || asked.stop()).context("cannot listen for Ctrl-C")?;
    let mut terminal = Terminal::new();
    let summary = session::train(&job, &chosen, &control, &mut |event| terminal.show(event));
    terminal.bar.finish_and_clear();
    let summary = summary?;
    print_summary(&summary, &job);
    Ok(match summary.ending {
        Ending::Stopped => ExitCode::from(INTERRUPTED),
        Ending::Finished | Ending::Limit => ExitCode::SUCCESS,
    })
}

/// Steps after which the average time of one is worth telling.
const STEPS_TO_JUDGE: usize = 10;

struct Terminal {
    bar: ProgressBar,
    /// Whether the bar is drawn; where it is not (a file, a pipe), lines are printed instead.
    drawn: bool,
    /// Of a step, averaged.
    seconds: f64,
    /// Seen so far.
    steps: usize,
    next_line: usize,
}

impl Terminal {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Terminal {
            drawn: !bar.is_hidden(),
            bar,
            seconds: 0.0,
            steps: 0,
            next_line: 0,
        }
    }

    fn line(&self, text: impl AsRef<str>) {
        match self.drawn {
            true => self.bar.println(text),
            false => say!("{}", text.as_ref()),
        }
    }

    fn show(&mut self, event: Event) {
        match event {
            Event::Plan(plan) => self.plan(&plan),
            Event::Phase(phase) => self.bar.set_prefix(phase),
            Event::Step(step) => self.step(&step),
            Event::Eval(eval) => self.line(eval_line(&eval)),
            Event::Checkpoint { step, path } => {
                self.bar
                    .set_length(self.bar.length().unwrap_or_default().max(step as u64));
                log::debug!("checkpoint {}", path.display());
            }
            Event::Changed(change) => self.line(change.to_string()),
            Event::Warning(text) => self.line(format!("warning: {text}")),
        }
    }

    fn plan(&mut self, plan: &Plan) {
        for line in plan_lines(plan) {
            self.line(line);
        }
        self.bar.set_length(plan.total_steps as u64);
        self.bar.set_position(plan.first_step as u64);
        self.bar.reset_eta();
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>10} {bar:24} {pos}/{len}  {msg}  ETA {eta}")
        {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(Duration::from_millis(500));
        self.next_line = plan.first_step;
    }

    fn step(&mut self, step: &StepMetrics) {
        // Times are averaged, not speeds: one step that seems to take no time must not count for
        // a thousand.
        self.seconds = match self.seconds {
            _ if self.steps < 2 => step.seconds,
            seconds => 0.9 * seconds + 0.1 * step.seconds,
        };
        let speed = step.images_per_second * step.seconds / self.seconds;
        self.steps += 1;
        let left = (self.bar.length().unwrap_or_default() as usize).saturating_sub(step.step + 1);
        if self.steps == STEPS_TO_JUDGE && left > 0 {
            let rest = HumanDuration(Duration::from_secs_f64(self.seconds * left as f64));
            self.line(format!(
                "speed       {:.2} s a step after the warm-up: about {rest} for the {left} steps left",
                self.seconds
            ));
        }
        let text = format!(
            "loss {:.3} (class {:.3} {:.3}, patch {:.3} {:.3})  {:.1} images/s",
            step.loss, step.cls_12, step.cls_21, step.patch_1, step.patch_2, speed
        );
        self.bar.set_position(step.step as u64 + 1);
        if !self.drawn && step.step >= self.next_line {
            self.next_line = step.step + (self.bar.length().unwrap_or(100) as usize / 50).max(1);
            say!("step {:>6}  {text}", step.step);
        }
        self.bar.set_message(text);
    }
}

fn plan_lines(plan: &Plan) -> Vec<String> {
    let millions = |n: usize| format!("{:.2} M", n as f64 / 1e6);
    let classes = match plan.classes {
        0 => "no classes".to_owned(),
        n => format!("{n} classes, {} test pictures", plan.test_pictures),
    };
    let mut lines = vec![
        format!(
            "source      {}: {} pictures, {classes}",
            plan.source, plan.train_pictures
        ),
        format!("device      {} ({})", plan.device, plan.device_reason),
        format!(
            "network     {} parameters, {} of them in the backbone; about {:.1} GiB of memory",
            millions(plan.parameters),
            millions(plan.backbone_parameters),
            plan.memory as f64 / (1u64 << 30) as f64
        ),
        format!(
            "steps       {} ({} epochs of {})",
            plan.total_steps, plan.epochs, plan.steps_per_epoch
        ),
        format!("folder      {}", plan.folder.display()),
    ];
    if plan.first_step > 0 {
        lines.push(format!("going on    from step {}", plan.first_step));
    }
    lines
}

fn eval_line(eval: &EvalMetrics) -> String {
    let mut line = format!("step {:>6}  ", eval.step);
    if let (Some(knn), Some(k)) = (eval.knn, eval.knn_k) {
        line += &format!("k-NN {:.1} % (k = {k})  ", 100.0 * knn);
    }
    if let (Some(nmi), Some(ari), Some(fmi)) = (eval.nmi, eval.ari, eval.fmi) {
        line += &format!("NMI {nmi:.3} ARI {ari:.3} FMI {fmi:.3}  ");
    }
    line += &format!(
        "prototypes {} class, {} patch",
        eval.prototypes_used, eval.prototypes_used_patch
    );
    let found = eval
        .parts
        .iter()
        .filter(|p| p.precision > 0.7 && p.recall > 0.7)
        .count();
    if !eval.parts.is_empty() {
        line += &format!("  parts found {found}/{}", eval.parts.len());
    }
    line
}

fn print_summary(summary: &Summary, job: &Job) {
    let how = match summary.ending {
        Ending::Finished => "finished",
        Ending::Limit => "limit reached",
        Ending::Stopped => "stopped",
    };
    say!("{how} after {} steps", summary.steps);
    if let Some(knn) = summary.best_knn {
        say!("best k-NN   {:.1} %", 100.0 * knn);
    }
    say!("checkpoint  {}", summary.checkpoint.display());
    say!("report      {}", summary.report.display());
    if summary.ending != Ending::Finished {
        say!("go on with  patchlight resume {}", job.folder.display());
    }
    if !summary.broken.is_empty() {
        say!("{} pictures could not be used:", summary.broken.len());
        for picture in &summary.broken {
            say!("  {picture}");
        }
    }
}
