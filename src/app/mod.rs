//! The window: train, watch and explore. One file a panel; plain data in, commands out.
//!
//! [`App`] is the whole window as a function of its state and of egui's input, so that tests run the very
//! same code without a screen; [`window`] puts it on one.

mod atlas;
mod bars;
mod closing;
mod curves;
mod dialog;
mod estimate;
mod first;
mod form;
mod keys;
mod lab;
mod log;
mod look;
mod overlay;
mod panel;
mod patterns;
mod recent;
mod scene;
mod setup;
mod side;
mod studio;
pub mod theme;
mod views;
pub mod window;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Result;
use egui::{CentralPanel, Color32, Frame, Panel, RichText, Ui};

use self::log::{Level, Log};
use bars::Pressed;
use closing::Closing;
use first::{First, Wanted};
use recent::Memory;
use scene::Tab;
use setup::{Chosen, Setup};
use studio::Studio;

use crate::session::checkpoint::Checkpoint;
use crate::session::import::{self, Imported};
use crate::session::looker::{Ask, Looker, Told, Wake};
use crate::session::pictures::DEMO;
use crate::session::run::Start;
use crate::settings::{Settings, preset};

/// With what the window opens.
#[derive(Clone, Default)]
pub struct Opening {
    /// A run, a weight file or pictures.
    pub path: Option<PathBuf>,
    /// Where runs that are started here compute, as `--device` takes it; empty: as their settings say.
    pub device: String,
    /// The device that computes, for the window to draw with; none: the window opens its own.
    pub graphics: Option<crate::device::Graphics>,
    /// What is missing on this machine, to be said on the first screen.
    pub banner: Option<String>,
    /// Where the window keeps what it remembers; none: the user's configuration folder.
    pub memory: Option<PathBuf>,
    /// The folder in which new runs get theirs; none: `runs` in the current folder, or, where that cannot
    /// be written to, in the user's data folder.
    pub runs: Option<PathBuf>,
}

enum Screen {
    First(First),
    Setup(Box<Setup>),
    Studio(Box<Studio>),
}

/// The whole window.
pub struct App {
    ctx: egui::Context,
    screen: Screen,
    looker: Looker,
    log: Log,
    memory: Memory,
    memory_path: Option<PathBuf>,
    banner: Option<String>,
    busy: &'static str,
    /// A path from a dialog that runs on a thread of its own.
    dialog: Option<Receiver<Option<PathBuf>>>,
    gpu: bool,
    help: bool,
    /// A close that waits for an answer.
    closing: Option<Closing>,
    close: bool,
    /// The moments of the open run, and when they were listed.
    moments: (Vec<(usize, PathBuf)>, usize),
    /// How long the last frames took.
    frames: std::collections::VecDeque<Duration>,
    runs: Option<PathBuf>,
    device: String,
    /// Operations a second that training was measured to make here; 0 while not known.
    speed: f64,
    pace: Pace,
}

/// Frames whose time is remembered.
const FRAMES: usize = 4096;

impl App {
    /// The window's state at the start. `gpu` tells whether overlays can be drawn by the GPU.
    ///
    /// # Errors
    /// A system that gives no more threads.
    pub fn new(ctx: egui::Context, opening: Opening, gpu: bool) -> Result<Self> {
        let memory_path = opening.memory.or_else(Memory::path);
        let memory = Memory::read(memory_path.as_deref());
        theme::apply(&ctx, memory.mode, memory.large);
        let pace = Pace::new(AtomicU64::new(NEWS_EVERY.as_millis() as u64));
        // Answers of the looker are what somebody waits for.
        let soon = ctx.clone();
        let looker = Looker::start(Arc::new(move || soon.request_repaint()))?;
        let mut app = App {
            ctx,
            screen: Screen::First(First::default()),
            looker,
            log: Log::default(),
            memory,
            memory_path,
            banner: opening.banner,
            busy: "",
            dialog: None,
            gpu,
            help: false,
            closing: None,
            close: false,
            moments: (Vec::new(), usize::MAX),
            frames: Default::default(),
            runs: opening.runs,
            device: opening.device,
            speed: 0.0,
            pace,
        };
        if let Some(path) = opening.path {
            app.open(&path);
        }
        Ok(app)
    }

    /// The colour behind everything.
    pub fn paper(&self) -> Color32 {
        self.memory.mode.theme().paper
    }

