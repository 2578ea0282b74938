//! The thread that looks at networks for a window: weights go in, [`Gallery`]s and other plain data come out.
//!
//! It computes on the CPU, whatever trains: looks are small, and tensors of one GPU on several threads have
//! leaked memory and given wrong numbers. Of several requests of one kind only the newest is answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result};

use super::asks::newest;
pub use super::asks::{Ask, Told};
use super::checkpoint::Checkpoint;
use super::gallery::{Gallery, How};
use super::import;
use super::pictures::open_whole;
use super::reference::Reference;
use super::survey::Survey;
use super::{bench, encoder};
use super::{snapshots, views_preview};
use crate::device;
use crate::explore::Encoder;
use crate::explore::attention::Attention;
use crate::explore::guess::Pair;

/// Bytes of looks that are kept, to go back to at once.
const KEPT_BYTES: usize = 384 << 20;

/// Called after each answer, so that a window can draw it.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The front end's side of the thread.
pub struct Looker {
    asks: Option<Sender<Ask>>,
    told: Receiver<Told>,
    closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Looker {
    /// Starts the thread.
    ///
    /// # Errors
    /// A system that gives no more threads.
    pub fn start(wake: Wake) -> Result<Self> {
        let (asks, requests) = channel();
        let (tell, told) = channel();
        let closing = Arc::new(AtomicBool::new(false));
        let closed = closing.clone();
        let work = move || {
            let mut eye = Eye {
                tell,
                wake,
                closing: closed,
                shown: None,
                pair: None,
                galleries: BTreeMap::new(),
                how: How::default(),
            };
            eye.run(&requests);
        };
        let thread = std::thread::Builder::new().name("looker".into());
        Ok(Looker {
            asks: Some(asks),
            told,
            closing,
            thread: Some(thread.spawn(work).context("cannot start a thread")?),
        })
    }

    pub fn ask(&self, ask: Ask) {
        if let Some(asks) = &self.asks {
            // A thread that broke down has said so.
            let _ = asks.send(ask);
        }
    }

    /// Answers that have come since the last call.
    pub fn told(&self) -> Vec<Told> {
        self.told.try_iter().collect()
    }

    /// Ends the thread, also in the middle of a look.
    pub fn close(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.close();
    }
}

/// What is looked through and at.
struct Shown {
    encoder: Encoder,
    checkpoint: Option<Arc<Checkpoint>>,
    step: usize,
    source: String,
    reference: Reference,
}

struct Eye {
    tell: Sender<Told>,
    wake: Wake,
    closing: Arc<AtomicBool>,
    shown: Option<Shown>,
    /// Both networks of `shown`, once they were asked for.
    pair: Option<Pair>,
    /// Looks at the same pictures by step.
    galleries: BTreeMap<usize, Arc<Gallery>>,
    how: How,
}

impl Eye {
    fn run(&mut self, requests: &Receiver<Ask>) {
        while let Ok(first) = requests.recv() {
            let mut waiting = vec![first];
            waiting.extend(requests.try_iter());
            for ask in newest(waiting) {
                if self.closing.load(Ordering::SeqCst) {
                    return;
                }
                // A panic in one look must not end all looking.
                let answer = std::panic::AssertUnwindSafe(|| self.answer(ask));
                let outcome = std::panic::catch_unwind(answer);
                let outcome = outcome.unwrap_or_else(|panic| {
                    let why = panic_text(&*panic);
                    Err(anyhow::anyhow!("looking at the network broke down: {why}"))
                });
                if let Err(error) = outcome
                    && !self.closing.load(Ordering::SeqCst)
                {
                    self.say(Told::Warning(format!("{error:#}")));
                }
            }
            self.say(Told::Busy(""));
        }
    }

    fn say(&self, told: Told) {
        let _ = self.tell.send(told); // nobody listens any more: the window closes
        (self.wake)();
    }

