//! Leads an encoder over a source: pictures are loaded ahead on other threads, shown a batch at a
//! time, with progress and a way to stop. Memory holds three batches, however many pictures there are.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::Encoder;
use crate::data::{LoadError, PartMap, Picture, Source};

/// Batches loaded ahead.
const AHEAD: usize = 1;

/// How far a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done, in two or three words.
    pub what: &'static str,
    /// Pictures.
    pub done: usize,
    pub total: usize,
}

/// Hears of progress; `Break` ends the work with [`Stopped`].
pub type Tell<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// The work was ended from outside. Nothing half-done is left.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// One picture as the encoder sees it.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its number in the source.
    pub index: usize,
    pub view: Picture,
    /// At the same size, where parts are known.
    pub parts: Option<PartMap>,
}

/// A walk over a source.
pub struct Walk<'a> {
    pub encoder: &'a Encoder,
    pub source: &'a Arc<dyn Source>,
    pub tell: Tell<'a>,
    /// Pictures that could not be read, in the order of the source; each is passed over.
    pub failures: Vec<LoadError>,
}

impl<'a> Walk<'a> {
    pub fn new(encoder: &'a Encoder, source: &'a Arc<dyn Source>, tell: Tell<'a>) -> Self {
        Walk {
            encoder,
            source,
            tell,
            failures: Vec::new(),
        }
    }

    /// Calls `see` with every batch of readable pictures in the order of the source; part maps come along
    /// if `parts` is set and the source has them.
    ///
    /// # Errors
    /// [`Stopped`], what `see` says, or a source of which nothing can be read.
    pub fn each(
        &mut self,
        what: &'static str,
        parts: bool,
        mut see: impl FnMut(&[Look]) -> Result<()>,
    ) -> Result<()> {
        let (encoder, source) = (self.encoder, self.source);
        let (total, batch) = (source.len(), encoder.batch());
        self.failures.clear();
        let mut seen = 0;
        std::thread::scope(|scope| {
            let (give, take) = sync_channel(AHEAD);
            scope.spawn(move || {
                for from in (0..total).step_by(batch) {
                    let indices = from..total.min(from + batch);
                    let loaded: Vec<_> = indices
                        .into_par_iter()
                        .map(|index| load(encoder, source, index, parts))
                        .collect();
                    if give.send(loaded).is_err() {
                        return; // the walk has ended
                    }
                }
            });
            let mut done = 0;
            for loaded in take {
                done += loaded.len();
                let mut looks = Vec::with_capacity(loaded.len());
                for result in loaded {
                    match result {
                        Ok(look) => looks.push(look),
                        Err(error) => self.failures.push(error),
                    }
                }
                if !looks.is_empty() {
                    seen += looks.len();
                    see(&looks)?;
                }
                let progress = Progress { what, done, total };
                if (self.tell)(progress).is_break() {
                    bail!(Stopped);
                }
            }
            Ok(())
        })?;
        if seen == 0 {
            match self.failures.first() {
                Some(first) => {
                    bail!("none of the {total} pictures could be read; the first: {first}")
                }
                None => bail!("the source has no pictures"),
            }
        }
        Ok(())
    }
}

/// Picture `index` of `source` as `encoder` sees it.
///
/// # Errors
/// A picture that cannot be read.
fn load(
    encoder: &Encoder,
    source: &Arc<dyn Source>,
    index: usize,
    parts: bool,
) -> Result<Look, LoadError> {
    let with_parts = match parts {
        true => source.load_with_parts(index),
        false => None,
    };
    Ok(match with_parts {
        Some((picture, map)) => Look {
            index,
            view: encoder.view(&picture),
            parts: Some(map.scaled(encoder.side)),
        },
        None => Look {
            index,
            view: encoder.view(&source.load(index)?),
            parts: None,
        },
    })
}

impl Look {
    /// Picture `index` of `source` as `encoder` sees it, without its part map.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub fn load(
        encoder: &Encoder,
        source: &Arc<dyn Source>,
        index: usize,
    ) -> Result<Self, LoadError> {
        load(encoder, source, index, false)
    }
}
