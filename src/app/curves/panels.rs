//! The points that are drawn of the plots of a history.

use egui_plot::PlotPoint;

use super::plans::{PLANS, Plan, Values};
use super::thin::{average, thin, window};
use crate::session::history::History;
use crate::session::plots::{Chart, Series};

/// What changes the points of all curves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Values that the moving average goes over; 1 for none.
    pub span: usize,
    pub log_x: bool,
    pub log_y: bool,
    /// Class and patch prototypes; 0 where not known.
    pub head: (usize, usize),
    /// What is on the screen of the x axis, in its own units.
    pub seen: (f64, f64),
}

impl View {
    /// Where a step stands on the x axis.
    pub fn x(&self, step: usize) -> f64 {
        match self.log_x {
            true => (step.max(1) as f64).log10(),
            false => step as f64,
        }
    }

    /// The step that stands at `x`.
    pub fn step(&self, x: f64) -> usize {
        let step = if self.log_x { 10f64.powf(x) } else { x };
        step.round().max(0.0) as usize
    }

    /// The x axis of the whole run.
    pub fn full(&self, history: &History) -> (f64, f64) {
        (self.x(0), self.x(history.last_step().unwrap_or(1).max(1)))
    }

    /// The x axis that points are taken from.
    pub fn part(&self, history: &History) -> (f64, f64) {
        window(self.seen, self.full(history))
    }
}

/// One curve as it is drawn.
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<PlotPoint>,
    /// As measured, behind a smoothed curve; else empty.
    pub raw: Vec<PlotPoint>,
}

/// One plot as it is drawn.
pub struct Panel {
    pub plan: &'static Plan,
    /// Whether y values are logarithms to the base 10.
    pub log: bool,
    pub curves: Vec<Curve>,
    /// Heights (in units of the axis) with their names.
    pub levels: Vec<(f64, String)>,
    /// Lowest and highest y that the axis has at least, where all values are the same.
    pub flat: Option<(f64, f64)>,
}

/// Every plot of `history` in `view`.
pub fn build(history: &History, view: &View) -> Vec<Panel> {
    PLANS
        .iter()
        .map(|plan| panel(plan, history, view))
        .collect()
}

fn panel(plan: &'static Plan, history: &History, view: &View) -> Panel {
    let log = plan.log && view.log_y;
    let (from, to) = view.part(history);
    let points = |values: &mut dyn Iterator<Item = (usize, f64)>| -> Vec<PlotPoint> {
        let placed = values.map(|(step, y)| [view.x(step), if log { y.log10() } else { y }]);
        let inside: Vec<[f64; 2]> = placed.filter(|p| p[0] >= from && p[0] <= to).collect();
        thin(&inside).into_iter().map(PlotPoint::from).collect()
    };
    let curves: Vec<Curve> = match plan.values {
        Values::Steps(curves) => curves
            .iter()
            .map(|(name, value)| {
                let steps = || history.steps.iter().map(|s| s.step);
                let values = || history.steps.iter().map(value);
                let smooth = plan.smooth && view.span > 1;
                let span = if smooth { view.span } else { 1 };
                let raw = match smooth {
                    true => points(&mut steps().zip(values())),
                    false => vec![],
                };
                Curve {
                    name,
                    points: points(&mut steps().zip(average(values(), span))),
                    raw,
                }
            })
            .collect(),
        Values::Evals(curves) => curves
            .iter()
            .map(|(name, value)| {
                let evals = history.evals.iter();
                Curve {
                    name,
                    points: points(&mut evals.filter_map(|e| Some((e.step, value(e)?)))),
                    raw: vec![],
                }
            })
            .collect(),
    };
    let levels = if plan.level {
        levels(view.head)
    } else {
        vec![]
    };
    let height = |(y, name): (f64, String)| (if log { y.log10() } else { y }, name);
    let levels: Vec<(f64, String)> = levels.into_iter().map(height).collect();
    Panel {
        flat: flat(&curves, &levels),
        plan,
        log,
        curves,
        levels,
    }
}

