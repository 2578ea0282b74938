//! Where the time of a step goes: seconds by phase, measured only when asked for, because an honest
//! measurement has to wait for the device after every phase.

use std::time::Instant;

use burn::tensor::Device;

/// Seconds spent in each phase since the watch was made, in order of first appearance.
#[derive(Debug, Default)]
pub struct Stopwatch {
    running: bool,
    last: Option<Instant>,
    laps: Vec<(&'static str, f64)>,
}

impl Stopwatch {
    /// A watch that measures; the default one does nothing.
    pub fn running() -> Self {
        Stopwatch {
            running: true,
            ..Self::default()
        }
    }

    /// The next lap begins now.
    pub fn start(&mut self) {
        self.last = self.running.then(Instant::now);
    }

    /// Adds the time since the last lap to `phase`, after everything given to `device` is done.
    pub fn lap(&mut self, phase: &'static str, device: &Device) {
        let Some(last) = self.last else { return };
        // A failing device makes itself known by the next result; a watch does not report it.
        let _ = device.sync();
        let now = Instant::now();
        let seconds = (now - last).as_secs_f64();
        match self.laps.iter_mut().find(|(name, _)| *name == phase) {
            Some((_, total)) => *total += seconds,
            None => self.laps.push((phase, seconds)),
        }
        self.last = Some(now);
    }

    /// Seconds by phase.
    pub fn laps(&self) -> &[(&'static str, f64)] {
        &self.laps
    }
}
