//! A run from its first to its last step: load, step, measure, save, and tell.

mod attend;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::checkpoint::{self, Checkpoint};
use super::control::{Control, Wish};
use super::estimate;
use super::evaluate::Evaluator;
use super::events::{Ending, EvalMetrics, Event, Plan, StepMetrics, Summary};
use super::facts::{self, Outcome};
use super::folder::{RunFile, RunFolder};
use super::loading::loader_plan;
use super::pictures::{self, Pictures};
use super::report;
use super::showing::ViewsShown;
use crate::data::loader::Loader;
use crate::data::{LoadError, Source};
use crate::device::Chosen;
use crate::pretrain::schedules::{Plan as SchedulePlan, Schedules};
use crate::pretrain::{StepNumbers, StepReport, Trainer};
use crate::settings::Settings;
use crate::weights::file::Precision;
use crate::weights::{self, Found};

/// What to run.
pub struct Job {
    pub run: RunFile,
    pub settings: Settings,
    /// The run's folder; it must not hold a run yet, unless this is a resume.
    pub folder: PathBuf,
    pub start: Start,
}

/// Where the weights come from.
pub enum Start {
    /// From nothing.
    Fresh,
    /// From the weights of another run, without its optimizer; schedules begin anew.
    From(Box<Checkpoint>),
    /// Where a checkpoint of another run stopped, as if this one had done its steps.
    Continue(Box<Checkpoint>),
    /// From one network of any origin; a head that it lacks is fresh.
    Weights(Box<Found>),
    /// From the newest checkpoint in the folder, as if the run had never stopped.
    Resume,
}

/// The phase of a run that a front end holds.
pub const PAUSED: &str = "paused";

/// What is said of weights that are not those of the network that the settings describe.
const UNFIT: &str = "the weights of --init do not fit these settings";

/// Steps at the start whose time says nothing about the rest: kernels are compiled and memory is
/// taken.
const WARM_UP_STEPS: usize = 2;

/// Trains until the job is done, a limit is reached or `control` asks to stop; tells `emit`
/// everything that happens. What the folder holds when this returns can be resumed.
///
/// # Errors
/// A source, device or folder that cannot be used; a loss that is not finite. The message says what
/// to do.
pub fn train(
    job: &Job,
    chosen: &Chosen,
    control: &Control,
    emit: &mut (dyn FnMut(Event) + Send),
) -> Result<Summary> {
    // On a thread of the pool: one beside it would fight with the pool's own over the cores.
    rayon::scope(|_| train_here(job, chosen, control, emit))
}

fn train_here(
    job: &Job,
    chosen: &Chosen,
    control: &Control,
    emit: &mut dyn FnMut(Event),
) -> Result<Summary> {
    let pictures = pictures::open(&job.run.source, &job.settings)?;
    let folder = match job.start {
        Start::Resume => RunFolder::open(&job.folder)?,
        _ => RunFolder::create(&job.folder, &job.run, &job.settings)?,
    };
    let mut run = Run::new(job, chosen, &pictures, folder, emit)?;
    let outcome = run.train(&pictures, control);
    if let Err(error) = &outcome {
        run.folder.log(&format!("error: {error:#}"))?;
    }
    outcome
}

struct Run<'a> {
    job: &'a Job,
    /// The job's, with what was changed on the way.
    settings: Settings,
    trainer: Trainer,
    schedules: Schedules,
    evaluator: Evaluator,
    folder: RunFolder,
    emit: &'a mut dyn FnMut(Event),
    plan: Plan,
    best_knn: Option<f64>,
    is_cpu: bool,
    /// k-NN of the untrained network.
    untrained_knn: Option<f64>,
    /// k-NN of the weights that the run began with, until it was warned that they were better.
    start_knn: Option<f64>,
    /// Pictures that could not be used, by their message.
    broken: BTreeMap<String, LoadError>,
    started: Instant,
    /// When the last step's numbers were there: what lies between two is a step's time.
    last_read: Instant,
    warnings: Vec<String>,
    /// Where the newest checkpoint is.
    saved: Option<(usize, PathBuf)>,
}

