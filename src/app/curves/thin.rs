//! Long curves made short: a screen has about two thousand columns, a run may have 200,000 steps.

/// Points that a thinned curve has at most.
pub const POINTS: usize = 2000;

/// The exponential moving average over a span of `span` values: each new value counts
/// 2 / (span + 1). A span of 0 or 1 gives the values themselves. Values that are not finite are
/// passed on and leave the average as it is.
pub fn average(values: impl Iterator<Item = f64>, span: usize) -> impl Iterator<Item = f64> {
    let share = 2.0 / (span.max(1) as f64 + 1.0);
    let mut mean: Option<f64> = None;
    values.map(move |value| {
        if !value.is_finite() {
            return value;
        }
        let next = mean.map_or(value, |mean| mean + share * (value - mean));
        mean = Some(next);
        next
    })
}

/// At most [`POINTS`] of `points` (x rising), in their order: the first, the last, and the lowest
/// and the highest of each of equally wide stretches of x, so that no spike is lost. Points that are
/// not finite are left out.
pub fn thin(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let finite = |p: &&[f64; 2]| p[0].is_finite() && p[1].is_finite();
    let kept: Vec<[f64; 2]> = points.iter().filter(finite).copied().collect();
    let (Some(first), Some(last)) = (kept.first().copied(), kept.last().copied()) else {
        return kept;
    };
    if kept.len() <= POINTS {
        return kept;
    }
    let stretches = (POINTS - 2) / 2;
    let scale = stretches as f64 / (last[0] - first[0]).max(f64::MIN_POSITIVE);
    let stretch = |p: &[f64; 2]| (((p[0] - first[0]) * scale) as usize).min(stretches - 1);
    let mut thinned = Vec::with_capacity(POINTS);
    thinned.push(first);
    for part in kept.chunk_by(|a, b| stretch(a) == stretch(b)) {
        let mut extremes = [(0, first); 2];
        for (i, point) in part.iter().enumerate() {
            if i == 0 || point[1] < extremes[0].1[1] {
                extremes[0] = (i, *point);
            }
            if i == 0 || point[1] > extremes[1].1[1] {
                extremes[1] = (i, *point);
            }
        }
        extremes.sort_by_key(|extreme| extreme.0);
        thinned.push(extremes[0].1);
        if extremes[1].0 != extremes[0].0 {
            thinned.push(extremes[1].1);
        }
    }
    thinned.push(last);
    thinned.dedup();
    thinned
}

/// The part of the x axis to take points from, where `seen` of `full` is on the screen: all of it, or
/// a stretch about two to four times as wide as what is seen, that stays the same while the view
/// moves a little.
pub fn window(seen: (f64, f64), full: (f64, f64)) -> (f64, f64) {
    let (width, whole) = (seen.1 - seen.0, full.1 - full.0);
    if !(width > 0.0 && whole > 0.0 && width <= whole / 4.0) {
        return full;
    }
    let halvings = ((whole / width).log2().floor() - 1.0).clamp(1.0, 40.0);
    let wide = whole / halvings.exp2();
    let grid = wide / 4.0;
    let start = ((seen.0 / grid).floor() - 1.0) * grid;
    (start, start + wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_that_of_hand() {
        let values = [4.0, 2.0, f64::NAN, 6.0];
        let mean: Vec<f64> = average(values.into_iter(), 3).collect();
        assert_eq!((mean[0], mean[1], mean[3]), (4.0, 3.0, 4.5));
        assert!(mean[2].is_nan());
        let same: Vec<f64> = average([1.0, 5.0].into_iter(), 1).collect();
        assert_eq!(same, [1.0, 5.0]);
    }

    #[test]
    fn thinning_keeps_ends_and_extremes() {
        let mut points: Vec<[f64; 2]> = (0..200_000)
            .map(|i| [f64::from(i), (f64::from(i) * 0.01).sin()])
            .collect();
        points[123_457][1] = 50.0;
        points[123_458][1] = -70.0;
        points[77][1] = f64::NAN;
        let thinned = thin(&points);
        assert!(thinned.len() <= POINTS, "{}", thinned.len());
        assert!(thinned.len() > POINTS / 2);
        assert_eq!(thinned.first(), points.first());
        assert_eq!(thinned.last(), points.last());
        assert!(thinned.contains(&[123_457.0, 50.0]) && thinned.contains(&[123_458.0, -70.0]));
        assert!(thinned.is_sorted_by_key(|p| p[0]));
        assert_eq!(thin(&points[..3]), points[..3]);
        assert!(thin(&[]).is_empty() && thin(&[[0.0, f64::NAN]]).is_empty());
    }

    #[test]
    fn a_window_holds_what_is_seen() {
        let full = (0.0, 200_000.0);
        for seen in [(0.0, 100.0), (54_321.0, 55_000.0), (199_990.0, 199_999.0)] {
            let part = window(seen, full);
            assert!(part.0 <= seen.0 && seen.1 <= part.1, "{seen:?} {part:?}");
            assert!(part.1 - part.0 <= 4.0 * (seen.1 - seen.0));
        }
        assert_eq!(window((0.0, 150_000.0), full), full);
        assert_eq!(window((f64::NAN, 0.0), full), full);
    }
}
