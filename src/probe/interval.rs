//! How sure a number is: the spread over seeds, and what one accuracy on few pictures can mean.

use super::nearest::ProbeError;

/// Two-sided 95 % point of the normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;

/// A number measured with several seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Seeds.
    pub count: usize,
    pub mean: f64,
    /// Sample standard deviation (divisor `count − 1`); `None` for a single seed.
    pub std: Option<f64>,
    /// 95 % confidence interval of the mean after Student's t; `None` for a single seed.
    pub interval: Option<(f64, f64)>,
}

/// Mean, standard deviation and 95 % confidence interval of `values`, one a seed. An error where there
/// is none or one is not finite.
pub fn spread(values: &[f64]) -> Result<Spread, ProbeError> {
    if values.is_empty() {
        return Err(ProbeError::Empty("no value to take a mean of"));
    }
    if let Some(value) = values.iter().find(|v| !v.is_finite()) {
        return Err(ProbeError::Setting {
            setting: "a measured value",
            value: *value,
            allowed: "finite",
        });
    }
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let std = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
    let interval = std.map(|std| {
        let half = student_95(count - 1) * std / (count as f64).sqrt();
        (mean - half, mean + half)
    });
    Ok(Spread {
        count,
        mean,
        std,
        interval,
    })
}

/// 95 % interval of an accuracy of `right` out of `total` (Wilson 1927): unlike the plain normal one
/// it stays within `[0, 1]` and has a width at 0 and 1.
pub fn wilson(right: usize, total: usize) -> Result<(f64, f64), ProbeError> {
    if total == 0 || right > total {
        return Err(ProbeError::Length {
            what: "right answers",
            expected: total,
            found: right,
        });
    }
    let (n, z2) = (total as f64, NORMAL_95 * NORMAL_95);
    let p = right as f64 / n;
    let centre = p + z2 / (2.0 * n);
    let half = NORMAL_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let bound = |x: f64| (x / (1.0 + z2 / n)).clamp(0.0, 1.0);
    Ok((bound(centre - half), bound(centre + half)))
}

/// Two-sided 95 % point of Student's t with `freedom` degrees of freedom, at least one.
fn student_95(freedom: usize) -> f64 {
    // The share between −t and t rises with the angle atan(t / √freedom): bisect that.
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..60 {
        let angle = (low + high) / 2.0;
        if student_share(angle, freedom) < 0.95 {
            low = angle;
        } else {
            high = angle;
        }
    }
    low.tan() * (freedom as f64).sqrt()
}

/// Probability between `±√freedom · tan(angle)`, a finite sum (Abramowitz & Stegun 26.7.3 and 26.7.4).
fn student_share(angle: f64, freedom: usize) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2;
    let (mut term, mut sum) = (if odd == 1 { cos } else { 1.0 }, 0.0);
    // Terms cos^k for k of the parity of `freedom`, up to freedom − 2.
    let mut power = odd;
    while power + 2 <= freedom {
        sum += term;
        term *= cos * cos * (power + 1) as f64 / (power + 2) as f64;
        power += 2;
    }
    if odd == 1 {
        std::f64::consts::FRAC_2_PI * (angle + sin * sum)
    } else {
        sin * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_points_of_the_tables() {
        for (freedom, point) in [
            (1, 12.706_204_736),
            (2, 4.302_652_730),
            (3, 3.182_446_305),
            (4, 2.776_445_105),
            (9, 2.262_157_163),
            (10, 2.228_138_852),
            (30, 2.042_272_456),
            (1000, 1.962_339_080),
        ] {
            let found = student_95(freedom);
            assert!((found - point).abs() < 1e-8, "{freedom}: {found}");
        }
    }

    #[test]
    fn spread_by_hand() {
        let found = spread(&[0.70, 0.72, 0.74]).unwrap();
        assert_eq!(found.count, 3);
        assert!((found.mean - 0.72).abs() < 1e-12 && (found.std.unwrap() - 0.02).abs() < 1e-12);
        let half = 4.302_652_730 * 0.02 / 3f64.sqrt();
        let (low, high) = found.interval.unwrap();
        assert!((low - 0.72 + half).abs() < 1e-9 && (high - 0.72 - half).abs() < 1e-9);
        let single = spread(&[0.5]).unwrap();
        assert_eq!(
            (single.mean, single.std, single.interval),
            (0.5, None, None)
        );
        assert!(spread(&[]).is_err() && spread(&[0.1, f64::NAN]).is_err());
    }

    #[test]
    fn wilson_of_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        for (right, total, low, high) in WILSON {
            let found = wilson(right, total).unwrap();
            assert!(
                (found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9,
                "{found:?}"
            );
        }
        assert!(wilson(0, 0).is_err() && wilson(3, 2).is_err());
    }

    const WILSON: [(usize, usize, f64, f64); 4] = [
        (0, 10, 0.000000000000, 0.277532799863),
        (7, 10, 0.396778147461, 0.892208732594),
        (400, 500, 0.762710894695, 0.832714501028),
        (30, 30, 0.886486606826, 1.000000000000),
    ];
}
