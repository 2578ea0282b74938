//! A run in the background: a thread that trains, events that come out of it, and how it ended.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use anyhow::{Context, Result};

use super::control::Control;
use super::events::{Event, Summary};
use super::looker::{Wake, panic_text};
use super::run::{Job, resume, train};
use crate::device;

/// How a run ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened, with its causes.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// A run that goes on in the background.
pub struct Live {
    pub control: Arc<Control>,
    events: Receiver<Event>,
    thread: Option<JoinHandle<Result<Summary>>>,
}

/// What has become of a run.
#[derive(Debug)]
pub enum State {
    Running,
    Ended(Summary),
    Failed(Failure),
    /// The end was told before.
    Over,
}

impl Live {
    /// Starts `job` on the device that its settings name. `wake` is called whenever there is something new.
    ///
    /// # Errors
    /// A system that gives no more threads.
    pub fn start(job: Job, wake: Wake) -> Result<Self> {
        let control = Arc::new(Control::default());
        let (tell, events) = channel();
        let shared = control.clone();
        let work = move || {
            let woken = wake.clone();
            let mut emit = |event: Event| {
                let _ = tell.send(event); // nobody listens any more: the window closes
                wake();
            };
            let run = || {
                let chosen = device::choose(&job.settings.run.device)?;
                train(&job, &chosen, &shared, &mut emit)
            };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            let outcome = outcome.unwrap_or_else(|panic| {
                Err(anyhow::anyhow!(
                    "training broke down: {}",
                    panic_text(&*panic)
                ))
            });
            drop(tell);
            woken();
            outcome
        };
        let thread = std::thread::Builder::new().name("training".into());
        Ok(Live {
            control,
            events,
            thread: Some(thread.spawn(work).context("cannot start a thread")?),
        })
    }

    /// Goes on with the run in `folder`, on `device` where its settings leave that open.
    ///
    /// # Errors
    /// A folder that holds no run, or whose files are damaged.
    pub fn resume(folder: &Path, device: &str, wake: Wake) -> Result<Self> {
        let mut job = resume(folder)?;
        if job.settings.run.device == "auto" && !device.is_empty() {
            job.settings.run.device = device.to_owned();
        }
        Self::start(job, wake)
    }

    /// What was told since the last call.
    pub fn events(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// Whether it goes on, and once: how it ended.
    pub fn state(&mut self) -> State {
        match &self.thread {
            None => return State::Over,
            Some(thread) if !thread.is_finished() => return State::Running,
            Some(_) => {}
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(summary))) => State::Ended(summary),
            Some(Ok(Err(error))) => State::Failed(explain(&format!("{error:#}"))),
            Some(Err(panic)) => State::Failed(explain(&panic_text(&*panic))),
            None => State::Over,
        }
    }

    /// Asks it to save and stop, and waits until it has.
    pub fn finish(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A remedy for what is known to end runs.
pub fn explain(what: &str) -> Failure {
    let low = what.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| low.contains(word));
    let remedy = if says(&["out of memory", "not enough memory", "allocation", "alloc"]) {
        "There was not enough memory. Take a smaller run.batch, or set run.accumulate to compute a batch in \
         parts: the result is the same. What was saved last can be resumed."
    } else if says(&["device lost", "device is lost", "devicelost", "poisoned"]) {
        "The GPU was lost: its driver restarted or it was unplugged. Resume from the last checkpoint, or train \
         on the CPU (run.device = cpu)."
    } else if says(&["the loss is"]) {
        "Resume from the last checkpoint with a lower learning rate."
    } else if says(&["no space", "disk"]) {
        "Free some space on the disk; what was saved last can be resumed."
    } else {
        "What was saved last can be resumed."
    };
    Failure {
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}