    /// Draws one frame.
    pub fn ui(&mut self, ui: &mut Ui) {
        self.poll();
        self.dropped(ui);
        self.keys(ui);
        match &self.screen {
            Screen::First(_) => self.first(ui),
            Screen::Setup(_) => self.setup(ui),
            Screen::Studio(_) => self.studio(ui),
        }
        self.help_window(ui);
        self.closing_window(ui);
    }

    /// Takes in what sessions and dialogs have told; also called while nothing is drawn.
    pub fn poll(&mut self) {
        let mut asks = Vec::new();
        for told in self.looker.told() {
            match told {
                Told::Busy(what) => self.busy = what,
                Told::Warning(text) => self.log.add(Level::Warning, text),
                Told::Survey(Ok(survey)) => {
                    self.banner = None;
                    match Setup::new(*survey, self.through()) {
                        Ok(setup) => self.screen = Screen::Setup(Box::new(setup)),
                        Err(error) => self.complain(format!("{error:#}")),
                    }
                }
                Told::Survey(Err(error)) => self.complain(error),
                Told::Speed(speed) => self.speed = speed,
                other => {
                    if let Screen::Studio(studio) = &mut self.screen {
                        studio.told(other, &self.ctx);
                    }
                }
            }
        }
        if let Screen::Studio(studio) = &mut self.screen {
            studio.poll(&mut self.log, &mut asks, &self.ctx);
            if self.closing == Some(Closing::Saving) && !studio.is_running() {
                self.close = true;
            }
        }
        asks.into_iter().for_each(|ask| self.looker.ask(ask));
        if let Some(dialog) = &self.dialog
            && let Ok(found) = dialog.try_recv()
        {
            self.dialog = None;
            if let Some(path) = found {
                self.open(&path);
            }
        }
    }

    /// Opens whatever is at `path`: a run, a weight file, pictures.
    fn open(&mut self, path: &Path) {
        let mut asks = Vec::new();
        let shown = path.display();
        if path.join("run.json").exists() {
            match Studio::of_run(path, &mut asks) {
                Ok(studio) => {
                    self.memory.visit(path);
                    self.remember();
                    self.screen = Screen::Studio(Box::new(studio));
                }
                Err(error) => self.complain(format!("{error:#}")),
            }
        } else if is_weights(path) && path.is_file() {
            let source = match &self.screen {
                Screen::Studio(studio) => studio.source.clone(),
                Screen::First(_) | Screen::Setup(_) => DEMO.to_owned(),
            };
            self.banner = None;
            self.look_through(path, &source);
        } else if self.is_running() {
            self.complain(format!(
                "a run is going on; stop it before {shown} is opened"
            ));
        } else {
            asks.push(Ask::Survey(path.display().to_string()));
            if self.speed == 0.0 {
                asks.push(Ask::Speed);
            }
        }
        asks.into_iter().for_each(|ask| self.looker.ask(ask));
    }

    fn is_running(&self) -> bool {
        matches!(&self.screen, Screen::Studio(studio) if studio.is_running())
    }

    fn setup(&mut self, ui: &mut Ui) {
        let Screen::Setup(setup) = &mut self.screen else {
            return;
        };
        match setup.ui(ui, self.banner.as_deref(), self.speed) {
            Some(Chosen::Back) => {
                self.banner = None;
                self.screen = Screen::First(First::default());
            }
            Some(Chosen::Start) => {
                let (source, preset, settings) = setup.job();
                self.begin(&source, &preset, settings, Start::Fresh);
            }
            Some(Chosen::Look) => {
                let through = setup.through().map(Path::to_owned).unwrap_or_default();
                let (source, ..) = setup.job();
                self.banner = None;
                self.look_through(&through, &source);
            }
            None => {}
        }
    }

    /// What is looked through now, if anything is.
    fn through(&self) -> Option<PathBuf> {
        match &self.screen {
            Screen::Studio(studio) => Some(studio.weights.clone()),
            _ => None,
        }
    }

    fn look_through(&mut self, weights: &Path, source: &str) {
        let mut asks = Vec::new();
        let settings = import::checkpoint(weights).map(|c| c.settings);
        let mut studio = Studio::open(weights, source, settings.unwrap_or_default(), &mut asks);
        if weights.as_os_str() == "demo" {
            studio.title = "the demo".into();
        }
        self.screen = Screen::Studio(Box::new(studio));
        asks.into_iter().for_each(|ask| self.looker.ask(ask));
    }

