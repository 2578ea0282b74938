//! What a run does between two steps: what its front end wishes.

use anyhow::Result;

use super::{PAUSED, Pending, Run};
use crate::data::loader::Loader;
use crate::data::masks::MaskSpec;
use crate::pretrain::schedules::{Plan, Schedules};
use crate::session::checkpoint::Checkpoint;
use crate::session::control::{Control, Wish};
use crate::session::events::Event;
use crate::session::history::Change;
use crate::session::pictures::Pictures;
use crate::settings::describe::plain;
use crate::settings::{Row, Settings};

impl Run<'_> {
    /// Does what a front end wishes before step `step`, and waits here while it holds the run. Says whether
    /// to step or to stop.
    pub(super) fn attend(
        &mut self,
        control: &Control,
        loader: &Loader,
        step: usize,
        pending: &mut Option<Pending>,
        pictures: &Pictures,
    ) -> Result<Wish> {
        let mut held = false;
        loop {
            match control.next() {
                Wish::Step => {
                    if held {
                        (self.emit)(Event::Phase("training".into()));
                        self.last_read = std::time::Instant::now();
                    }
                    return Ok(Wish::Step);
                }
                Wish::Stop => {
                    self.finish(pending.take(), pictures)?;
                    return Ok(Wish::Stop);
                }
                Wish::Change(key, text) => self.change(loader, step, &key, &text)?,
                Wish::Show => {
                    let checkpoint = Checkpoint::networks_of(&self.trainer, step);
                    control.weights.put(checkpoint);
                }
                Wish::Save => {
                    self.finish(pending.take(), pictures)?;
                    self.save(step)?;
                }
                Wish::Wait => {
                    if !held {
                        held = true;
                        // What a GPU still has to say of the last step is shown before the wait.
                        self.finish(pending.take(), pictures)?;
                        (self.emit)(Event::Phase(PAUSED.into()));
                    }
                    control.wait();
                }
            }
        }
    }

    /// Changes a live setting from step `step` on; what is not allowed is a warning.
    fn change(&mut self, loader: &Loader, step: usize, key: &str, text: &str) -> Result<()> {
        let value = |settings: &Settings| {
            let row = Row::find(key);
            row.map_or(String::new(), |row| plain(&row.get(settings)))
        };
        let mut settings = self.settings.clone();
        if let Err(problem) = settings.set_live(key, text, "a change during the run") {
            return self.tell(problem.to_string());
        }
        let change = Change {
            step,
            key: key.to_owned(),
            from: value(&self.settings),
            to: value(&settings),
        };
        if change.from == change.to {
            return Ok(());
        }
        self.folder.keep_settings(&settings)?;
        let plan = Plan::new(&settings, self.plan.steps_per_epoch);
        self.schedules = Schedules::new(plan);
        loader.set_masks(MaskSpec::from(&settings.mask));
        self.trainer.settings = settings.clone();
        self.settings = settings;
        self.folder.metric("change", &change)?;
        (self.emit)(Event::Changed(change));
        Ok(())
    }
}
