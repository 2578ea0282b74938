//! The recipe as a whole: views, keys, batches.
//!
//! Expected averages come from timm's own functions and from NumPy, run a few hundred thousand
//! times; a tolerance is five standard errors of the draws made here.

mod operations;

use super::*;
use crate::data::pixels::Rect;

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// The mean in grey levels.
const FILL: [u8; 3] = [124, 116, 104];

fn key(picture: usize) -> ViewKey {
    ViewKey {
        seed: 7,
        epoch: 0,
        picture,
        view: 0,
    }
}

/// Red grows to the right and green downwards, by a level a pixel.
fn slopes(width: usize, height: usize) -> Picture {
    let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 200]);
    Picture {
        width,
        height,
        rgb: rgb.collect(),
    }
}

#[test]
fn crops_have_the_references_areas_and_shapes() {
    let picture = slopes(256, 256);
    let total = 20_000;
    let (mut area, mut area2, mut shape, mut shape2, mut flips) = (0.0, 0.0, 0.0, 0.0, 0);
    for index in 0..total {
        let view = crop(&picture, 8, Filter::Bilinear, key(index));
        // Pixels 1 and 6 are 5/8 of a crop apart and untouched by its border.
        let across = f64::from(view.rgb[6 * 3]) - f64::from(view.rgb[3]);
        let down = f64::from(view.rgb[6 * 24 + 1]) - f64::from(view.rgb[24 + 1]);
        let (width, height) = (across.abs() * 1.6 / 256.0, down * 1.6 / 256.0);
        flips += usize::from(across < 0.0);
        area += width * height;
        area2 += (width * height).powi(2);
        shape += (width / height).ln();
        shape2 += (width / height).ln().powi(2);
    }
    let n = total as f64;
    let (area, shape) = (area / n, shape / n);
    let (spread, shape_spread) = ((area2 / n - area * area).sqrt(), (shape2 / n).sqrt());
    assert!((area - 0.4790).abs() < 0.0083);
    assert!((spread - 0.2344).abs() < 0.005);
    assert!(shape.abs() < 0.006);
    assert!((shape_spread - 0.1596).abs() < 0.004);
    assert!((flips as f64 / n - 0.5).abs() < 0.018);
}

#[test]
fn every_key_has_views_of_its_own_and_settings_move_no_other_draw() {
    let picture = slopes(40, 40);
    let recipe = Recipe {
        erasing: 1.0,
        ..Recipe::new(32, MEAN, STD)
    };
    let base = key(1);
    let view = recipe.view(&picture, base);
    assert_eq!(view, recipe.view(&picture, base));
    for other in [
        ViewKey { seed: 8, ..base },
        ViewKey { epoch: 1, ..base },
        ViewKey { picture: 2, ..base },
        ViewKey { view: 1, ..base },
    ] {
        assert_ne!(view, recipe.view(&picture, other));
    }
    for index in 0..50 {
        let whole = Recipe {
            erasing: 0.0,
            ..recipe.clone()
        };
        let plain = Recipe {
            rand_augment: None,
            ..whole.clone()
        };
        // The crop without RandAugment is the one that RandAugment works on.
        let mut altered = plain.picture(&picture, key(index));
        for operation in RandAugment::default().draw(&mut key(index).stream(ALTERATION)) {
            operation.apply(&mut altered, FILL);
        }
        assert_eq!(altered, whole.picture(&picture, key(index)));
        // Erasing changes one rectangle, and the same one with and without RandAugment.
        let changed = |recipe: &Recipe| -> Vec<bool> {
            let erased = Recipe {
                erasing: 1.0,
                ..recipe.clone()
            };
            let (a, b) = (
                recipe.view(&picture, key(index)),
                erased.view(&picture, key(index)),
            );
            a.iter().zip(&b).map(|(a, b)| a != b).collect()
        };
        assert_eq!(changed(&whole), changed(&plain));
    }
}

