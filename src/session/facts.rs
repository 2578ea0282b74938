//! What the report of a run says beside its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::peak_memory;
use super::events::{Ending, Plan};
use super::report::{ChangedSetting, ReportFacts};
use super::run::Job;
use crate::data::LoadError;
use crate::settings::{Row, Settings};

/// A run that has ended.
pub struct Outcome<'a> {
    pub job: &'a Job,
    pub plan: &'a Plan,
    /// Steps done.
    pub step: usize,
    pub ending: Ending,
    pub took: Duration,
    /// k-NN of the untrained network.
    pub untrained_knn: Option<f64>,
    pub warnings: &'a [String],
    /// Pictures that could not be used, by their message.
    pub broken: &'a BTreeMap<String, LoadError>,
}

/// The facts of a run, in words.
pub fn collect(run: &Outcome) -> ReportFacts {
    let (settings, plan) = (&run.job.settings, run.plan);
    let preset = run.job.run.preset.clone();
    let preset = preset.unwrap_or_else(|| "defaults".into());
    let outcome = match run.ending {
        Ending::Finished => "finished".to_owned(),
        Ending::Limit => format!("reached its limit after step {}", run.step),
        Ending::Stopped => format!("stopped by the user after step {}", run.step),
    };
    let title = run.job.folder.file_name().unwrap_or_default();
    let untrained = run.untrained_knn;
    ReportFacts {
        title: title.to_string_lossy().into_owned(),
        outcome,
        source: format!(
            "{}: {} pictures, {} classes, {} test pictures",
            plan.source, plan.train_pictures, plan.classes, plan.test_pictures
        ),
        device: format!("{} ({})", plan.device, plan.device_reason),
        changed: changed(settings, &preset),
        preset,
        totals: totals(run),
        prototypes: settings.head.out_dim,
        prototypes_patch: settings.head.patch_out_dim,
        baselines: untrained
            .map(|knn| ("untrained network".to_owned(), knn))
            .into_iter()
            .collect(),
        warnings: run.warnings.to_vec(),
        broken: run.broken.values().cloned().collect(),
    }
}

fn changed(settings: &Settings, preset: &str) -> Vec<ChangedSetting> {
    let base = crate::settings::preset(preset)
        .and_then(|preset| preset.settings())
        .unwrap_or_default();
    let text = |key: &str, settings: &Settings| {
        let value = Row::find(key).map(|row| row.get(settings));
        value.map(|value| value.to_string()).unwrap_or_default()
    };
    let keys = settings.diff(&base).into_iter();
    keys.map(|key| ChangedSetting {
        key: key.to_owned(),
        value: text(key, settings),
        preset: text(key, &base),
    })
    .collect()
}

fn totals(run: &Outcome) -> Vec<(String, String)> {
    let (plan, seen) = (run.plan, run.step * run.job.settings.run.batch);
    let mut totals = vec![
        ("steps", format!("{} of {}", run.step, plan.total_steps)),
        ("pictures seen", seen.to_string()),
        (
            "time of this session",
            format!("{:.1} min", run.took.as_secs_f64() / 60.0),
        ),
        (
            "parameters",
            format!(
                "{} ({} in the backbone)",
                plan.parameters, plan.backbone_parameters
            ),
        ),
    ];
    if let Some(bytes) = peak_memory() {
        let memory = format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64);
        totals.push(("peak memory", memory));
    }
    let owned = totals.into_iter();
    owned
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
