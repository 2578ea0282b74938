//! What a run has told so far: the numbers behind curves and health, live or read back from its
//! folder.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::events::{EvalMetrics, Event, Plan, StepMetrics};

/// A setting that was changed while the run was going on: a line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The first step that was made with it.
    pub step: usize,
    pub key: String,
    /// Before and after, as a person writes them.
    pub from: String,
    pub to: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Change {
            key,
            step,
            from,
            to,
        } = self;
        write!(f, "{key} = {to} from step {step} on (was {from})")
    }
}

/// Everything that curves are drawn from, in the order of the steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub plan: Option<Plan>,
    pub steps: Vec<StepMetrics>,
    pub evals: Vec<EvalMetrics>,
    pub changes: Vec<Change>,
    /// Steps after which a checkpoint was written.
    pub checkpoints: Vec<usize>,
}

impl History {
    /// Takes in what a run tells.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Plan(plan) => {
                // A resumed run goes back to its checkpoint; what came after is made anew.
                let first = plan.first_step;
                self.steps.retain(|step| step.step < first);
                self.evals.retain(|eval| eval.step <= first);
                self.changes.retain(|change| change.step <= first);
                self.plan = Some((**plan).clone());
            }
            Event::Step(step) => self.steps.push((**step).clone()),
            Event::Eval(eval) => self.evals.push((**eval).clone()),
            Event::Changed(change) => self.changes.push(change.clone()),
            Event::Checkpoint { step, .. } => self.checkpoints.push(*step),
            Event::Phase(_) | Event::Warning(_) => {}
        }
    }

    /// Reads the metrics of the run in `folder`. A last line that a killed run left half written is
    /// passed over.
    ///
    /// # Errors
    /// Metrics that cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("metrics.jsonl");
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut history = History::default();
        for line in BufReader::new(file).lines() {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            let Ok(value) = serde_json::from_str::<serde_json::Value>(&line) else {
                continue;
            };
            let kind = value.get("kind").and_then(|kind| kind.as_str());
            match kind.unwrap_or_default() {
                "step" => history.steps.extend(serde_json::from_value(value).ok()),
                "eval" => history.evals.extend(serde_json::from_value(value).ok()),
                "change" => history.changes.extend(serde_json::from_value(value).ok()),
                _ => {}
            }
        }
        let saved = super::checkpoint::list(folder);
        history.checkpoints = saved.into_iter().map(|(step, _)| step).collect();
        Ok(history)
    }

    /// The step that the newest number belongs to.
    pub fn last_step(&self) -> Option<usize> {
        let step = self.steps.last().map(|step| step.step + 1);
        step.max(self.evals.last().map(|eval| eval.step))
    }

    /// The step nearest to `step` of which there are numbers.
    pub fn at(&self, step: usize) -> Option<&StepMetrics> {
        let after = self.steps.partition_point(|s| s.step < step);
        self.steps.get(after).or(self.steps.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Event {
        Event::Step(Box::new(StepMetrics {
            step,
            loss: step as f32,
            ..StepMetrics::default()
        }))
    }

    #[test]
    fn a_resumed_run_makes_its_last_steps_anew() {
        let mut history = History::default();
        (0..10).for_each(|i| history.take(&step(i)));
        let plan = Plan {
            first_step: 8,
            ..Plan::default()
        };
        history.take(&Event::Plan(Box::new(plan)));
        history.take(&step(8));
        let steps: Vec<usize> = history.steps.iter().map(|s| s.step).collect();
        assert_eq!(steps, (0..9).collect::<Vec<_>>());
        assert_eq!(history.at(5).map(|s| s.step), Some(5));
        assert_eq!(history.at(50).map(|s| s.step), Some(8));
    }

    #[test]
    fn metrics_are_read_back_without_a_half_line() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"kind\":\"eval\",\"step\":0,\"prototypes_used\":3,\"prototypes_used_patch\":4,\
                    \"seconds\":1.5}\n{\"kind\":\"change\",\"step\":2,\"key\":\"optim.lr\",\"from\":\
                    \"1\",\"to\":\"2\"}\n{\"kind\":\"step\",\"st";
        std::fs::write(folder.path().join("metrics.jsonl"), text).unwrap();
        let history = History::read(folder.path()).unwrap();
        assert_eq!(history.evals[0].prototypes_used_patch, 4);
        assert_eq!(history.changes[0].key, "optim.lr");
        assert!(history.steps.is_empty());
        assert!(History::read(&folder.path().join("none")).is_err());
    }
}