impl<'a> Run<'a> {
    fn new(
        job: &'a Job,
        chosen: &Chosen,
        pictures: &Pictures,
        folder: RunFolder,
        emit: &'a mut dyn FnMut(Event),
    ) -> Result<Self> {
        let settings = &job.settings;
        let steps_per_epoch = pictures.train.len() / settings.run.batch;
        if steps_per_epoch == 0 {
            bail!(
                "the source has {} pictures to train on, fewer than one batch of run.batch = {}; \
                 set a smaller batch or add pictures",
                pictures.train.len(),
                settings.run.batch
            );
        }
        let mut trainer = Trainer::new(settings, &chosen.device);
        let schedules = Schedules::new(SchedulePlan::new(settings, steps_per_epoch));
        let (mut first_step, mut best_knn, mut saved) = (0, None, None);
        let mut warnings = Vec::new();
        match &job.start {
            Start::Fresh => {}
            Start::From(checkpoint) => checkpoint.restore(&mut trainer).context(UNFIT)?,
            Start::Continue(checkpoint) => {
                checkpoint.restore(&mut trainer).context(UNFIT)?;
                first_step = match checkpoint.epoch {
                    Some(epoch) => epoch * steps_per_epoch,
                    None => checkpoint.step,
                };
            }
            Start::Weights(found) => {
                let mut tensors = found.tensors.clone();
                let network = &trainer.student_network.backbone;
                weights::resize(&mut tensors, &found.backbone, network);
                trainer.start_from(&tensors).context(UNFIT)?;
            }
            Start::Resume => {
                let (found, more) = checkpoint::newest(&job.folder);
                warnings = more;
                if let Some(found) = found {
                    found.restore(&mut trainer).with_context(|| {
                        format!(
                            "the checkpoint in {} does not fit its settings",
                            job.folder.display()
                        )
                    })?;
                    (first_step, best_knn) = (found.step, found.best_knn);
                    saved = Some((found.step, checkpoint::path_for(&job.folder, found.step)));
                }
            }
        }
        let plan = Plan {
            source: job.run.source.clone(),
            train_pictures: pictures.train.len(),
            test_pictures: pictures.test.as_ref().map_or(0, |test| test.len()),
            classes: pictures.train.classes().len(),
            device: chosen.name.clone(),
            device_reason: chosen.reason.clone(),
            parameters: trainer.student.count(),
            backbone_parameters: estimate::backbone_parameters(&trainer.student),
            memory: estimate::training_bytes(settings, trainer.student.count()),
            steps_per_epoch,
            epochs: settings.run.epochs,
            total_steps: schedules.total_steps(),
            first_step,
            folder: job.folder.clone(),
        };
        let mut run = Run {
            job,
            settings: settings.clone(),
            trainer,
            schedules,
            evaluator: Evaluator::new(pictures, settings),
            folder,
            emit,
            plan,
            best_knn,
            is_cpu: chosen.is_cpu,
            untrained_knn: None,
            start_knn: None,
            broken: BTreeMap::new(),
            started: Instant::now(),
            last_read: Instant::now(),
            warnings: Vec::new(),
            saved,
        };
        run.folder.rewind(first_step)?;
        (run.emit)(Event::Plan(Box::new(run.plan.clone())));
        for warning in warnings {
            run.warn(warning)?;
        }
        run.note_broken(&pictures.warnings)?;
        Ok(run)
    }

