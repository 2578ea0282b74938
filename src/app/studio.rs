//! A run or a network that is open: its session, its looks, and the panels over them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::atlas::Atlas;
use super::curves::Curves;
use super::form::Form;
use super::lab::Lab;
use super::log::{Level, Log};
use super::look::Look;
use super::patterns::Patterns;
use super::scene::{Picked, Tab};
use super::views::Views;
use crate::session::events::{Ending, Event};
use crate::session::folder::{RunFile, RunFolder, next_folder};
use crate::session::gallery::Gallery;
use crate::session::health::{self, Health};
use crate::session::history::History;
use crate::session::live::{Failure, Live, State};
use crate::session::looker::{Ask, Told, Wake};
use crate::session::run::{Job, PAUSED, Start};
use crate::session::tunings::Tunings;
use crate::session::{checkpoint, snapshots};
use crate::settings::Settings;

/// What is open.
pub struct Studio {
    /// What people call it.
    pub title: String,
    /// The run's folder; none for a weight file or the demo.
    pub folder: Option<PathBuf>,
    /// What was opened, to look through when nothing trains.
    pub weights: PathBuf,
    pub source: String,
    pub preset: String,
    /// As the run has them now.
    pub settings: Settings,
    pub history: History,
    /// Fine-tunings in the run's folder.
    pub tunings: Tunings,
    pub phase: String,
    pub failure: Option<Failure>,
    pub health: Health,
    /// What takes the last remedy back: its name, and settings with the values they had.
    pub undo: Option<(String, Vec<(&'static str, String)>)>,
    pub tab: Tab,
    pub gallery: Option<Arc<Gallery>>,
    pub atlas: Option<Atlas>,
    pub picked: Picked,
    /// A step in the past that is looked at; none: now.
    pub past: Option<usize>,
    pub patterns: Patterns,
    pub look: Look,
    pub lab: Lab,
    pub views: Views,
    pub curves: Curves,
    pub(super) form: Form,
    live: Option<Live>,
    /// What became of the last export.
    pub(super) said: String,
    /// Step of the last look that was asked for.
    looked: Option<usize>,
    paused: bool,
    /// When the last look was asked for, how long it took, and since when there was none.
    asked_at: Instant,
    look_took: Duration,
    rested: Instant,
}

/// A run has this many times a look's time for itself before the next: looks cost it 3 % at most.
const LOOK_SHARE: u32 = 33;

impl Studio {
    /// The network in `weights` (a run's folder, a checkpoint, a weight file, `demo`), to look at the pictures
    /// of `source`.
    pub fn open(weights: &Path, source: &str, settings: Settings, asks: &mut Vec<Ask>) -> Self {
        asks.push(Ask::Open {
            path: weights.to_owned(),
            source: source.to_owned(),
        });
        Self::over(weights, source, settings, "demo", History::default())
    }

    /// Nothing asked for and nothing running yet.
    fn over(
        weights: &Path,
        source: &str,
        settings: Settings,
        preset: &str,
        history: History,
    ) -> Self {
        let name = weights.file_stem().unwrap_or_default().to_string_lossy();
        Studio {
            title: name.into_owned(),
            folder: None,
            weights: weights.to_owned(),
            source: source.to_owned(),
            preset: preset.to_owned(),
            phase: String::new(),
            failure: None,
            health: health::judge(&history, &settings),
            history,
            tunings: Tunings::default(),
            undo: None,
            tab: Tab::Patterns,
            gallery: None,
            atlas: None,
            picked: Picked::default(),
            past: None,
            patterns: Patterns::default(),
            look: Look::default(),
            lab: Lab::default(),
            views: Views::default(),
            curves: Curves::default(),
            form: form_of(&settings, preset),
            settings,
            live: None,
            said: String::new(),
            looked: None,
            paused: false,
            asked_at: Instant::now(),
            look_took: Duration::ZERO,
            rested: Instant::now(),
        }
    }

    /// The run in `folder`, as it stands.
    ///
    /// # Errors
    /// A folder that holds no run, or whose files are damaged.
    pub fn of_run(folder: &Path, asks: &mut Vec<Ask>) -> Result<Self> {
        let (run, settings) = RunFolder::read(folder)?;
        asks.push(Ask::Open {
            path: folder.to_owned(),
            source: run.source.clone(),
        });
        let history = History::read(folder).unwrap_or_default();
        let preset = run.preset.as_deref().unwrap_or("photos");
        let mut studio = Self::over(folder, &run.source, settings, preset, history);
        studio.folder = Some(folder.to_owned());
        studio.phase = "not running".into();
        Ok(studio)
    }

    /// A new run on `source`.
    ///
    /// # Errors
    /// A system that gives no more threads.
    pub fn start(
        source: &str,
        preset: &str,
        settings: Settings,
        start: Start,
        parent: &Path,
        wake: Wake,
    ) -> Result<Self> {
        let folder = next_folder(parent, preset);
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let run = RunFile {
            source: crate::session::pictures::absolute(source),
            preset: Some(preset.to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let history = History::default();
        let mut studio = Self::over(&folder, &run.source, settings.clone(), preset, history);
        let job = Job {
            run,
            settings,
            folder: folder.clone(),
            start,
        };
        studio.live = Some(Live::start(job, wake)?);
        studio.folder = Some(folder);
        studio.phase = "starting".into();
        Ok(studio)
    }

    /// Goes on with the open run, on `device` where its settings leave that open.
    ///
    /// # Errors
    /// A folder that holds no run, or a system that gives no more threads.
    pub fn resume(&mut self, device: &str, wake: Wake) -> Result<()> {
        if let Some(folder) = &self.folder {
            self.live = Some(Live::resume(folder, device, wake)?);
            self.phase = "starting".into();
            (self.failure, self.past) = (None, None);
            (self.looked, self.paused) = (None, false);
        }
        Ok(())
    }

    pub fn is_running(&self) -> bool {
        self.live.is_some()
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Holds the run or lets it go on.
    pub fn pause(&mut self, paused: bool) {
        if let Some(live) = &self.live {
            self.paused = paused;
            live.control.pause(paused);
        }
    }

    /// Makes one step.
    pub fn step(&mut self) {
        if let Some(live) = &self.live {
            self.paused = true;
            live.control.step();
        }
    }

    /// Saves and stops; the end comes when the step is done.
    pub fn stop(&mut self) {
        if let Some(live) = &self.live {
            live.control.stop();
            self.phase = "saving".into();
        }
    }

    /// Changes a live setting of the run.
    pub fn change(&self, key: &str, text: &str) {
        if let Some(live) = &self.live {
            live.control.change(key, text);
        }
    }

    /// Does what remedy `index` says.
    pub fn remedy(&mut self, index: usize) {
        let Some(remedy) = self.health.remedies.get(index) else {
            return;
        };
        self.undo = Some((remedy.label.clone(), health::undo(remedy, &self.settings)));
        for (key, text) in &remedy.changes {
            self.change(key, text);
        }
    }

    /// Takes the last remedy back.
    pub fn undo(&mut self) {
        for (key, text) in self
            .undo
            .take()
            .map(|(_, changes)| changes)
            .unwrap_or_default()
        {
            self.change(key, &text);
        }
    }

    /// Goes on with the open run, each batch computed in twice as many parts: less memory, the same result.
    ///
    /// # Errors
    /// A batch that cannot be cut further, or a folder that cannot be written to.
    pub fn resume_in_parts(&mut self, device: &str, wake: Wake) -> Result<()> {
        if let Some(folder) = &self.folder {
            let (_, mut settings) = RunFolder::read(folder)?;
            settings.run.accumulate *= 2;
            settings.check()?;
            RunFolder::open(folder)?.keep_settings(&settings)?;
            self.settings = settings;
        }
        self.resume(device, wake)
    }

    /// Saves and stops, and waits until that is done.
    pub fn finish(&mut self) {
        if let Some(mut live) = self.live.take() {
            live.finish();
        }
    }

    /// Steps that can be looked back at, oldest first, with their files.
    pub fn moments(&self) -> Vec<(usize, PathBuf)> {
        let Some(folder) = &self.folder else {
            return Vec::new();
        };
        match snapshots::list(folder) {
            // A run from the command line has checkpoints only.
            none if none.is_empty() => checkpoint::list(folder),
            all => all,
        }
    }

    /// Steps done so far.
    pub fn step_now(&self) -> usize {
        self.history.last_step().unwrap_or_default()
    }

    /// Temperature of the teacher's patches at the step that is looked at.
    pub fn temperature(&self) -> f64 {
        let step = self.gallery.as_ref().map_or(0, |gallery| gallery.step);
        let known = self.history.at(step.saturating_sub(1));
        known.map_or(self.settings.loss.teacher_patch_temp, |step| {
            step.teacher_patch_temp
        })
    }

    /// Prototypes for class tokens and for patches.
    pub fn prototypes(&self) -> (usize, usize) {
        let head = &self.settings.head;
        (head.out_dim, head.teacher_patches())
    }

    /// Takes in what the run told since the last call, and asks for looks when it is time.
    pub fn poll(&mut self, log: &mut Log, asks: &mut Vec<Ask>, ctx: &egui::Context) {
        let Some(live) = &mut self.live else {
            return;
        };
        let events = live.events();
        let new_numbers = !events.is_empty();
        for event in events {
            match &event {
                Event::Phase(phase) => {
                    self.phase.clone_from(phase);
                    self.paused = phase == PAUSED;
                }
                Event::Warning(text) => log.add(Level::Warning, text),
                Event::Changed(change) => {
                    log.add(Level::Info, change.to_string());
                    let _ = self.settings.set(&change.key, &change.to, "");
                    self.form = form_of(&self.settings, &self.preset);
                }
                Event::Checkpoint { step, path } => {
                    log.add(
                        Level::Info,
                        format!("checkpoint of step {step}: {}", path.display()),
                    );
                }
                Event::Plan(plan) => {
                    let text = format!("training on {}: {}", plan.device, plan.device_reason);
                    log.add(Level::Info, text);
                }
                Event::Eval(eval) => {
                    if let Some(knn) = eval.knn {
                        let text = format!("step {}: k-NN {:.1} %", eval.step, 100.0 * knn);
                        log.add(Level::Info, text);
                    }
                }
                Event::Step(_) => {}
            }
            self.history.take(&event);
        }
        if new_numbers {
            self.health = health::judge(&self.history, &self.settings);
        }
        if let Some(shown) = live.control.views.take() {
            self.views.take(ctx, shown, false);
        }
        if self.tab == Tab::Views && self.views.follows() && !self.paused {
            live.control.views.ask();
        }
        if let Some(checkpoint) = live.control.weights.take()
            && self.past.is_none()
        {
            asks.push(Ask::Weights {
                checkpoint,
                source: self.source.clone(),
                run: self.folder.clone(),
            });
        }
        let now = self.history.last_step();
        let due = match (self.looked, now) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(last), Some(now)) if self.paused => now != last,
            // The first looks are close together, since most happens then; later ones may cost the run no
            // more than a small share of its time.
            (Some(last), Some(now)) => {
                let every = self.settings.run.look_every.min((now / 4).max(10));
                now >= last + every && self.rested.elapsed() > self.look_took * LOOK_SHARE
            }
        };
        if due {
            self.looked = now;
            self.asked_at = Instant::now();
            live.control.weights.ask();
            live.control.wake();
        }
        match live.state() {
            State::Running | State::Over => {}
            State::Ended(summary) => {
                self.live = None;
                self.paused = false;
                self.phase = match summary.ending {
                    Ending::Finished => "finished",
                    Ending::Limit => "limit reached",
                    Ending::Stopped => "stopped and saved",
                }
                .into();
                log.add(
                    Level::Info,
                    format!("{}: {}", self.phase, summary.report.display()),
                );
            }
            State::Failed(failure) => {
                self.live = None;
                self.paused = false;
                self.phase = "failed".into();
                log.add(Level::Error, format!("{} {}", failure.what, failure.remedy));
                self.failure = Some(failure);
            }
        }
    }

    /// Takes in what the looking thread told.
    pub fn told(&mut self, told: Told, ctx: &egui::Context) {
        match told {
            Told::Gallery(gallery) => {
                if self.past.is_some_and(|past| past != gallery.step) {
                    return; // a look at another moment, which came late
                }
                if !self
                    .atlas
                    .as_ref()
                    .is_some_and(|atlas| atlas.holds(&gallery))
                {
                    self.atlas = Some(Atlas::of(ctx, &gallery));
                    self.picked = Picked::default();
                }
                self.gallery = Some(gallery);
                self.look_took = self.asked_at.elapsed();
                self.rested = Instant::now();
            }
            Told::Attention {
                picture,
                block,
                attention,
            } => self.look.take_attention(picture, block, attention),
            Told::Guesses {
                picture,
                mask,
                guesses,
            } => {
                if !self.look.take_guesses(picture, &mask, &guesses) || self.tab == Tab::Lab {
                    self.lab.take_guesses(picture, &mask, guesses);
                }
            }
            Told::Views(shown) => self.views.take(ctx, Arc::from(shown), true),
            Told::Survey(_) | Told::Speed(_) | Told::Warning(_) | Told::Busy(_) => {}
        }
    }

    /// Looks at step `step` of the past, or at now.
    pub fn go_to(&mut self, moment: Option<(usize, PathBuf)>, asks: &mut Vec<Ask>) {
        match moment {
            Some((step, path)) => {
                self.past = Some(step);
                asks.push(Ask::Past { step, path });
            }
            None => {
                self.past = None;
                match &self.live {
                    Some(live) => {
                        self.looked = self.history.last_step();
                        live.control.weights.ask();
                        live.control.wake();
                    }
                    None => asks.push(Ask::Open {
                        path: self.weights.clone(),
                        source: self.source.clone(),
                    }),
                }
            }
        }
    }
}

/// A form that holds `settings` and knows the preset they began with.
fn form_of(settings: &Settings, preset: &str) -> Form {
    let base = crate::settings::preset(preset).and_then(|preset| preset.settings());
    let mut form = Form::new(base.unwrap_or_default(), preset);
    // Settings that a run has were checked when it began.
    let _ = form.load_toml(&settings.to_toml(), "the run");
    form
}