    /// Starts a new run and shows it.
    fn begin(&mut self, source: &str, preset: &str, mut settings: Settings, start: Start) {
        if !self.device.is_empty() && settings.run.device == "auto" {
            settings.run.device.clone_from(&self.device);
        }
        let wake = waker(&self.ctx, &self.pace);
        let here = PathBuf::from("runs");
        let runs = match &self.runs {
            Some(runs) => runs.clone(),
            None if std::fs::create_dir_all(&here).is_ok() => here,
            None => dirs::data_dir().unwrap_or(here).join("patchlight/runs"),
        };
        match Studio::start(source, preset, settings, start, &runs, wake) {
            Ok(mut studio) => {
                if let (Screen::Studio(old), true) = (&mut self.screen, preset == "demo") {
                    // Until the first look of the new run comes, the old one stays.
                    studio.tab = old.tab;
                    (studio.gallery, studio.atlas) = (old.gallery.take(), old.atlas.take());
                }
                if let Some(folder) = &studio.folder {
                    self.memory.visit(folder);
                    self.remember();
                }
                self.banner = None;
                self.screen = Screen::Studio(Box::new(studio));
            }
            Err(error) => self.complain(format!("{error:#}")),
        }
    }

    fn complain(&mut self, text: String) {
        self.log.add(Level::Error, text.clone());
        self.banner = Some(text);
    }

    fn remember(&self) {
        self.memory.write(self.memory_path.as_deref());
    }

    /// A new run of the demo: from its weights, or from nothing.
    fn train_demo(&mut self, further: bool) {
        let job = || -> Result<(Settings, Start)> {
            let settings = preset("demo")?.settings()?;
            if !further {
                return Ok((settings, Start::Fresh));
            }
            let demo = Checkpoint::demo()?;
            let demo = Imported::Checkpoint(Box::new(demo));
            let (own, start, _) = import::start(demo, settings.clone(), &settings, false);
            Ok((own, start))
        };
        match job() {
            Ok((settings, start)) => self.begin(DEMO, "demo", settings, start),
            Err(error) => self.complain(format!("{error:#}")),
        }
    }

    fn dropped(&mut self, ui: &Ui) {
        let dropped = ui.input(|input| input.raw.dropped_files.clone());
        if let Some(file) = dropped.first() {
            self.open(file.path());
        }
    }

    fn first(&mut self, ui: &mut Ui) {
        let Screen::First(first) = &mut self.screen else {
            return;
        };
        let mut wanted = None;
        let theme = theme::of(ui);
        let frame = Frame::new().fill(theme.panel).inner_margin(16.0);
        CentralPanel::default().frame(frame).show(ui, |ui| {
            wanted = first.ui(ui, &self.memory.runs, self.busy, self.banner.as_deref());
        });
        match wanted {
            Some(Wanted::Demo) => self.look_through(Path::new("demo"), DEMO),
            Some(Wanted::ChoosePictures | Wanted::ChooseRun) => {
                let ask = || rfd::FileDialog::new().pick_folder();
                self.dialog = Some(dialog::aside(&self.ctx, ask));
            }
            Some(Wanted::Open(path)) => self.open(&path),
            None => {}
        }
    }

    fn studio(&mut self, ui: &mut Ui) {
        let Screen::Studio(studio) = &mut self.screen else {
            return;
        };
        let theme = theme::of(ui);
        let bar = Frame::new()
            .fill(theme.paper)
            .inner_margin(egui::Margin::symmetric(12, 5));
        let mut pressed = None;
        Panel::top("transport").frame(bar).show(ui, |ui| {
            pressed = bars::transport(ui, studio, self.busy);
        });
        if self.moments.1 != studio.step_now() {
            self.moments = (studio.moments(), studio.step_now());
        }
        if !self.moments.0.is_empty() {
            Panel::bottom("time").frame(bar).show(ui, |ui| {
                pressed = bars::time(ui, studio, &self.moments.0).or(pressed.take());
            });
        }
        let side = Frame::new().fill(theme.panel).inner_margin(12.0);
        if !studio.history.steps.is_empty() || studio.is_running() {
            Panel::right("numbers")
                .frame(side)
                .exact_size(250.0)
                .show(ui, |ui| {
                    egui::ScrollArea::vertical().show(ui, |ui| {
                        pressed = side::numbers(ui, studio).or(pressed.take());
                    });
                });
        }
        let mut asks = Vec::new();
        CentralPanel::default().frame(side).show(ui, |ui| {
            ui.horizontal(|ui| {
                for tab in Tab::ALL {
                    let mut name = RichText::new(tab.name()).size(15.0);
                    if tab == Tab::Log && self.log.unseen() > 0 {
                        name = RichText::new(format!("Log ({})", self.log.unseen()))
                            .size(15.0)
                            .color(theme.warn);
                    }
                    ui.selectable_value(&mut studio.tab, tab, name)
                        .on_hover_text(tab.help());
                }
            });
            ui.separator();
            pressed = side::failure_card(ui, studio).or(pressed.take());
            let moments = &self.moments.0;
            panel::panel(
                ui,
                studio,
                (&mut self.log, self.busy, moments, self.gpu),
                &mut asks,
            );
        });
        asks.into_iter().for_each(|ask| self.looker.ask(ask));
        if let Some(pressed) = pressed {
            self.press(pressed);
        }
    }