    fn answer(&mut self, ask: Ask) -> Result<()> {
        match ask {
            Ask::Survey(spec) => {
                self.say(Told::Busy("opening the pictures"));
                let is_cpu = device::choose("auto").map_or(true, |chosen| chosen.is_cpu);
                let survey = Survey::of(&spec, is_cpu).map(Box::new);
                self.say(Told::Survey(survey.map_err(|error| format!("{error:#}"))));
            }
            Ask::Speed => {
                let chosen = device::choose("auto")?;
                // A GPU would first compile for longer than this is worth.
                let speed = match chosen.is_cpu {
                    true => bench::measure_speed(&chosen)?,
                    false => 0.0,
                };
                self.say(Told::Speed(speed));
            }
            Ask::Open { path, source } => {
                self.say(Told::Busy("opening the network"));
                let device = device::choose("cpu")?.device;
                let opened = encoder::open(&path, false, None, &device)?;
                let checkpoint = import::checkpoint(&path).ok().map(Arc::new);
                self.galleries.clear();
                let step = checkpoint.as_ref().map_or(0, |c| c.step);
                self.show(opened, checkpoint, step, &source)?;
            }
            Ask::Weights {
                checkpoint,
                source,
                run,
            } => {
                self.say(Told::Busy("looking"));
                self.look_at(checkpoint.clone(), &source, "the run")?;
                if let Some(run) = run {
                    let most = checkpoint.settings.run.snapshots;
                    snapshots::keep(&run, &checkpoint, most)?;
                }
            }
            Ask::Past { step, path } => {
                if let Some(gallery) = self.galleries.get(&step)
                    && gallery.how == self.how
                {
                    self.say(Told::Gallery(gallery.clone()));
                }
                self.say(Told::Busy("looking"));
                let checkpoint = Arc::new(Checkpoint::read(&path)?);
                let source = self.shown.as_ref().map(|shown| shown.source.clone());
                let source = source.context("no run is open")?;
                self.look_at(checkpoint, &source, "the run")?;
            }
            Ask::How(how) => {
                self.how = how;
                self.say(Told::Busy("looking"));
                self.gallery()?;
            }
            Ask::Attention { picture, block } => {
                let Some(shown) = &self.shown else {
                    return Ok(());
                };
                let Some(seen) = shown.reference.view(picture) else {
                    return Ok(());
                };
                // On the grid that the patches of the gallery have.
                let encoder = shown.encoder.focused(self.how.block)?;
                let block = block.min(encoder.last_block());
                let views = std::slice::from_ref(seen);
                if let Some(attention) = Attention::of(&encoder, views, block).pop() {
                    self.say(Told::Attention {
                        picture,
                        block,
                        attention,
                    });
                }
            }
            Ask::Guess {
                picture,
                mask,
                temperature,
            } => self.guess(picture, mask, temperature)?,
            Ask::Views {
                source,
                settings,
                draw,
            } => {
                let shown = views_preview::draw(&source, &settings, draw)?;
                self.say(Told::Views(Box::new(shown)));
            }
        }
        Ok(())
    }

    fn look_at(&mut self, checkpoint: Arc<Checkpoint>, source: &str, name: &str) -> Result<()> {
        let device = device::choose("cpu")?.device;
        let opened = encoder::from_checkpoint(&checkpoint, Path::new(name), false, &device)?;
        let step = checkpoint.step;
        self.show(opened, Some(checkpoint), step, source)
    }

    fn show(
        &mut self,
        opened: encoder::Opened,
        checkpoint: Option<Arc<Checkpoint>>,
        step: usize,
        source: &str,
    ) -> Result<()> {
        let encoder = opened.encoder;
        let same = self.shown.take().filter(|shown| {
            shown.source == source
                && shown.encoder.side == encoder.side
                && shown.encoder.patch() == encoder.patch()
        });
        let reference = match same {
            Some(shown) => shown.reference,
            None => {
                self.galleries.clear();
                self.say(Told::Busy("opening the pictures"));
                let (whole, _) = open_whole(source, &opened.settings)?;
                let (reference, failures) = Reference::load(&whole, &encoder)?;
                for failure in failures {
                    self.say(Told::Warning(failure.to_string()));
                }
                reference
            }
        };
        self.pair = None;
        self.shown = Some(Shown {
            encoder,
            checkpoint,
            step,
            source: source.to_owned(),
            reference,
        });
        self.gallery()
    }