/// Pinned, so that a change of the generator or of a library's arithmetic shows: trained runs
/// could not be repeated after it.
#[test]
fn draws_are_those_of_every_machine_and_version() {
    let recipe = Recipe {
        erasing: 1.0,
        ..Recipe::new(32, MEAN, STD)
    };
    let digest = |view: &[f32]| {
        view.iter().fold(0u64, |digest, value| {
            digest.wrapping_mul(31).wrapping_add(value.to_bits().into())
        })
    };
    let views = [0, 1, 2].map(|index| digest(&recipe.view(&slopes(48, 40), key(index))));
    let mixes = [0, 1, 2].map(|step| {
        let batch = BatchKey {
            seed: 7,
            epoch: 0,
            step,
        };
        recipe.draw_mix(batch)
    });
    assert_eq!(
        views,
        [
            14013943194682060423,
            3435744004665568377,
            10751046942155217691
        ]
    );
    let cutmix = |left, top, width, height| Mix::Cutmix {
        region: Rect {
            left,
            top,
            width,
            height,
        },
    };
    let share = 0.350259055295575;
    let expected = [
        cutmix(0, 0, 17, 20),
        Mix::Mixup { share },
        cutmix(12, 18, 4, 4),
    ];
    assert_eq!(mixes, expected);
}

#[test]
fn small_and_thin_pictures_make_whole_views() {
    let recipe = Recipe {
        erasing: 1.0,
        ..Recipe::new(32, MEAN, STD)
    };
    for (width, height) in [(32, 32), (1, 1), (1, 90), (90, 1), (3, 2), (0, 0), (0, 5)] {
        for index in 0..200 {
            let view = recipe.view(&slopes(width, height), key(index));
            assert_eq!(view.len(), 3 * 32 * 32);
            assert!(view.iter().all(|value| value.abs() < 7.0));
        }
    }
    let tiny = Recipe { size: 1, ..recipe };
    assert_eq!(tiny.view(&slopes(5, 5), key(0)).len(), 3);
}

#[test]
fn batches_are_mixed_and_labelled_alike() {
    // Each picture is of one value, so that the share of its partner can be counted.
    let recipe = Recipe::new(8, MEAN, STD);
    let values = [1.0f32, 2.0, 4.0, 8.0, 16.0];
    let picture = 3 * 8 * 8;
    for step in 0..200 {
        let batch = BatchKey {
            seed: 0,
            epoch: 0,
            step,
        };
        let mut planes: Vec<f32> = values
            .iter()
            .flat_map(|&value| vec![value; picture])
            .collect();
        let targets = recipe
            .mix(&mut planes, &[0, 1, 2, 3, 4], 5, batch)
            .expect("fits");
        for (row, planes) in planes.chunks(picture).enumerate() {
            let (own, partner) = (values[row], values[4 - row]);
            let mean = planes.iter().sum::<f32>() / picture as f32;
            let left = if row == 2 {
                1.0
            } else {
                (mean - partner) / (own - partner)
            };
            let expected = 0.02 + 0.9 * left;
            assert!(
                (targets[row * 5 + row] - expected).abs() < 1e-4,
                "{step} {row}"
            );
            assert!((targets[row * 5..][..5].iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused_untouched() {
    let recipe = Recipe::new(2, MEAN, STD);
    let batch = BatchKey {
        seed: 0,
        epoch: 0,
        step: 0,
    };
    let before: Vec<f32> = (0..24).map(|value| value as f32).collect();
    let mut planes = before.clone();
    let label = MixError::Label {
        row: 1,
        label: 3,
        classes: 3,
    };
    assert_eq!(recipe.mix(&mut planes, &[0, 3], 3, batch), Err(label));
    assert!(recipe.mix(&mut planes, &[0, 1], 0, batch).is_err());
    let shape = recipe.mix(&mut planes, &[0, 1, 2], 3, batch);
    assert!(matches!(
        shape,
        Err(MixError::Shape {
            values: 24,
            rows: 3,
            side: 2
        })
    ));
    assert_eq!(planes, before);
    assert_eq!(recipe.mix(&mut [], &[], 3, batch), Ok(vec![]));
}