/// Some room about values that are all the same.
fn flat(curves: &[Curve], levels: &[(f64, String)]) -> Option<(f64, f64)> {
    let points = curves
        .iter()
        .flat_map(|c| c.points.iter().chain(&c.raw).map(|p| p.y));
    let all = points.chain(levels.iter().map(|l| l.0));
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    let room = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
    (high >= low && high - low <= 1e-9 * low.abs()).then_some((low - room, high + room))
}

/// ln K of the heads, once where both are the same.
fn levels((class, patch): (usize, usize)) -> Vec<(f64, String)> {
    let level = |k: usize, name: &str| ((k as f64).ln(), format!("ln {k}{name}"));
    match (class, patch) {
        (c, p) if c > 1 && p > 1 && c != p => vec![level(c, " class"), level(p, " patch")],
        (c, p) if c.max(p) > 1 => vec![level(c.max(p), "")],
        _ => vec![],
    }
}

/// What the curves of `plan` are at `step`, exactly and unsmoothed: a line each.
pub fn values_at(plan: &Plan, history: &History, step: usize) -> Vec<String> {
    let line = |name: &str, value: f64| {
        let percent = if plan.unit == "%" { " %" } else { "" };
        format!("{name} {}{percent}", number(value))
    };
    match plan.values {
        Values::Steps(curves) => {
            let at = history.at(step);
            let lines = curves.iter().map(|(name, get)| Some(line(name, get(at?))));
            lines.flatten().collect()
        }
        Values::Evals(curves) => {
            let at = history.evals.iter().min_by_key(|e| e.step.abs_diff(step));
            let of = at.map(|e| format!("evaluated at step {}", e.step));
            let lines = curves.iter().map(|(name, get)| Some(line(name, get(at?)?)));
            of.into_iter().chain(lines.flatten()).collect()
        }
    }
}

/// A panel as the report draws it, in plain units.
pub fn chart(panel: &Panel, view: &View) -> Chart {
    let y = |y: f64| if panel.log { 10f64.powf(y) } else { y };
    let points = |points: &[PlotPoint]| -> Vec<(f64, f64)> {
        let x = |x: f64| if view.log_x { 10f64.powf(x) } else { x };
        points.iter().map(|p| (x(p.x), y(p.y))).collect()
    };
    let series = |curve: &Curve| Series {
        name: curve.name.into(),
        points: points(&curve.points),
        raw: points(&curve.raw),
    };
    let curves = panel.curves.iter().filter(|c| !c.points.is_empty());
    Chart {
        title: panel.plan.title.into(),
        x_label: "step".into(),
        y_label: panel.plan.unit.into(),
        log_y: panel.log,
        series: curves.map(series).collect(),
        h_lines: panel.levels.iter().map(|l| (y(l.0), l.1.clone())).collect(),
    }
}

/// A number of about four digits, as short as it goes.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !value.is_finite() {
        return if size == 0.0 {
            "0".into()
        } else {
            value.to_string()
        };
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.1e}");
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::events::StepMetrics;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 1.5, 0.0625, 123_456.0, 2.5e-5, -9.010_9, 10.0].map(number);
        assert_eq!(
            texts,
            ["0", "1.5", "0.0625", "123456", "2.5e-5", "-9.011", "10"]
        );
    }

    #[test]
    fn terms_are_means_and_levels_are_named_once() {
        let step = StepMetrics {
            cls_12: 2.0,
            cls_21: 4.0,
            patch_1: 1.0,
            patch_2: 2.0,
            ..StepMetrics::default()
        };
        let history = History {
            steps: vec![step],
            ..History::default()
        };
        let view = View {
            span: 1,
            log_x: false,
            log_y: false,
            head: (8192, 8192),
            seen: (0.0, 0.0),
        };
        let loss = &build(&history, &view)[0];
        assert_eq!(
            (loss.curves[1].points[0].y, loss.curves[2].points[0].y),
            (3.0, 1.5)
        );
        assert_eq!(loss.levels, [(8192f64.ln(), "ln 8192".to_string())]);
        assert_eq!(levels((64, 32)).len(), 2);
        assert!(levels((0, 0)).is_empty());
        assert_eq!(values_at(&PLANS[0], &history, 9)[1], "class 3");
    }
}
