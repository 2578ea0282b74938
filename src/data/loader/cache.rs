//! Decoded pictures kept in memory up to a bound.
//!
//! What came first stays: in every epoch each picture is wanted once, in a new order, so that any
//! fixed set is hit equally often, while replacing the least recently used would throw pictures
//! out shortly before they are wanted again.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::data::Picture;

/// A bounded set of pictures by their number.
pub struct Cache {
    limit: usize,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    pictures: HashMap<usize, Arc<Picture>>,
}

impl Cache {
    pub fn new(limit: usize) -> Self {
        Cache {
            limit,
            held: RwLock::default(),
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }

    pub fn get(&self, index: usize) -> Option<Arc<Picture>> {
        if self.limit == 0 {
            return None;
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.pictures.get(&index).cloned()
    }

    /// Keeps `picture` if there is room for it.
    pub fn offer(&self, index: usize, picture: &Arc<Picture>) {
        // Besides its pixels a picture costs its own header and an entry in the map.
        let bytes = picture.rgb.len() + size_of::<Picture>() + 64;
        if bytes > self.limit.saturating_sub(self.bytes()) {
            return;
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.bytes + bytes <= self.limit && !held.pictures.contains_key(&index) {
            held.bytes += bytes;
            held.pictures.insert(index, picture.clone());
        }
    }
}
