//! Pooling against NumPy, scores of ranks worked by hand.

use super::*;

#[test]
fn generalised_means_of_numpy() {
    let layer = BlockTokens {
        tokens: 3,
        dim: 3,
        data: [
            [[9.0, 9.0, 9.0], [0.5, -1.0, 2.0], [1.5, -3.0, 0.25]],
            [[1.0, 2.0, 3.0], [0.0, 4.0, 1.0], [2.0, 4.0, -1.0]],
        ]
        .into_iter()
        .flatten()
        .flatten()
        .collect(),
    };
    let found = copy_features(&layer).unwrap();
    // (clip(x, 1e-6) ** 4).mean(1) ** 0.25
    let expected = [
        [9.0, 9.0, 9.0, 1.265_219_8, 1e-6, 1.681_895_5],
        [1.0, 2.0, 3.0, 1.681_792_8, 4.0, 0.840_896_4],
    ];
    assert_eq!(found.dim, 6);
    for (found, expected) in found.data.iter().zip(expected.iter().flatten()) {
        assert!(
            (found - expected).abs() <= 2e-7 * expected,
            "{found} {expected}"
        );
    }
    let mut no_patch = layer.clone();
    (no_patch.tokens, no_patch.dim) = (1, 9);
    assert!(copy_features(&no_patch).is_err());
    no_patch.dim = 0;
    assert!(copy_features(&no_patch).is_err());
    no_patch.dim = 4;
    assert!(copy_features(&no_patch).is_err());
}

/// Rows on a circle, at angles in degrees.
fn circle(angles: &[f32]) -> Features {
    let point = |angle: &f32| [angle.to_radians().cos(), angle.to_radians().sin()];
    Features {
        dim: 2,
        data: angles.iter().flat_map(point).collect(),
    }
}

#[test]
fn ranks_become_scores() {
    // Originals at 0 and 90 degrees, two distractors near the first, and 25 beyond the second.
    let far: Vec<f32> = (0..25).map(|i| 120.0 + i as f32).collect();
    let database = circle(&[vec![0.0, 90.0, 8.0, -9.0], far].concat());
    let attack = |name: &str, angles: &[f32], originals: &[u32]| Attack {
        name: name.to_owned(),
        copies: circle(angles),
        originals: originals.to_vec(),
    };
    let found = score_copies(
        &[
            attack("mild", &[1.0, 88.0], &[0, 1]),
            // The nearest to 7 degrees is the distractor at 8: second place, a quarter. From 150 degrees
            // all 25 stand before the first original: not listed.
            attack("strong", &[7.0, 150.0, 91.0], &[0, 0, 1]),
        ],
        &database,
    )
    .unwrap();
    assert_eq!(
        (found[0].map, found[0].first, found[0].listed),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(found[1].name, "strong");
    let third = 1.0 / 3.0;
    for (found, expected) in [
        (found[1].map, 1.25 / 3.0),
        (found[1].first, third),
        (found[1].listed, 2.0 * third),
    ] {
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
}

#[test]
fn impossible_attacks_are_errors() {
    let database = circle(&[0.0, 90.0]);
    let attack = |copies: &[f32], originals: &[u32]| Attack {
        name: String::new(),
        copies: circle(copies),
        originals: originals.to_vec(),
    };
    let error = |attack: Attack| score_copies(&[attack], &database).is_err();
    assert!(!error(attack(&[3.0], &[1])));
    assert!(error(attack(&[3.0], &[2])));
    assert!(error(attack(&[3.0], &[])));
    assert!(error(attack(&[], &[])));
}
