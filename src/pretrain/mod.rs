//! Pretraining: schedules, networks, objective, optimizer, and the step that joins them.
//!
//! Nothing here knows a file path or a window. [`Trainer`] holds all that changes; the session
//! feeds it batches and reads its reports.

pub mod networks;
pub mod objective;
pub mod optimizer;
mod report;
pub mod schedules;
mod step;
mod stopwatch;

pub use networks::Network;
pub use report::{StepNumbers, StepReport};
pub use step::{Trainer, drop_path};
pub use stopwatch::Stopwatch;
