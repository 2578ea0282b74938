//! Where an axis gets its ticks, and what they are called.

use std::ops::Range;

/// Range of the values with a margin; never of zero width.
pub fn range(values: impl Iterator<Item = f64>, margin: f64) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    if low > high {
        return 0.0..1.0;
    }
    let spread = if high - low > 1e-9 * high.abs().max(1e-300) {
        (high - low) * margin
    } else {
        (high.abs() * 0.1).max(1e-6)
    };
    low - spread..high + spread
}

/// About `count` round values in the range, and their distance: 1, 2 or 5 times a power of ten.
pub fn linear_ticks(range: &Range<f64>, count: usize) -> (Vec<f64>, f64) {
    let rough = (range.end - range.start) / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * power >= rough * 0.999);
    let step = nice.unwrap_or(10.0) * power;
    let first = (range.start / step).ceil() as i64;
    let last = (range.end / step).floor() as i64;
    (
        (first..=last).take(50).map(|i| i as f64 * step).collect(),
        step,
    )
}

/// Ticks of a logarithmic axis given in powers of ten: every power, and 2 and 5 where powers are few.
pub fn log_ticks(range: &Range<f64>) -> (Vec<f64>, f64) {
    let decades = range.end - range.start;
    if decades < 0.5 {
        // Hardly a decade: round values in between serve better than powers.
        let (ticks, step) = linear_ticks(&(10f64.powf(range.start)..10f64.powf(range.end)), 5);
        return (
            ticks
                .into_iter()
                .filter(|t| *t > 0.0)
                .map(f64::log10)
                .collect(),
            step,
        );
    }
    let parts: &[f64] = if decades < 2.5 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let every = (decades / 8.0).ceil().max(1.0) as usize;
    let powers = (range.start.floor() as i64..=range.end.ceil() as i64).step_by(every);
    let ticks = powers.flat_map(|p| parts.iter().map(move |m| m.log10() + p as f64));
    (ticks.filter(|t| range.contains(t)).collect(), 1.0)
}

/// `x` with as many digits as ticks `step` apart need, in a unit that fits the `largest` of them:
/// 2.5k, 12k, 0.05, 1e-5.
pub fn number(x: f64, step: f64, largest: f64) -> String {
    if x.abs() < step * 1e-6 {
        return "0".into();
    }
    for (from, unit, letter) in [(1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")] {
        if largest >= from {
            return format!("{}{letter}", decimals(x / unit, step / unit));
        }
    }
    if largest < 1e-3 {
        return format!("{x:.1e}").replace(".0e", "e");
    }
    decimals(x, step)
}

fn decimals(x: f64, step: f64) -> String {
    let digits = (-(step * 1.0001).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{x:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        let (ticks, step) = linear_ticks(&(0.0..937.0), 7);
        assert_eq!((ticks[1], ticks.len(), step), (200.0, 5, 200.0));
        let names: Vec<String> = [0.0, 0.02, 0.04]
            .iter()
            .map(|x| number(*x, 0.02, 0.04))
            .collect();
        assert_eq!(names, ["0", "0.02", "0.04"]);
        assert_eq!(
            (number(8_500.0, 500.0, 12_500.0), number(5e-4, 1e-4, 5e-4)),
            ("8.5k".into(), "5e-4".into())
        );
        let labels: Vec<f64> = log_ticks(&(-4.2..-2.9))
            .0
            .iter()
            .map(|t| 10f64.powf(*t))
            .collect();
        assert_eq!(labels.len(), 4, "{labels:?}"); // 1e-4, 2e-4, 5e-4, 1e-3
    }
}