    fn train(&mut self, pictures: &Pictures, control: &Control) -> Result<Summary> {
        let limits = self.job.settings.run.clone();
        let (first, total) = (self.plan.first_step, self.plan.total_steps);
        let per_epoch = self.plan.steps_per_epoch;
        let every = |value: usize| if value == 0 { per_epoch } else { value };
        let save_every = every(limits.checkpoint_every);
        let limit = match limits.max_steps {
            0 => total,
            steps => total.min(steps),
        };
        let start = Instant::now();
        let minutes = |start: Instant| start.elapsed().as_secs_f64() / 60.0;
        if !matches!(self.job.start, Start::Resume) || first == 0 {
            self.measure(first)?;
        }
        let position = (first / per_epoch, first % per_epoch);
        let plan = loader_plan(&self.settings);
        let mut loader = Loader::new(pictures.train.clone(), plan, position)?;
        (self.emit)(Event::Phase("warming up".into()));
        self.last_read = Instant::now();

        let mut pending: Option<Pending> = None;
        let mut step = first;
        let mut ending = if step >= total {
            Ending::Finished
        } else {
            Ending::Limit
        };
        while step < limit {
            if self.attend(control, &loader, step, &mut pending, pictures)? == Wish::Stop {
                if self.saved.as_ref().map(|(saved, _)| *saved) != Some(step) {
                    self.save(step)?;
                }
                ending = Ending::Stopped;
                break;
            }
            let batch = loader.next_batch()?;
            self.note_broken(&batch.failures)?;
            if control.views.is_wanted() {
                let shown = ViewsShown::of(&batch, &self.settings, &*pictures.train, step);
                control.views.put(shown);
            }
            let epoch = step / per_epoch;
            let report = self
                .trainer
                .step(&batch, step, epoch, self.schedules.at(step));
            // The step before is read now, when a GPU has this one to work on; the CPU has nothing
            // to be kept busy with.
            self.finish(pending.take(), pictures)?;
            pending = Some(Pending {
                report,
                images: batch.images,
            });
            if self.is_cpu {
                self.finish(pending.take(), pictures)?;
            }
            step += 1;
            if step == first + WARM_UP_STEPS {
                (self.emit)(Event::Phase("training".into()));
            }

            let stop = control.stopping();
            let late = limits.max_minutes > 0.0 && minutes(start) >= limits.max_minutes;
            let last = step == limit || stop || late;
            let eval = step.is_multiple_of(every(self.settings.run.eval_every));
            let save = step.is_multiple_of(save_every);
            if last || eval || save {
                self.finish(pending.take(), pictures)?;
            }
            if !stop && (last || eval) {
                self.measure(step)?;
            }
            if last || save {
                self.save(step)?;
            }
            if last {
                ending = match (stop, step == total) {
                    (_, true) => Ending::Finished,
                    (true, false) => Ending::Stopped,
                    (false, false) => Ending::Limit,
                };
                break;
            }
        }
        drop(loader);
        let report = self.report(step, ending)?;
        let checkpoint = self.saved.clone().map(|(_, path)| path).unwrap_or_default();
        Ok(Summary {
            ending,
            steps: step,
            checkpoint,
            report,
            best_knn: self.best_knn,
            broken: self.broken.keys().cloned().collect(),
        })
    }

    /// Reads the report of a step, checks it and passes it on.
    fn finish(&mut self, pending: Option<Pending>, pictures: &Pictures) -> Result<()> {
        let Some(Pending { report, images }) = pending else {
            return Ok(());
        };
        let numbers = report.read();
        let now = Instant::now();
        let seconds = (now - self.last_read).as_secs_f64();
        self.last_read = now;
        if !numbers.loss.is_finite() {
            bail!(self.not_finite(&numbers, &images, &*pictures.train));
        }
        let metrics = StepMetrics::new(&numbers, seconds, images.len());
        let every = self.settings.run.log_every;
        if numbers.step % every.max(1) == 0 {
            self.folder.metric("step", &metrics)?;
        }
        (self.emit)(Event::Step(Box::new(metrics)));
        Ok(())
    }

    fn not_finite(&self, numbers: &StepNumbers, images: &[usize], source: &dyn Source) -> String {
        let names: Vec<String> = images.iter().map(|&i| source.name(i)).collect();
        let last = match &self.saved {
            Some((step, path)) => format!(
                "the last good checkpoint is {} (step {step})",
                path.display()
            ),
            None => "no checkpoint was written yet".into(),
        };
        format!(
            "the loss is {} at step {}; {last}. A lower optim.lr or a smaller optim.clip usually \
             helps. Pictures of this batch:\n  {}",
            numbers.loss,
            numbers.step,
            names.join("\n  ")
        )
    }