    fn gallery(&mut self) -> Result<()> {
        let Some(shown) = &self.shown else {
            return Ok(());
        };
        let kept = self.galleries.get(&shown.step);
        let kept = kept.filter(|gallery| {
            gallery.how == self.how && gallery.weights == shown.encoder.fingerprint()
        });
        let gallery = match kept {
            Some(gallery) => gallery.clone(),
            None => {
                let before = self.galleries.values().filter(|g| g.how == self.how);
                let before = before.min_by_key(|g| g.step.abs_diff(shown.step)).cloned();
                let closing = self.closing.clone();
                let go = move || !closing.load(Ordering::SeqCst);
                let began = Instant::now();
                let gallery = Gallery::of(
                    &shown.encoder,
                    &shown.reference,
                    shown.step,
                    self.how,
                    before.as_deref(),
                    &go,
                )?;
                log::debug!("look at step {}: {:.2?}", shown.step, began.elapsed());
                Arc::new(gallery)
            }
        };
        self.galleries.insert(shown.step, gallery.clone());
        let step = shown.step;
        let mut bytes: usize = self.galleries.values().map(|g| g.bytes()).sum();
        while bytes > KEPT_BYTES {
            let far = self
                .galleries
                .keys()
                .max_by_key(|s| s.abs_diff(step))
                .copied();
            let Some(gone) = far.and_then(|far| self.galleries.remove(&far)) else {
                break;
            };
            bytes -= gone.bytes();
        }
        self.say(Told::Gallery(gallery));
        Ok(())
    }

    fn guess(&mut self, picture: usize, mask: Vec<bool>, temperature: f64) -> Result<()> {
        let Some(shown) = &self.shown else {
            return Ok(());
        };
        let Some(view) = shown.reference.view(picture) else {
            return Ok(());
        };
        if self.pair.is_none() {
            let checkpoint = shown.checkpoint.as_ref().context(
                "this file holds one network; teacher and student of a run are needed to compare their guesses",
            )?;
            let centre = checkpoint.part("centre").remove("patch");
            self.pair = Some(Pair::new(
                &checkpoint.settings,
                &checkpoint.part("student"),
                &checkpoint.part("teacher"),
                centre.map(|centre| centre.data).unwrap_or_default(),
                &device::choose("cpu")?.device,
            )?);
        }
        if let Some(pair) = &self.pair {
            let guesses = pair.ask(view, &mask, temperature);
            self.say(Told::Guesses {
                picture,
                mask,
                guesses,
            });
        }
        Ok(())
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason was given").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Waits for an answer that `wanted` takes.
    fn wait<T>(looker: &Looker, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Some(found) = looker.told().into_iter().find_map(&mut wanted) {
                return found;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no answer");
    }

    #[test]
    fn the_demo_is_shown_with_attention_and_guesses_and_bad_files_are_warnings() {
        let looker = Looker::start(Arc::new(|| ())).unwrap();
        looker.ask(Ask::Open {
            path: "/no/such/file".into(),
            source: "parts".into(),
        });
        let warning = |told| match told {
            Told::Warning(text) => Some(text),
            _ => None,
        };
        assert!(wait(&looker, warning).contains("/no/such/file"));
        looker.ask(Ask::Open {
            path: "demo".into(),
            source: "parts".into(),
        });
        let gallery = wait(&looker, |told| match told {
            Told::Gallery(gallery) => Some(gallery),
            _ => None,
        });
        assert!(gallery.patterns.len() > 30 && gallery.step > 1000);
        looker.ask(Ask::Attention {
            picture: 2,
            block: 0,
        });
        let attention = wait(&looker, |told| match told {
            Told::Attention { attention, .. } => Some(attention),
            _ => None,
        });
        assert_eq!(attention.patches(), gallery.patches());
        let mut mask = vec![false; gallery.patches()];
        mask[5] = true;
        looker.ask(Ask::Guess {
            picture: 2,
            mask,
            temperature: 0.07,
        });
        let guesses = wait(&looker, |told| match told {
            Told::Guesses { guesses, .. } => Some(guesses),
            _ => None,
        });
        assert_eq!((guesses.len(), guesses[0].patch), (1, 5));
    }
}
