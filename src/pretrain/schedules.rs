//! Everything that changes by itself during a run, as a pure function of the step.
//!
//! Learning rate, weight decay and teacher momentum change every step, the teacher's two
//! temperatures every epoch. No tables and no state: any step can be asked for in any order, so
//! that a run can be plotted before it starts and resumed where it stopped. The formulas and
//! their rounding are the reference's (`cosine_scheduler` in its utils.py and the constructor of
//! its iBOTLoss; NumPy's `linspace`), in f64.

use std::f64::consts::PI;

use crate::settings::Settings;

/// The numbers that schedules are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub epochs: usize,
    /// Optimizer steps an epoch: pictures / batch, rounded down.
    pub steps_per_epoch: usize,
    /// Highest learning rate, already scaled to the batch.
    pub peak_lr: f64,
    pub min_lr: f64,
    /// May have a fraction.
    pub warmup_epochs: f64,
    pub weight_decay: f64,
    pub weight_decay_end: f64,
    pub teacher_momentum: f64,
    pub teacher_momentum_end: f64,
    pub warmup_teacher_temp: f64,
    pub teacher_temp: f64,
    pub warmup_teacher_patch_temp: f64,
    pub teacher_patch_temp: f64,
    pub warmup_teacher_temp_epochs: usize,
    /// Epochs without masks, for which the patch temperature waits.
    pub mask_start_epoch: usize,
}

impl Plan {
    /// The plan of a run with `steps_per_epoch` steps; the learning rate is scaled by batch / 256.
    pub fn new(settings: &Settings, steps_per_epoch: usize) -> Self {
        let (optim, loss) = (&settings.optim, &settings.loss);
        Plan {
            epochs: settings.run.epochs,
            steps_per_epoch,
            peak_lr: optim.lr * settings.run.batch as f64 / 256.0,
            min_lr: optim.min_lr,
            warmup_epochs: optim.warmup_epochs,
            weight_decay: optim.weight_decay,
            weight_decay_end: optim.weight_decay_end,
            teacher_momentum: optim.teacher_momentum,
            teacher_momentum_end: optim.teacher_momentum_end,
            warmup_teacher_temp: loss.warmup_teacher_temp,
            teacher_temp: loss.teacher_temp,
            warmup_teacher_patch_temp: loss.warmup_teacher_patch_temp,
            teacher_patch_temp: loss.teacher_patch_temp,
            warmup_teacher_temp_epochs: loss.warmup_teacher_temp_epochs,
            mask_start_epoch: settings.mask.start_epoch,
        }
    }
}

/// What holds at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scheduled {
    pub lr: f64,
    /// Of the decayed parameters; the others have none.
    pub weight_decay: f64,
    /// Share of the teacher that is kept.
    pub momentum: f64,
    pub teacher_temp: f64,
    pub teacher_patch_temp: f64,
}

/// The schedules of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedules {
    plan: Plan,
    /// Steps of the whole run.
    total: usize,
    /// Steps of the learning rate's warm-up, at most `total`.
    warmup: usize,
}

