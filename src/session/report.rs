//! The last page of a run: what was done, what came of it, and six pictures, as Markdown.
//!
//! Numbers come from the metrics file, not from memory, so a report can be made again at any time and
//! covers a run that was stopped and resumed. The file is read leniently: every field is optional, the
//! last line may be torn by a crash, and where a resumed run measured a step again, the later line wins.

mod metrics;
mod panels;

use crate::data::LoadError;
use anyhow::Context;
use metrics::{Metrics, column, smoothed};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// The metrics of a run inside its output folder: one JSON object a line, `"kind"` being "step",
/// "eval" or "note".
pub const METRICS_FILE: &str = "metrics.jsonl";

/// A setting that differs from the preset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangedSetting {
    pub key: String,
    pub value: String,
    pub preset: String,
}

/// What the report says beside the metrics; plain text throughout.
#[derive(Clone, Debug, Default)]
pub struct ReportFacts {
    /// Heading, such as the name of the run.
    pub title: String,
    /// How it ended: "finished", "stopped by the user after step 120" …
    pub outcome: String,
    /// The pictures: source, number, classes.
    pub source: String,
    pub device: String,
    pub preset: String,
    pub changed: Vec<ChangedSetting>,
    /// Name and value, in order: steps, images seen, wall time, parameters, peak memory …
    pub totals: Vec<(String, String)>,
    /// Prototypes K of class tokens and of patches, for the level `ln K`; 0 where not known.
    pub prototypes: usize,
    pub prototypes_patch: usize,
    /// k-NN accuracies in `[0, 1]` to compare with: raw pixels, the untrained network.
    pub baselines: Vec<(String, f64)>,
    pub warnings: Vec<String>,
    /// Pictures that could not be used, each once.
    pub broken: Vec<LoadError>,
}

/// Writes `report.md` and `plots/{loss,terms,health,schedules,speed}.png` into `dir`, and
/// `plots/knn.png` where something was evaluated. Metrics are read from [`METRICS_FILE`] in `dir`; a
/// missing file gives empty plots. Errors name the file that could not be read
/// or written.
pub fn write(dir: &Path, facts: &ReportFacts) -> anyhow::Result<()> {
    let metrics = Metrics::read(&dir.join(METRICS_FILE))?;
    let plots = dir.join("plots");
    std::fs::create_dir_all(&plots)
        .with_context(|| format!("cannot make the folder {}", plots.display()))?;
    panels::draw_plots(&metrics, facts, &plots)?;
    let path = dir.join("report.md");
    std::fs::write(&path, markdown(&metrics, facts))
        .with_context(|| format!("cannot write the report {}", path.display()))
}

