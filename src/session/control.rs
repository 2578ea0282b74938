//! What a front end may ask of a run, and how a run shows what it has: both sides only ever hold a
//! lock for a moment, so neither waits for the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::checkpoint::Checkpoint;
use super::showing::ViewsShown;

/// Requests of a front end to a running session, and the latest things that it asked to see.
#[derive(Default)]
pub struct Control {
    stop: AtomicBool,
    wishes: Mutex<Wishes>,
    woken: Condvar,
    /// The views that the networks see at a step.
    pub views: Slot<ViewsShown>,
    /// Both networks and the centres after a step.
    pub weights: Slot<Checkpoint>,
}

#[derive(Default)]
struct Wishes {
    paused: bool,
    /// Steps to make although paused.
    steps: usize,
    /// Settings to change: key and value as typed.
    changes: Vec<(String, String)>,
    save: bool,
}

/// What a run is to do before its next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Step,
    Change(String, String),
    /// Show what is asked for in a slot, as it is now.
    Show,
    /// Write a checkpoint.
    Save,
    /// Wait; nothing is wanted.
    Wait,
    Stop,
}

impl Control {
    /// Asks the run to finish its step, save and return.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.woken.notify_all();
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Holds the run before its next step, or lets it go on.
    pub fn pause(&self, paused: bool) {
        let mut wishes = self.lock();
        wishes.paused = paused;
        wishes.steps = 0;
        self.woken.notify_all();
    }

    pub fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// Makes one step and pauses again.
    pub fn step(&self) {
        let mut wishes = self.lock();
        wishes.paused = true;
        wishes.steps += 1;
        self.woken.notify_all();
    }

    /// Changes a setting before the next step. A value that is not allowed becomes a warning.
    pub fn change(&self, key: &str, text: &str) {
        self.lock().changes.push((key.to_owned(), text.to_owned()));
        self.woken.notify_all();
    }

    /// Writes a checkpoint before the next step.
    pub fn save(&self) {
        self.lock().save = true;
        self.woken.notify_all();
    }

    /// Wakes a run that waits, so that it sees what was asked for in a slot.
    pub fn wake(&self) {
        drop(self.lock());
        self.woken.notify_all();
    }

    /// What to do next, without waiting.
    pub(super) fn next(&self) -> Wish {
        let mut wishes = self.lock();
        if self.stopping() {
            return Wish::Stop;
        }
        if !wishes.changes.is_empty() {
            let (key, text) = wishes.changes.remove(0);
            return Wish::Change(key, text);
        }
        if std::mem::take(&mut wishes.save) {
            return Wish::Save;
        }
        if self.weights.is_wanted() {
            return Wish::Show;
        }
        match wishes.paused {
            false => Wish::Step,
            true if wishes.steps > 0 => {
                wishes.steps -= 1;
                Wish::Step
            }
            true => Wish::Wait,
        }
    }

    /// Waits until there may be something else to do.
    pub(super) fn wait(&self) {
        let wishes = self.lock();
        // Whatever came in between the last look and now must not be slept through.
        let idle = wishes.paused
            && wishes.steps == 0
            && wishes.changes.is_empty()
            && !wishes.save
            && !self.weights.is_wanted()
            && !self.stopping();
        if idle {
            // The bound catches a stop that came by a signal, without the lock.
            let _ = self
                .woken
                .wait_timeout(wishes, std::time::Duration::from_millis(200));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest of something that costs to make: made when asked for, kept until the next.
pub struct Slot<T> {
    wanted: AtomicBool,
    latest: Mutex<Option<Arc<T>>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot {
            wanted: AtomicBool::new(false),
            latest: Mutex::new(None),
        }
    }
}

impl<T> Slot<T> {
    /// Asks for a new one.
    pub fn ask(&self) {
        self.wanted.store(true, Ordering::SeqCst);
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Answers the request.
    pub fn put(&self, value: T) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::new(value));
        self.wanted.store(false, Ordering::SeqCst);
    }

    /// The newest, if it was not taken before.
    pub fn take(&self) -> Option<Arc<T>> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_run_makes_the_steps_it_is_asked_for_and_no_other() {
        let control = Control::default();
        assert_eq!(control.next(), Wish::Step);
        control.pause(true);
        assert_eq!(control.next(), Wish::Wait);
        control.step();
        control.change("optim.lr", "0.1");
        assert_eq!(
            control.next(),
            Wish::Change("optim.lr".into(), "0.1".into())
        );
        assert_eq!([control.next(), control.next()], [Wish::Step, Wish::Wait]);
        control.save();
        assert_eq!([control.next(), control.next()], [Wish::Save, Wish::Wait]);
        control.pause(false);
        assert_eq!(control.next(), Wish::Step);
        control.stop();
        assert_eq!(control.next(), Wish::Stop);
        control.wait(); // returns at once
    }

    #[test]
    fn a_slot_gives_the_newest_once() {
        let slot = Slot::default();
        slot.ask();
        assert!(slot.is_wanted());
        slot.put(1);
        slot.put(2);
        assert!(!slot.is_wanted());
        assert_eq!(slot.take().as_deref(), Some(&2));
        assert!(slot.take().is_none());
    }
}