impl Schedules {
    /// Any plan is accepted: warm-ups longer than the run are cut to the run.
    pub fn new(plan: Plan) -> Self {
        let total = plan.epochs.saturating_mul(plan.steps_per_epoch);
        // A float-to-integer cast saturates and takes NaN and negative numbers to 0.
        let warmup = (plan.warmup_epochs * plan.steps_per_epoch as f64).round() as usize;
        Schedules {
            warmup: warmup.min(total),
            total,
            plan,
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> usize {
        self.total
    }

    /// The epoch that `step` belongs to, both from 0.
    pub fn epoch(&self, step: usize) -> usize {
        step.checked_div(self.plan.steps_per_epoch).unwrap_or(0)
    }

    /// The values at `step`, counted from 0 over the whole run; after the last step, the last
    /// step's.
    pub fn at(&self, step: usize) -> Scheduled {
        let plan = &self.plan;
        let step = step.min(self.total.saturating_sub(1));
        let epoch = self.epoch(step);
        let lr = if step < self.warmup {
            linspace(0.0, plan.peak_lr, self.warmup, step)
        } else {
            let rest = self.total - self.warmup;
            cosine(plan.peak_lr, plan.min_lr, rest, step - self.warmup)
        };
        Scheduled {
            lr,
            weight_decay: cosine(plan.weight_decay, plan.weight_decay_end, self.total, step),
            momentum: cosine(
                plan.teacher_momentum,
                plan.teacher_momentum_end,
                self.total,
                step,
            ),
            teacher_temp: self.temperature(plan.warmup_teacher_temp, plan.teacher_temp, 0, epoch),
            teacher_patch_temp: self.temperature(
                plan.warmup_teacher_patch_temp,
                plan.teacher_patch_temp,
                plan.mask_start_epoch,
                epoch,
            ),
        }
    }

    /// `wait` epochs at `from`, then linearly to `to` with both ends included, then `to`.
    fn temperature(&self, from: f64, to: f64, wait: usize, epoch: usize) -> f64 {
        let room = self.plan.epochs.saturating_sub(wait);
        let ramp = self.plan.warmup_teacher_temp_epochs.min(room);
        match epoch.checked_sub(wait) {
            None => from,
            Some(epoch) if epoch < ramp => linspace(from, to, ramp, epoch),
            Some(_) => to,
        }
    }
}

/// Point `index` of `count` evenly spaced ones from `from` to `to`, both included; one point
/// alone is `from`. Same operations, in the same order, as NumPy's `linspace`.
fn linspace(from: f64, to: f64, count: usize, index: usize) -> f64 {
    if count < 2 {
        return from;
    }
    let gaps = count - 1;
    if index >= gaps {
        return to;
    }
    index as f64 * ((to - from) / gaps as f64) + from
}

/// Point `index` of a half cosine of `count` points from `from`; `to` would be point `count`.
fn cosine(from: f64, to: f64, count: usize, index: usize) -> f64 {
    to + 0.5 * (from - to) * (1.0 + (PI * index as f64 / count.max(1) as f64).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            peak_lr: 0.002,
            ..Plan::new(&Settings::default(), 4)
        }
    }

    fn near(value: f64, expected: f64) {
        assert!(
            (value / expected - 1.0).abs() < 1e-9,
            "{value} is not {expected}"
        );
    }

    #[test]
    fn the_learning_rate_rises_from_zero_shows_its_peak_twice_and_falls() {
        let schedules = Schedules::new(Plan {
            epochs: 5,
            warmup_epochs: 1.0,
            ..plan()
        });
        let lr: Vec<f64> = (0..20).map(|step| schedules.at(step).lr).collect();
        assert_eq!((lr[0], lr[3], lr[4]), (0.0, 0.002, 0.002));
        near(lr[1], 0.002 / 3.0);
        near(lr[19], 2.020511224e-5);
        near(schedules.at(1).weight_decay, 0.04221609869);
        near(schedules.at(4).momentum, 0.996381966);
    }

    #[test]
    fn a_fraction_of_an_epoch_can_be_the_warm_up() {
        let schedules = Schedules::new(Plan {
            epochs: 2,
            warmup_epochs: 0.6,
            ..plan()
        });
        assert_eq!(
            schedules.at(1).lr,
            0.002,
            "round(0.6 * 4) = 2 points: 0 and the peak"
        );
        assert_eq!(schedules.at(2).lr, 0.002);
        assert!(schedules.at(3).lr < 0.002);
    }

    #[test]
    fn the_patch_temperature_waits_for_the_masks() {
        let schedules = Schedules::new(Plan {
            epochs: 8,
            warmup_teacher_temp_epochs: 3,
            mask_start_epoch: 2,
            ..plan()
        });
        for (epoch, expected) in [0.04, 0.04, 0.04, 0.055, 0.07, 0.07, 0.07, 0.07]
            .into_iter()
            .enumerate()
        {
            near(schedules.at(epoch * 4).teacher_patch_temp, expected);
        }
    }

    #[test]
    fn no_plan_and_no_step_is_refused_or_gives_anything_but_numbers() {
        for epochs in [0, 1, 3] {
            for steps_per_epoch in [0, 1, 5] {
                for warmup in [0.0, 0.5, 1e300, f64::NAN, -1.0] {
                    for wait in [0, 1, usize::MAX] {
                        let schedules = Schedules::new(Plan {
                            epochs,
                            steps_per_epoch,
                            warmup_epochs: warmup,
                            warmup_teacher_temp_epochs: 30,
                            mask_start_epoch: wait,
                            ..plan()
                        });
                        for step in [0, 1, 4, usize::MAX] {
                            let now = schedules.at(step);
                            assert!((0.0..=0.002).contains(&now.lr), "{now:?}");
                            assert!((0.039..=0.401).contains(&now.weight_decay), "{now:?}");
                            assert!((0.0..=1.0).contains(&now.momentum), "{now:?}");
                            assert!((0.04..=0.07).contains(&now.teacher_patch_temp), "{now:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_temperature_warm_up_longer_than_the_run_ends_with_the_run() {
        let schedules = Schedules::new(Plan {
            epochs: 3,
            ..plan()
        });
        let temps = [0, 4, 8].map(|step| schedules.at(step).teacher_patch_temp);
        near(temps[0], 0.04);
        near(temps[1], 0.055);
        assert_eq!(temps[2], 0.07);
    }
}