fn markdown(metrics: &Metrics, facts: &ReportFacts) -> String {
    let mut page = String::new();
    let mut add = |text: String| page.extend([text.as_str(), "\n\n"]);
    add(format!("# {}", line(&facts.title)));
    let mut facts_table = vec![
        ("Outcome".to_string(), facts.outcome.clone()),
        ("Pictures".to_string(), facts.source.clone()),
        ("Device".to_string(), facts.device.clone()),
        ("Preset".to_string(), facts.preset.clone()),
    ];
    facts_table.retain(|(_, value)| !value.is_empty());
    facts_table.extend(facts.totals.iter().cloned());
    facts_table.extend(key_numbers(metrics, facts));
    add(table(["", ""], facts_table.iter().map(|(a, b)| vec![a, b])));

    if metrics.evaluated() {
        add("## What the features are worth\n\n![k-NN accuracy](plots/knn.png)\n\n\
             Class of held-out pictures by their nearest neighbours (nothing is trained for it), and \
             how far the teacher's prototypes agree with the classes."
            .into());
    } else {
        add("Nothing was compared with labels; the signals below need none.".into());
    }
    if let Some(table) = parts_table(metrics) {
        add(format!(
            "## Parts that single prototypes have found\n\n{table}\n\nPrecision: the share of the \
             prototype's patches that show the part. Recall: the share of the part's patches that it \
             takes. Union: the best few prototypes together."
        ));
    }
    for (heading, name, meaning) in [
        (
            "Loss",
            "loss",
            "Faint: as measured; strong: the moving median.",
        ),
        (
            "Terms of the loss",
            "terms",
            "Cross-entropy between the views (class) and at masked patches (patch). At ln K nothing is learned yet.",
        ),
        (
            "Health",
            "health",
            "Entropy near ln K with few prototypes in use, or near 0 with one, is a collapse.",
        ),
        ("Schedules", "schedules", "What was set, step by step."),
        ("Speed", "speed", "Dips are evaluations and checkpoints."),
    ] {
        add(format!(
            "## {heading}\n\n![{heading}](plots/{name}.png)\n\n{meaning}"
        ));
    }

    add("## Settings changed from the preset".into());
    if facts.changed.is_empty() {
        add("None.".into());
    } else {
        let rows = facts
            .changed
            .iter()
            .map(|c| vec![&c.key, &c.value, &c.preset]);
        add(table(["setting", "value", "preset"], rows));
    }
    let mut warnings: Vec<String> = facts
        .warnings
        .iter()
        .map(|w| format!("- {}", line(w)))
        .collect();
    if metrics.unreadable > 0 {
        warnings.push(format!(
            "- lines of {METRICS_FILE} that could not be read: {}",
            metrics.unreadable
        ));
    }
    let note = |n: &Map<String, Value>| {
        let text = ["text", "message", "note"]
            .iter()
            .find_map(|key| n.get(*key)?.as_str())?;
        let step = n
            .get("step")
            .and_then(Value::as_u64)
            .map(|s| format!("step {s}: "));
        Some(format!("- {}{}", step.unwrap_or_default(), line(text)))
    };
    let notes: Vec<String> = metrics.notes.iter().filter_map(note).collect();
    let picture = |b: &LoadError| {
        format!(
            "- `{}`: {}",
            line(&b.name).replace('`', "'"),
            line(&b.reason)
        )
    };
    let broken = facts.broken.iter().map(picture).collect();
    for (heading, lines) in [
        ("Notes", notes),
        ("Warnings", warnings),
        ("Pictures that could not be used", broken),
    ] {
        if !lines.is_empty() {
            add(format!(
                "## {heading} ({})\n\n{}",
                lines.len(),
                lines.join("\n")
            ));
        }
    }
    page
}

/// First and last loss, best and last k-NN, speed: what one looks for first.
fn key_numbers(metrics: &Metrics, facts: &ReportFacts) -> Vec<(String, String)> {
    let mut rows = vec![];
    let loss = smoothed("", &column(&metrics.steps, "loss")).points;
    if let (Some(first), Some(last)) = (loss.first(), loss.last()) {
        rows.push((
            "Loss, first and last".into(),
            format!("{:.4}, {:.4}", first.1, last.1),
        ));
    }
    let knn = column(&metrics.evals, "knn");
    if let (Some(best), Some(last)) = (knn.iter().max_by(|a, b| a.1.total_cmp(&b.1)), knn.last()) {
        let k = metrics
            .evals
            .get(&(best.0 as u64))
            .and_then(|r| r.get("knn_k")?.as_u64());
        let k = k.map_or(String::new(), |k| format!(", k {k}"));
        let mut text = format!(
            "{:.2} % at step {}{k}; last {:.2} %",
            100.0 * best.1,
            best.0,
            100.0 * last.1
        );
        for (name, value) in &facts.baselines {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {name} {:.2} %", 100.0 * value);
        }
        rows.push(("Best k-NN accuracy".into(), text));
    }
    let mut speeds: Vec<f64> = column(&metrics.steps, "images_per_second")
        .iter()
        .map(|p| p.1)
        .collect();
    speeds.sort_by(f64::total_cmp);
    if let Some(middle) = speeds.get(speeds.len() / 2) {
        rows.push(("Images per second, median".into(), format!("{middle:.1}")));
    }
    rows
}

