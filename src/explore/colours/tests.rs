//! Bases, their alignment, and what the cache keeps of them.

use super::*;
use crate::data::Source;
use crate::data::parts::Parts;
use crate::explore::Stopped;
use crate::explore::tests::tiny_encoder;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Tokens that differ by 5, 3 and 2 along three axes of eight, far from zero.
fn cloud() -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut token = || -> Vec<f32> {
        let mut token = vec![100.0; 8];
        for (axis, spread) in [(6, 5.0), (1, 3.0), (4, 2.0)] {
            token[axis] += spread * rng.random_range(-1.0..1.0f32);
        }
        token
    };
    (0..4000).flat_map(|_| token()).collect()
}

const SETTINGS: ColourSettings = ColourSettings {
    block: 1,
    foreground: false,
};

fn basis(tokens: &[f32]) -> (ColourBasis, Sample) {
    let mut moments = Moments::new(8);
    for part in tokens.chunks(8 * 700) {
        moments.add(part);
    }
    let sample = Sample {
        tokens: tokens.to_vec(),
        attention: vec![1.0; tokens.len() / 8],
    };
    let mut basis = ColourBasis::from_moments(&moments, SETTINGS);
    basis.find_bounds(&sample);
    (basis, sample)
}

#[test]
fn the_directions_are_those_of_the_largest_variance() {
    let (basis, _) = basis(&cloud());
    for (direction, axis) in basis.directions.chunks(8).zip([6, 1, 4]) {
        for (d, x) in direction.iter().enumerate() {
            let want = if d == axis { 1.0 } else { 0.0 };
            assert!((x - want).abs() < 0.05, "{direction:?}");
        }
    }
    assert!(basis.mean.iter().all(|m| (m - 100.0).abs() < 0.2));
    assert!((basis.high[0] - 4.9).abs() < 0.2, "{:?}", basis.high);
}

#[test]
fn a_turned_basis_gives_the_same_colours_once_it_is_aligned() {
    let (first, sample) = basis(&cloud());
    let mut turned = first.clone();
    turned.directions.rotate_left(8);
    turned.directions[..8].iter_mut().for_each(|x| *x = -*x);
    turned.find_bounds(&sample);
    let apart = |other: &ColourBasis| -> f64 {
        let tokens = sample.tokens.chunks(8);
        let steps = tokens.flat_map(|t| {
            let (a, b) = (first.colour(t), other.colour(t));
            a.into_iter()
                .zip(b)
                .map(|(a, b)| (f64::from(a) - f64::from(b)).abs())
        });
        steps.sum::<f64>() / 12000.0
    };
    assert!(apart(&turned) > 40.0);
    turned.align(&sample, &first.points(&sample));
    assert!(apart(&turned) < 1.0, "{}", apart(&turned));
}

#[test]
fn a_source_has_one_basis_kept_in_the_cache_unless_stopped() {
    let encoder = tiny_encoder();
    let source: Arc<dyn Source> = Arc::new(Parts::new(6, 32, 1));
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let mut stop = |_| ControlFlow::Break(());
    let mut walk = Walk::new(&encoder, &source, &mut stop);
    let error = ColourBasis::fit(&mut walk, SETTINGS, &cache).unwrap_err();
    assert!(error.is::<Stopped>());
    let settings = ColourSettings {
        foreground: true,
        ..SETTINGS
    };
    let mut go = |_| ControlFlow::Continue(());
    let mut walk = Walk::new(&encoder, &source, &mut go);
    let first = ColourBasis::fit(&mut walk, settings, &cache).unwrap();
    let mut walk = Walk::new(&encoder, &source, &mut stop);
    assert_eq!(
        ColourBasis::fit(&mut walk, settings, &cache).unwrap(),
        first
    );
    // The same picture has the same colours beside any other.
    let view = |i| encoder.view(&source.load(i).unwrap());
    let alone = first.paint(&encoder, &[view(0)]);
    let beside = first.paint(&encoder, &[view(3), view(0)]);
    assert_eq!((alone[0].width, alone[0].height), (4, 4));
    assert_eq!(alone[0], beside[1]);
    let dark = alone[0].rgb.chunks(3).filter(|p| *p == BACKGROUND).count();
    assert!(dark > 0 && dark < 16, "{dark} of 16 patches are background");
}
