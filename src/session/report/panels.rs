//! Which curves of a run stand together in which picture.

use super::super::plots::{Chart, Series, draw, draw_panels};
use super::ReportFacts;
use super::metrics::{Metrics, column, smoothed};
use std::path::Path;

/// A panel of step curves, each (field, name).
fn step_chart(
    metrics: &Metrics,
    title: &str,
    unit: &str,
    fields: &[(&str, &str)],
    smooth: bool,
) -> Chart {
    let series = fields.iter().filter_map(|(field, name)| {
        let points = column(&metrics.steps, field);
        let series = if smooth {
            smoothed(name, &points)
        } else {
            Series {
                name: name.to_string(),
                points,
                raw: vec![],
            }
        };
        // A run without, say, patch temperatures has no empty entry in the legend.
        (!series.points.is_empty()).then_some(series)
    });
    Chart {
        title: title.into(),
        x_label: "step".into(),
        y_label: unit.into(),
        series: series.collect(),
        ..Chart::default()
    }
}

fn levels(facts: &ReportFacts) -> Vec<(f64, String)> {
    let level = |k: usize, name: &str| (k > 0).then(|| ((k as f64).ln(), name.to_string()));
    if facts.prototypes == facts.prototypes_patch || facts.prototypes_patch == 0 {
        return level(facts.prototypes, "ln K").into_iter().collect();
    }
    let both = [
        level(facts.prototypes, "ln K class"),
        level(facts.prototypes_patch, "ln K patch"),
    ];
    both.into_iter().flatten().collect()
}

/// Draws every plot of the report into `folder`.
pub fn draw_plots(metrics: &Metrics, facts: &ReportFacts, folder: &Path) -> anyhow::Result<()> {
    let chart =
        |title, unit, fields: &[(&str, &str)]| step_chart(metrics, title, unit, fields, true);
    let plain =
        |title, unit, fields: &[(&str, &str)]| step_chart(metrics, title, unit, fields, false);
    let single = (900, 420);
    draw(
        &chart("Loss", "nats", &[("loss", "loss")]),
        &folder.join("loss.png"),
        single,
    )?;
    let fields = [
        ("cls_12", "class 1 to 2"),
        ("cls_21", "class 2 to 1"),
        ("patch_1", "patch 1"),
        ("patch_2", "patch 2"),
    ];
    let terms = Chart {
        h_lines: levels(facts),
        ..chart("Terms of the loss", "nats", &fields)
    };
    draw(&terms, &folder.join("terms.png"), single)?;

    let fields = [("entropy_cls", "class"), ("entropy_patch", "patch")];
    let entropy = Chart {
        h_lines: levels(facts),
        ..chart("Entropy of the teacher", "nats", &fields)
    };
    let fields = [
        ("prototypes_used", "class"),
        ("prototypes_used_patch", "patch"),
    ];
    let used = chart("Prototypes in use", "", &fields);
    let agreement = chart(
        "Teacher and student agree",
        "share of pictures",
        &[("agreement", "agreement")],
    );
    let norm = Chart {
        log_y: true,
        ..chart("Gradient norm", "", &[("grad_norm", "norm")])
    };
    let health = [entropy, used, agreement, norm];
    draw_panels(&health, 2, &folder.join("health.png"), (1100, 720))?;

    let temperatures = [("teacher_temp", "class"), ("teacher_patch_temp", "patch")];
    let schedules = [
        plain("Learning rate", "", &[("lr", "learning rate")]),
        plain("Weight decay", "", &[("weight_decay", "weight decay")]),
        plain("Teacher momentum", "", &[("momentum", "momentum")]),
        plain("Teacher temperature", "", &temperatures),
    ];
    draw_panels(&schedules, 2, &folder.join("schedules.png"), (1100, 720))?;
    let speed = chart(
        "Speed",
        "images per second",
        &[("images_per_second", "speed")],
    );
    draw(&speed, &folder.join("speed.png"), single)?;

    if !metrics.evaluated() {
        return Ok(());
    }
    let percent = |field: &str, name: &str| Series {
        name: name.into(),
        points: column(&metrics.evals, field)
            .iter()
            .map(|(x, y)| (*x, 100.0 * y))
            .collect(),
        raw: vec![],
    };
    let panel = |title: &str, unit: &str, series: Vec<Series>| Chart {
        title: title.into(),
        x_label: "step".into(),
        y_label: unit.into(),
        series: series
            .into_iter()
            .filter(|s| !s.points.is_empty())
            .collect(),
        ..Chart::default()
    };
    let compared = facts
        .baselines
        .iter()
        .map(|(name, y)| (100.0 * y, name.clone()));
    let knn = Chart {
        h_lines: compared.collect(),
        ..panel("k-NN accuracy", "top-1, %", vec![percent("knn", "k-NN")])
    };
    let clusters = vec![
        percent("nmi", "NMI"),
        percent("ari", "ARI"),
        percent("fmi", "FMI"),
    ];
    let clusters = panel("Prototypes against classes", "%", clusters);
    draw_panels(&[knn, clusters], 2, &folder.join("knn.png"), (1100, 400))
}
