//! What a run looked like on the way: both networks in half precision, a bounded number of them, spread
//! over its length. The time slider of the window goes through these.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::checkpoint::Checkpoint;
use crate::weights::file::Precision;

/// The folder of snapshots in a run's folder.
fn folder(run: &Path) -> PathBuf {
    run.join("snapshots")
}

fn path_for(run: &Path, step: usize) -> PathBuf {
    folder(run).join(format!("step-{step:09}.safetensors"))
}

/// The snapshots of a run, oldest first.
pub fn list(run: &Path) -> Vec<(usize, PathBuf)> {
    let entries = fs::read_dir(folder(run)).into_iter().flatten().flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_str()?;
            let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            Some((step.parse().ok()?, path))
        })
        .collect();
    found.sort();
    found
}

/// Keeps a snapshot and, where there are more than `most`, drops those that leave the smallest gaps. The
/// first and the newest stay. Snapshots of steps after this one belong to a part of the run that was
/// made anew, and go.
///
/// # Errors
/// A folder that cannot be written to.
pub fn keep(run: &Path, checkpoint: &Checkpoint, most: usize) -> Result<()> {
    let path = folder(run);
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    for (step, path) in list(run) {
        if step > checkpoint.step {
            fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    checkpoint.write(&path_for(run, checkpoint.step), Precision::Half)?;
    let mut found = list(run);
    while found.len() > most.max(2) {
        let steps: Vec<usize> = found.iter().map(|(step, _)| *step).collect();
        let Some(least) = least_missed(&steps) else {
            break;
        };
        let (_, path) = found.remove(least);
        fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))?;
    }
    Ok(())
}

/// The one between whose neighbours the gap would be smallest, the later of equal ones, so that the early steps,
/// in which most happens, stay dense. Neither the first nor the last.
fn least_missed(steps: &[usize]) -> Option<usize> {
    (1..steps.len().saturating_sub(1)).min_by_key(|&i| {
        let gap = steps[i + 1] - steps[i - 1];
        (gap, usize::MAX - i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_stays_spread_over_the_run() {
        let run = tempfile::tempdir().unwrap();
        let mut checkpoint = Checkpoint::demo().unwrap();
        for step in (0..40).map(|i| i * 10) {
            checkpoint.step = step;
            keep(run.path(), &checkpoint, 8).unwrap();
        }
        let steps: Vec<usize> = list(run.path()).into_iter().map(|(s, _)| s).collect();
        assert_eq!((steps.len(), steps[0], steps[7]), (8, 0, 390));
        let gaps = steps.windows(2).map(|w| w[1] - w[0]);
        assert!(gaps.max().unwrap() <= 160, "{steps:?}");
        // A run that goes back makes what came after anew.
        checkpoint.step = 100;
        keep(run.path(), &checkpoint, 8).unwrap();
        assert_eq!(list(run.path()).last().unwrap().0, 100);
        assert!(Checkpoint::read(&list(run.path())[0].1).is_ok());
        assert!(list(&run.path().join("none")).is_empty());
    }
}