/// The `parts` of the last evaluation that has them: precision and recall, best found first.
fn parts_table(metrics: &Metrics) -> Option<String> {
    let parts = metrics
        .evals
        .values()
        .rev()
        .find_map(|r| r.get("parts")?.as_array())?;
    let number = |part: &Value, field: &str| part.get(field).and_then(Value::as_f64);
    let quality = |part: &Value| {
        let both = [number(part, "precision"), number(part, "recall")];
        both.into_iter().flatten().fold(1.0, f64::min)
    };
    let mut parts: Vec<&Value> = parts.iter().collect();
    parts.sort_by(|a, b| quality(b).total_cmp(&quality(a)));
    let cell =
        |part: &Value, field: &str| number(part, field).map_or("".into(), |v| format!("{v:.2}"));
    let row = |part: &Value| {
        let whole = |field: &str| {
            part.get(field)
                .and_then(Value::as_u64)
                .map_or("".into(), |v| v.to_string())
        };
        let name = part.get("part").and_then(Value::as_str).unwrap_or_default();
        let mut cells = vec![name.to_string(), whole("patches"), whole("prototype")];
        let fields = ["precision", "recall", "union_precision", "union_recall"];
        cells.extend(fields.map(|field| cell(part, field)));
        cells
    };
    let rows: Vec<Vec<String>> = parts.into_iter().map(row).collect();
    let heads = [
        "part",
        "patches",
        "prototype",
        "precision",
        "recall",
        "union precision",
        "union recall",
    ];
    Some(table(heads, rows.iter().map(|row| row.iter().collect())))
}

/// A Markdown table; `|` and line breaks in cells are made harmless.
fn table<'a, const N: usize>(
    heads: [&str; N],
    rows: impl Iterator<Item = Vec<&'a String>>,
) -> String {
    let mut text = format!("| {} |\n|{}", heads.join(" | "), " --- |".repeat(N));
    for row in rows {
        let cells: Vec<String> = row
            .into_iter()
            .map(|c| line(c).replace('|', "\\|"))
            .collect();
        text.extend(["\n| ", &cells.join(" | "), " |"]);
    }
    text
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_and_resumed_run_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = String::from("{\"kind\":\"note\",\"step\":0,\"text\":\"warm-up\"}\n");
        for step in (0..40).chain(30..80) {
            let _ = writeln!(
                lines,
                "{{\"kind\":\"step\",\"step\":{step},\"loss\":{}}}",
                9.0 - step as f64 * 0.1
            );
        }
        lines += "{\"kind\":\"step\",\"step\":80,\"loss\":null}\n";
        lines += "{\"kind\":\"eval\",\"step\":50,\"knn\":0.5,\"knn_k\":20,\"parts\":[{\"part\":\"dog ear\",\"patches\":9,\"precision\":0.5}]}\n{\"kind\":\"step\",\"st";
        std::fs::write(folder.path().join(METRICS_FILE), lines).unwrap();
        let facts = ReportFacts {
            title: "two\nlines".into(),
            changed: vec![ChangedSetting {
                key: "a|b".into(),
                value: "1".into(),
                preset: "2".into(),
            }],
            broken: vec![LoadError {
                name: "x.jpg".into(),
                reason: "it is empty".into(),
            }],
            ..Default::default()
        };
        write(folder.path(), &facts).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
        for text in [
            "# two lines\n",
            "| a\\|b | 1 | 2 |",
            "- `x.jpg`: it is empty",
            "step 0: warm-up",
            "| dog ear | 9 |  | 0.50 |",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert!(
            page.contains("50.00 % at step 50, k 20") && page.contains("9.0000, 1.1000"),
            "{page}"
        );
        assert!(page.contains("could not be read: 1"));
        for name in ["loss", "terms", "health", "schedules", "knn", "speed"] {
            assert!(
                folder.path().join(format!("plots/{name}.png")).is_file(),
                "{name}"
            );
        }
    }

    #[test]
    fn without_metrics_there_is_a_report() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &ReportFacts::default()).unwrap();
        assert!(
            folder.path().join("report.md").is_file()
                && !folder.path().join("plots/knn.png").exists()
        );
    }
}