    fn press(&mut self, pressed: Pressed) {
        let mut asks = Vec::new();
        let wake = waker(&self.ctx, &self.pace);
        let mut failed = None;
        match (pressed, &mut self.screen) {
            (Pressed::Theme, _) => {
                self.memory.mode = self.memory.mode.other();
                theme::apply(&self.ctx, self.memory.mode, self.memory.large);
                self.remember();
            }
            (Pressed::Large, _) => {
                self.memory.large = !self.memory.large;
                theme::apply(&self.ctx, self.memory.mode, self.memory.large);
                self.remember();
            }
            (Pressed::Help, _) => self.help = !self.help,
            (Pressed::TrainDemo { further }, _) => self.train_demo(further),
            (_, Screen::First(_) | Screen::Setup(_)) => {}
            (Pressed::Home, Screen::Studio(studio)) => {
                if studio.is_running() {
                    self.closing = Some(Closing::Asked);
                } else {
                    self.screen = Screen::First(First::default());
                }
            }
            (Pressed::Resume, Screen::Studio(studio)) => {
                failed = studio.resume(&self.device, wake).err()
            }
            (Pressed::ResumeInParts, Screen::Studio(studio)) => {
                failed = studio.resume_in_parts(&self.device, wake).err();
            }
            (Pressed::Remedy(index), Screen::Studio(studio)) => studio.remedy(index),
            (Pressed::Undo, Screen::Studio(studio)) => studio.undo(),
            (Pressed::Pause(paused), Screen::Studio(studio)) => studio.pause(paused),
            (Pressed::Step, Screen::Studio(studio)) => studio.step(),
            (Pressed::Stop, Screen::Studio(studio)) => studio.stop(),
            (Pressed::Moment(moment), Screen::Studio(studio)) => studio.go_to(moment, &mut asks),
        }
        asks.into_iter().for_each(|ask| self.looker.ask(ask));
        if let Some(error) = failed {
            self.complain(format!("{error:#}"));
        }
    }

    /// Ends everything that runs, saving it.
    pub fn close(&mut self) {
        let mut frames: Vec<Duration> = self.frames.iter().copied().collect();
        frames.sort();
        let at = |share: usize| {
            frames
                .get(frames.len() * share / 100)
                .copied()
                .unwrap_or_default()
        };
        ::log::info!(
            "{} frames: half within {:.1?}, 99 % within {:.1?}",
            frames.len(),
            at(50),
            at(99)
        );
        if let Screen::Studio(studio) = &mut self.screen {
            studio.finish();
        }
        self.looker.close();
        self.remember();
    }

    /// Notes how long a frame took.
    pub fn frame_took(&mut self, time: Duration) {
        if self.frames.len() == FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(time);
        let delay = (time * NEWS_SHARE).clamp(NEWS_EVERY, NEWS_LATEST);
        self.pace.store(delay.as_millis() as u64, Ordering::Relaxed);
    }
}

/// News of a run causes this many frames a second at most: more is not seen.
const NEWS_EVERY: Duration = Duration::from_millis(50);

/// And so few that drawing takes no more than one part in so many of the time, which is what it may cost a run;
/// but something new is to be seen every few seconds even where drawing is very slow.
const NEWS_SHARE: u32 = 33;
const NEWS_LATEST: Duration = Duration::from_secs(5);

/// When news is drawn: a delay in milliseconds that follows the time of a frame.
type Pace = Arc<AtomicU64>;

/// Draws the window anew before long, from any thread.
fn waker(ctx: &egui::Context, pace: &Pace) -> Wake {
    let (ctx, pace) = (ctx.clone(), pace.clone());
    Arc::new(move || {
        let delay = Duration::from_millis(pace.load(Ordering::Relaxed));
        ctx.request_repaint_after(delay);
    })
}

/// Whether a file's ending is one of weight files; archives of pictures may begin with the same bytes.
fn is_weights(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| {
        ["safetensors", "pth", "pt", "ckpt"]
            .iter()
            .any(|e| ending == *e)
    })
}
