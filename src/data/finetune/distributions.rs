//! Normal and Beta numbers out of even draws.
//!
//! Made here and with `libm`, whose logarithm is the same on every machine: a library's
//! distribution may change between versions and a system's logarithm between machines, and a run
//! must repeat.

use crate::data::draws::Draws;

/// Two independent draws from the standard normal distribution (Marsaglia's polar method).
pub fn normal_pair(draws: &mut impl Draws) -> [f64; 2] {
    loop {
        let (x, y) = (draws.uniform(-1.0, 1.0), draws.uniform(-1.0, 1.0));
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            let stretch = (-2.0 * libm::log(square) / square).sqrt();
            return [x * stretch, y * stretch];
        }
    }
}

/// A draw from Beta(`alpha`, `alpha`), 0 to 1; `alpha` above 0.
pub fn symmetric_beta(alpha: f64, draws: &mut impl Draws) -> f64 {
    let (first, second) = (gamma(alpha, draws), gamma(alpha, draws));
    let sum = first + second;
    if sum > 0.0 {
        first / sum
    } else {
        // Both too small for a double, as under a tiny `alpha`: the ends are what is left.
        f64::from(draws.chance(0.5))
    }
}

/// A draw from the Gamma distribution of this shape and scale 1 (Marsaglia and Tsang 2000; below
/// shape 1 by their power of an even draw).
fn gamma(shape: f64, draws: &mut impl Draws) -> f64 {
    if shape < 1.0 {
        let share = libm::pow(draws.uniform(0.0, 1.0), 1.0 / shape);
        return share * gamma(shape + 1.0, draws);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let [normal, _] = normal_pair(draws);
        let root = 1.0 + c * normal;
        let cube = root * root * root;
        // Written so that a draw of 0 passes as it should: its logarithm is −∞.
        let even = libm::log(draws.uniform(0.0, 1.0));
        if cube > 0.0 && even < 0.5 * normal * normal + d * (1.0 - cube + libm::log(cube)) {
            return d * cube;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::views::view_rng;

    #[test]
    fn normal_pairs_have_the_normal_distributions_moments() {
        let total = 200_000;
        let mut draws = view_rng(1, 0, 0, 0);
        let (mut sums, mut inside, mut product) = ([0.0; 4], 0, 0.0);
        for _ in 0..total {
            let [x, y] = normal_pair(&mut draws);
            for value in [x, y] {
                for (power, sum) in (1..).zip(&mut sums) {
                    *sum += value.powi(power);
                }
                inside += usize::from(value.abs() < 1.0);
            }
            product += x * y;
        }
        let n = 2.0 * total as f64;
        let moments = sums.map(|sum| sum / n);
        // Five standard errors: √(1/n), √(2/n), √(15/n), √(96/n).
        for ((moment, expected), variance) in moments
            .iter()
            .zip([0.0, 1.0, 0.0, 3.0])
            .zip([1.0, 2.0, 15.0, 96.0])
        {
            assert!((moment - expected).abs() < 5.0 * f64::sqrt(variance / n));
        }
        assert!((inside as f64 / n - 0.682_689).abs() < 0.004);
        assert!((product * 2.0 / n).abs() < 5.0 / f64::from(total).sqrt());
    }

    #[test]
    fn beta_has_its_mean_variance_and_tail() {
        // Variance 1/(4(2α + 1)); P(x < 0.1): NumPy's draws for 0.8, by hand for 1 and 2.
        for (alpha, variance, tail) in [
            (0.8, 1.0 / 10.4, 0.131_75),
            (1.0, 1.0 / 12.0, 0.1),
            (2.0, 1.0 / 20.0, 0.028),
        ] {
            let total = 200_000;
            let mut draws = view_rng(2, 0, 0, 0);
            let (mut sum, mut squares, mut low) = (0.0, 0.0, 0);
            for _ in 0..total {
                let value = symmetric_beta(alpha, &mut draws);
                assert!((0.0..=1.0).contains(&value));
                sum += value;
                squares += (value - 0.5).powi(2);
                low += usize::from(value < 0.1);
            }
            let n = f64::from(total);
            assert!((sum / n - 0.5).abs() < 5.0 * (variance / n).sqrt());
            assert!((squares / n - variance).abs() < 0.001);
            assert!((low as f64 / n - tail).abs() < 0.004);
        }
        // So small an α that both Gammas vanish: the ends, each half of the time.
        let mut draws = view_rng(3, 0, 0, 0);
        let ends: f64 = (0..1000).map(|_| symmetric_beta(1e-4, &mut draws)).sum();
        assert!((ends - 500.0).abs() < 80.0);
    }
}