    fn measure(&mut self, step: usize) -> Result<()> {
        (self.emit)(Event::Phase("measuring".into()));
        let (metrics, failures) = self.evaluator.measure(&self.trainer, step)?;
        self.note_broken(&failures)?;
        self.folder.metric("eval", &metrics)?;
        if step == self.plan.first_step {
            match self.job.start {
                Start::Fresh | Start::Resume => self.untrained_knn = metrics.knn,
                _ => self.start_knn = metrics.knn,
            }
        }
        self.warn_of_loss(&metrics)?;
        if let Some(knn) = metrics.knn
            && step > self.plan.first_step
            && self.best_knn.is_none_or(|best| knn > best)
        {
            self.best_knn = Some(knn);
            let checkpoint = Checkpoint::of(&self.trainer, step, self.best_knn);
            checkpoint.write(&checkpoint::best_path(&self.folder.path), Precision::Full)?;
        }
        (self.emit)(Event::Eval(Box::new(metrics)));
        (self.emit)(Event::Phase("training".into()));
        self.last_read = Instant::now();
        Ok(())
    }

    /// Warns once where the features have become worse than those that the run began with, by more than the
    /// measurement's standard error.
    fn warn_of_loss(&mut self, metrics: &EvalMetrics) -> Result<()> {
        let (Some(start), Some(now)) = (self.start_knn, metrics.knn) else {
            return Ok(());
        };
        let tested = self
            .settings
            .data
            .knn_test
            .min(self.plan.test_pictures)
            .max(1) as f64;
        if now >= start - (start * (1.0 - start) / tested).sqrt() {
            return Ok(());
        }
        self.start_knn = None;
        self.warn(format!(
            "k-NN fell from {:.1} % at the start to {:.1} %: training makes these weights worse so far. The way back \
             is to begin again from them with a lower optim.lr (now {}) or a longer optim.freeze_backbone (now \
             {} epochs)",
            100.0 * start,
            100.0 * now,
            self.settings.optim.lr,
            self.settings.optim.freeze_backbone
        ))
    }

    fn save(&mut self, step: usize) -> Result<()> {
        let path = checkpoint::path_for(&self.folder.path, step);
        Checkpoint::of(&self.trainer, step, self.best_knn).write(&path, Precision::Full)?;
        self.saved = Some((step, path.clone()));
        (self.emit)(Event::Checkpoint { step, path });
        if let Err(error) = checkpoint::prune(&self.folder.path, self.job.settings.run.keep) {
            self.warn(format!("an old checkpoint cannot be deleted: {error}"))?;
        }
        Ok(())
    }

    fn warn(&mut self, text: String) -> Result<()> {
        self.warnings.push(text.clone());
        self.tell(text)
    }

    fn tell(&mut self, text: String) -> Result<()> {
        self.folder.log(&format!("warning: {text}"))?;
        (self.emit)(Event::Warning(text));
        Ok(())
    }

    fn note_broken(&mut self, failures: &[LoadError]) -> Result<()> {
        for failure in failures {
            let text = failure.to_string();
            if self.broken.insert(text.clone(), failure.clone()).is_none() {
                self.tell(text)?;
            }
        }
        Ok(())
    }

    fn report(&self, step: usize, ending: Ending) -> Result<PathBuf> {
        let facts = facts::collect(&Outcome {
            job: self.job,
            plan: &self.plan,
            step,
            ending,
            took: self.started.elapsed(),
            untrained_knn: self.untrained_knn,
            warnings: &self.warnings,
            broken: &self.broken,
        });
        report::write(&self.folder.path, &facts)?;
        Ok(self.folder.path.join("report.md"))
    }
}

/// A step that was started and not yet read.
struct Pending {
    report: StepReport,
    images: Vec<usize>,
}

/// A job that goes on with the run in `folder`.
///
/// # Errors
/// A folder that holds no run, or whose files are damaged.
pub fn resume(folder: &Path) -> Result<Job> {
    let (run, settings) = RunFolder::read(folder)?;
    Ok(Job {
        run,
        settings,
        folder: folder.to_owned(),
        start: Start::Resume,
    })
}
