//! Damage to pictures: patches hidden, or the picture cut into squares that are shuffled.
//!
//! Hidden patches get the mean colour, which is 0 after normalisation as in the reference (to the nearest
//! of 256 levels). Every draw is keyed by the picture's number, so a picture is hurt in the same way
//! whatever else is measured, and a larger share hides all that a smaller one hides.

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Encoder, Look};
use crate::data::Picture;
use crate::data::draws::Draws;

/// Of all draws.
const SEED: u64 = 0x6461_6d61_6765;

/// Which patches are hidden first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Random,
    /// Those that the class token attends to most.
    SalientFirst,
    /// Those that it attends to least.
    SalientLast,
}

impl Order {
    pub const ALL: [Order; 3] = [Order::Random, Order::SalientFirst, Order::SalientLast];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Order::Random => "at random",
            Order::SalientFirst => "salient first",
            Order::SalientLast => "salient last",
        }
    }
}

/// What is done to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "damage", rename_all = "snake_case")]
pub enum Damage {
    /// A share of the patches, rounded to whole ones, is hidden.
    Hidden { order: Order, share: f64 },
    /// `cells` x `cells` equal squares change places.
    Shuffled { cells: usize },
}

impl Damage {
    /// Every share in every order, then every shuffle.
    ///
    /// # Errors
    /// A share outside 0 to 1, or squares that do not fill the side that `encoder` sees.
    pub fn list(encoder: &Encoder, shares: &[f64], grids: &[usize]) -> Result<Vec<Self>> {
        for share in shares {
            ensure!(
                (0.0..=1.0).contains(share),
                "a share of {share} cannot be hidden; take 0 to 1, such as 0.5"
            );
        }
        for &cells in grids {
            ensure!(
                cells > 0 && encoder.side.is_multiple_of(cells),
                "{} pixels cannot be cut into {cells} equal squares along a side; {} can be taken",
                encoder.side,
                words(&grids_of(encoder))
            );
        }
        let hidden = Order::ALL.into_iter().flat_map(|order| {
            let of = move |&share: &f64| Damage::Hidden { order, share };
            shares.iter().map(of)
        });
        let shuffled = grids.iter().map(|&cells| Damage::Shuffled { cells });
        Ok(hidden.chain(shuffled).collect())
    }

    /// The picture after it. `salience` has one number a patch, the more the more salient.
    pub fn to(self, look: &Look, salience: &[f32], encoder: &Encoder) -> Picture {
        match self {
            Damage::Hidden { order, share } => {
                let hidden = hidden(order, share, salience, look.index);
                occlude(&look.view, &hidden, encoder.patch(), mean_colour(encoder))
            }
            Damage::Shuffled { cells } => {
                let mut places: Vec<usize> = (0..cells * cells).collect();
                draws(look.index, cells as u64).shuffle(&mut places);
                shuffle(&look.view, cells, &places)
            }
        }
    }
}

/// Squares along a side that are shuffled unless asked otherwise: powers of two as far as they divide
/// the side and are no smaller than a patch, and single patches.
pub fn grids_of(encoder: &Encoder) -> Vec<usize> {
    let powers = (1..usize::BITS).map(|power| 1_usize << power);
    let mut grids: Vec<usize> = powers
        .take_while(|&cells| cells <= encoder.grid() && encoder.side.is_multiple_of(cells))
        .collect();
    if encoder.grid() > 1 && grids.last() != Some(&encoder.grid()) {
        grids.push(encoder.grid());
    }
    grids
}

fn words(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

/// The generator of picture `index` for one purpose.
fn draws(index: usize, purpose: u64) -> ChaCha8Rng {
    let mut draws = ChaCha8Rng::seed_from_u64(SEED ^ purpose);
    draws.set_stream(index as u64);
    draws
}

/// The patches that are hidden.
fn hidden(order: Order, share: f64, salience: &[f32], index: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..salience.len()).collect();
    match order {
        Order::Random => draws(index, 0).shuffle(&mut places),
        Order::SalientFirst => places.sort_by(|&a, &b| salience[b].total_cmp(&salience[a])),
        Order::SalientLast => places.sort_by(|&a, &b| salience[a].total_cmp(&salience[b])),
    }
    places.truncate((share * salience.len() as f64).round() as usize);
    places
}

