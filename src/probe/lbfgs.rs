//! L-BFGS: minimises a smooth convex function of many numbers from values and gradients alone.
//!
//! Two-loop recursion (Nocedal 1980) with a bisection search for the weak Wolfe conditions (Lewis &
//! Overton 2013), which keeps every curvature positive. All sums run in a fixed order.

use std::collections::VecDeque;

/// Steps that the curvature is remembered from.
const MEMORY: usize = 10;
/// Wolfe conditions: enough descent, and a slope that has flattened enough.
const DESCENT: f64 = 1e-4;
const FLATTENED: f64 = 0.9;
/// Bisections before a search counts as failed: by then the step is at the end of `f64`'s digits.
const BISECTIONS: usize = 60;

/// Where the search ended.
#[derive(Clone, Debug)]
pub struct Minimum {
    pub point: Vec<f64>,
    pub value: f64,
    /// Euclidean norm of the gradient.
    pub gradient_norm: f64,
    pub iterations: usize,
    /// Whether the gradient norm is at most the tolerance.
    pub converged: bool,
}

struct Step {
    moved: Vec<f64>,
    gradient_change: Vec<f64>,
    curvature: f64,
}

/// Minimises `f` (value and gradient) from `point`, until the gradient's norm is at most `tolerance`.
pub fn minimise(
    mut point: Vec<f64>,
    tolerance: f64,
    max_iterations: usize,
    f: impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Minimum {
    let (mut value, mut gradient) = f(&point);
    let mut steps: VecDeque<Step> = VecDeque::new();
    let mut iterations = 0;
    while norm(&gradient) > tolerance && iterations < max_iterations {
        let direction = direction(&gradient, &steps);
        let slope = dot(&direction, &gradient);
        // Without memory nothing is known of the scale: the first try then has length one.
        let first = if steps.is_empty() {
            1.0 / norm(&gradient)
        } else {
            1.0
        };
        let tried = search(&point, value, &direction, slope, first, &f);
        let Some((next, next_value, next_gradient)) = tried else {
            if steps.is_empty() {
                break;
            }
            steps.clear(); // once more along the plain gradient
            continue;
        };
        let moved = difference(&next, &point);
        let gradient_change = difference(&next_gradient, &gradient);
        let curvature = dot(&moved, &gradient_change);
        if curvature > 0.0 {
            steps.truncate(MEMORY - 1);
            steps.push_front(Step {
                moved,
                gradient_change,
                curvature,
            });
        }
        (point, value, gradient) = (next, next_value, next_gradient);
        iterations += 1;
    }
    let gradient_norm = norm(&gradient);
    Minimum {
        point,
        value,
        gradient_norm,
        iterations,
        converged: gradient_norm <= tolerance,
    }
}

/// Minus the inverse curvature times the gradient; `steps` newest first.
fn direction(gradient: &[f64], steps: &VecDeque<Step>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(steps.len());
    for step in steps {
        let share = dot(&step.moved, &q) / step.curvature;
        add(&mut q, -share, &step.gradient_change);
        shares.push(share);
    }
    if let Some(step) = steps.front() {
        let scale = step.curvature / dot(&step.gradient_change, &step.gradient_change);
        q.iter_mut().for_each(|x| *x *= scale);
    }
    for (step, share) in steps.iter().zip(shares).rev() {
        let back = dot(&step.gradient_change, &q) / step.curvature;
        add(&mut q, share - back, &step.moved);
    }
    q
}

/// A point along `direction` that meets the weak Wolfe conditions, with its value and gradient.
fn search(
    point: &[f64],
    value: f64,
    direction: &[f64],
    slope: f64,
    mut length: f64,
    f: &impl Fn(&[f64]) -> (f64, Vec<f64>),
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let (mut low, mut high) = (0.0, f64::INFINITY);
    for _ in 0..BISECTIONS {
        let mut next = point.to_vec();
        add(&mut next, length, direction);
        let (next_value, gradient) = f(&next);
        let descends = next_value <= value + DESCENT * length * slope; // false for NaN
        if !descends {
            high = length;
        } else if dot(&gradient, direction) < FLATTENED * slope {
            low = length;
        } else {
            return Some((next, next_value, gradient));
        }
        length = if high.is_finite() {
            (low + high) / 2.0
        } else {
            2.0 * length
        };
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn add(a: &mut [f64], scale: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_and_an_exhausted_budget() {
        // Σ s_i (x_i − i)² / 2 with scales from 1 to 1e4: the minimum is x_i = i.
        let scales = [1.0, 10.0, 100.0, 1e3, 1e4];
        let f = |x: &[f64]| {
            let off = |i: usize| x[i] - i as f64;
            let value = (0..5).map(|i| scales[i] * off(i) * off(i) / 2.0).sum();
            (value, (0..5).map(|i| scales[i] * off(i)).collect())
        };
        let found = minimise(vec![7.0; 5], 1e-9, 200, f);
        assert!(found.converged && found.gradient_norm <= 1e-9, "{found:?}");
        for (i, x) in found.point.iter().enumerate() {
            assert!((x - i as f64).abs() < 1e-8, "{found:?}");
        }
        let cut = minimise(vec![7.0; 5], 1e-9, 2, f);
        assert_eq!((cut.iterations, cut.converged), (2, false));
    }
}
