//! What a window may ask of the looking thread, and what it is told.

use std::path::PathBuf;
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::gallery::{Gallery, How};
use super::showing::ViewsShown;
use super::survey::Survey;
use crate::explore::attention::Attention;
use crate::explore::guess::Guess;
use crate::settings::Settings;

/// A request. `Open` and `Weights` replace what is looked through.
pub enum Ask {
    /// Describe a source.
    Survey(String),
    /// Measure how fast training is here.
    Speed,
    /// Look through the network at `path` at the pictures of `source`.
    Open { path: PathBuf, source: String },
    /// Look through the networks of a session that goes on, at the pictures of `source`. With `run`, a run's
    /// folder, they are also kept there as a snapshot.
    Weights {
        checkpoint: Arc<Checkpoint>,
        source: String,
        run: Option<PathBuf>,
    },
    /// Look at the run in `run` as it was at the snapshot or checkpoint in `path`.
    Past { step: usize, path: PathBuf },
    /// Group patches in another way.
    How(How),
    /// The attention of all heads in block `block` over picture `picture`.
    Attention { picture: usize, block: usize },
    /// What teacher and student say of the hidden patches of a picture.
    Guess {
        picture: usize,
        mask: Vec<bool>,
        temperature: f64,
    },
    /// Views and masks of some pictures under other settings.
    Views {
        source: String,
        settings: Box<Settings>,
        draw: usize,
    },
}

/// An answer.
pub enum Told {
    Survey(Result<Box<Survey>, String>),
    /// Operations a second; 0 where it cannot be told beforehand.
    Speed(f64),
    Gallery(Arc<Gallery>),
    Attention {
        picture: usize,
        block: usize,
        attention: Attention,
    },
    Guesses {
        picture: usize,
        mask: Vec<bool>,
        guesses: Vec<Guess>,
    },
    Views(Box<ViewsShown>),
    /// Something could not be done; the rest goes on.
    Warning(String),
    /// What is being done; empty: nothing.
    Busy(&'static str),
}

/// The newest request of each kind, in the order in which they came.
pub(super) fn newest(asks: Vec<Ask>) -> Vec<Ask> {
    let kind = |ask: &Ask| match ask {
        // These replace one another: what is looked through.
        Ask::Open { .. } | Ask::Weights { .. } | Ask::Past { .. } => 0,
        Ask::Survey(_) => 1,
        Ask::How(_) => 2,
        Ask::Attention { .. } => 3,
        Ask::Guess { .. } => 4,
        Ask::Views { .. } => 5,
        Ask::Speed => 6,
    };
    let mut kept: Vec<Ask> = Vec::new();
    for ask in asks {
        kept.retain(|other| kind(other) != kind(&ask));
        kept.push(ask);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_of_each_kind_is_answered() {
        let at = |picture| Ask::Attention { picture, block: 0 };
        let kept = newest(vec![at(1), Ask::Survey("a".into()), at(2), at(3)]);
        assert!(matches!(&kept[0], Ask::Survey(_)));
        assert!(matches!(&kept[1], Ask::Attention { picture: 3, .. }) && kept.len() == 2);
    }
}