fn occlude(view: &Picture, hidden: &[usize], patch: usize, colour: [u8; 3]) -> Picture {
    let columns = (view.width / patch).max(1);
    let cover = Picture::filled(patch, patch, colour);
    let mut picture = view.clone();
    for place in hidden {
        picture.paste(&cover, place % columns * patch, place / columns * patch);
    }
    picture
}

/// Square `places[i]` of `view` comes to place `i`.
fn shuffle(view: &Picture, cells: usize, places: &[usize]) -> Picture {
    let side = view.width / cells.max(1);
    let mut picture = view.clone();
    for (to, from) in places.iter().enumerate() {
        let (left, top) = (to % cells * side, to / cells * side);
        let (from_left, from_top) = (from % cells * side, from / cells * side);
        for y in 0..side {
            let source = ((from_top + y) * view.width + from_left) * 3;
            let target = ((top + y) * view.width + left) * 3;
            let line = &view.rgb[source..source + side * 3];
            picture.rgb[target..target + side * 3].copy_from_slice(line);
        }
    }
    picture
}

fn mean_colour(encoder: &Encoder) -> [u8; 3] {
    encoder.mean.map(|mean| (mean * 255.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_share_and_the_right_patches_are_hidden() {
        let salience = [0.1, 0.9, 0.3, 0.3, 0.0, 0.5, 0.2, 0.4, 0.6];
        let of = |order, share| hidden(order, share, &salience, 4);
        assert_eq!(of(Order::SalientFirst, 0.34), [1, 8, 5]);
        assert_eq!(of(Order::SalientFirst, 0.6), [1, 8, 5, 7, 2]);
        assert_eq!(of(Order::SalientLast, 0.34), [4, 0, 6]);
        for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
            for order in Order::ALL {
                let mut places = of(order, share);
                assert_eq!(places.len(), (share * 9.0_f64).round() as usize);
                places.sort_unstable();
                places.dedup();
                assert_eq!(places.len(), (share * 9.0_f64).round() as usize);
            }
        }
        // A larger share hides what a smaller one hides; another picture loses other patches.
        let random = of(Order::Random, 0.9);
        assert_eq!(random[..3], of(Order::Random, 0.33));
        assert_ne!(random, hidden(Order::Random, 0.9, &salience, 5));

        let view = Picture::filled(6, 6, [1, 2, 3]);
        let picture = occlude(&view, &[0, 5], 2, [9, 8, 7]);
        for (i, pixel) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
            let patch = i / 6 / 2 * 3 + i % 6 / 2;
            let expected = if [0, 5].contains(&patch) {
                [9, 8, 7]
            } else {
                [1, 2, 3]
            };
            assert_eq!(*pixel, expected, "{i}");
        }
    }

    #[test]
    fn a_shuffle_is_a_permutation_of_squares() {
        // Every square of 2 x 2 pixels in its own colour, no two pixels alike within it.
        let rgb = (0..64_usize).flat_map(|i| {
            let (x, y) = (i % 8, i / 8);
            [(y / 2 * 4 + x / 2) as u8, (x % 2) as u8, (y % 2) as u8]
        });
        let view = Picture {
            width: 8,
            height: 8,
            rgb: rgb.collect(),
        };
        let look = Look {
            index: 3,
            view: view.clone(),
            parts: None,
        };
        let squares = |picture: &Picture| -> Vec<Vec<u8>> {
            (0..16)
                .map(|cell: usize| {
                    let lines = (0..2).map(|y| ((cell / 4 * 2 + y) * 8 + cell % 4 * 2) * 3);
                    lines
                        .flat_map(|at| picture.rgb[at..at + 6].to_vec())
                        .collect()
                })
                .collect()
        };
        let mut places: Vec<usize> = (0..16).collect();
        draws(look.index, 4).shuffle(&mut places);
        let mut shuffled = squares(&shuffle(&view, 4, &places));
        let mut whole = squares(&view);
        assert_ne!(shuffled, whole);
        assert_eq!(shuffled[0], whole[places[0]]);
        shuffled.sort();
        whole.sort();
        assert_eq!(shuffled, whole);
        assert_eq!(shuffle(&view, 1, &[0]), view);
    }
}
