//! The metrics file, read leniently, and its noisy curves made readable.

use super::super::plots::Series;
use anyhow::Context;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Points a curve is thinned to; a plot is not wider than that.
const POINTS: usize = 1500;

/// Lines of one kind by step.
pub type Records = BTreeMap<u64, Map<String, Value>>;

/// Step and evaluation lines by step, and the notes.
#[derive(Default)]
pub struct Metrics {
    pub steps: Records,
    pub evals: Records,
    pub notes: Vec<Map<String, Value>>,
    /// Lines that are no JSON object with a kind.
    pub unreadable: usize,
}

impl Metrics {
    /// Reads `path`; a missing file is an empty one, a torn or foreign line is counted.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
            read => read.with_context(|| format!("cannot read the metrics {}", path.display()))?,
        };
        let mut metrics = Self::default();
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let record: Map<String, Value> = serde_json::from_str(line).unwrap_or_default();
            let step = record.get("step").and_then(Value::as_u64);
            match (record.get("kind").and_then(Value::as_str), step) {
                (Some("step"), Some(step)) => drop(metrics.steps.insert(step, record)),
                (Some("eval"), Some(step)) => drop(metrics.evals.insert(step, record)),
                (Some("note"), _) => metrics.notes.push(record),
                _ => metrics.unreadable += 1,
            }
        }
        Ok(metrics)
    }

    /// Whether anything was compared with labels.
    pub fn evaluated(&self) -> bool {
        let fields = ["knn", "nmi", "ari", "fmi"];
        fields
            .iter()
            .any(|field| !column(&self.evals, field).is_empty())
    }
}

/// Every finite value of a field over its step.
pub fn column(records: &Records, field: &str) -> Vec<(f64, f64)> {
    let value = |r: &Map<String, Value>| r.get(field)?.as_f64().filter(|v| v.is_finite());
    records
        .iter()
        .filter_map(|(step, r)| Some((*step as f64, value(r)?)))
        .collect()
}

/// The curve as measured, thinned by means, and its course: a moving median, which single outliers do
/// not move, smoothed by a moving mean, both over a thirtieth of the run.
pub fn smoothed(name: &str, points: &[(f64, f64)]) -> Series {
    let raw: Vec<(f64, f64)> = points
        .chunks(points.len().div_ceil(POINTS).max(1))
        .map(mean)
        .collect();
    let reach = (raw.len() / 60).min(30);
    let window = |all: &[(f64, f64)], i: usize| {
        // Shorter towards both ends, so that a rise there is not flattened, but never a single point.
        let reach = reach.min(i).min(all.len() - 1 - i).max(reach / 3);
        let end = (i + reach).min(all.len() - 1);
        all.get(i.saturating_sub(reach)..=end)
            .unwrap_or_default()
            .to_vec()
    };
    let median = |i: usize| {
        let mut part = window(&raw, i);
        part.sort_by(|a, b| a.1.total_cmp(&b.1));
        let middle = part.get(part.len() / 2).map_or(0.0, |p| p.1);
        (mean(&part).0, middle)
    };
    let course: Vec<(f64, f64)> = (0..raw.len()).map(median).collect();
    let points = (0..course.len())
        .map(|i| mean(&window(&course, i)))
        .collect();
    Series {
        name: name.into(),
        points,
        raw: if reach > 0 { raw } else { vec![] },
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len().max(1) as f64;
    let sum = points
        .iter()
        .fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    (sum.0 / n, sum.1 / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_line_and_drops_an_outlier() {
        let mut line: Vec<(f64, f64)> = (0..600).map(|i| (i as f64, i as f64)).collect();
        line[300].1 = 1e9;
        let course = smoothed("", &line).points;
        assert!(
            course.iter().all(|(x, y)| (x - y).abs() < 2.0),
            "{course:?}"
        );
        assert!(course[0].0 < 4.0 && course[599].0 > 595.0 && course.is_sorted_by_key(|p| p.0));
    }
}
