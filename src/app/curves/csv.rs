//! The numbers of a run as a table for spreadsheets and scripts.

use std::fmt::Write;

use crate::session::events::{EvalMetrics, StepMetrics};
use crate::session::history::History;

const STEP: &str = "step,epoch,loss [nats],class 1 to 2 [nats],class 2 to 1 [nats],\
    class local [nats],patch 1 [nats],patch 2 [nats],learning rate,weight decay,momentum,\
    class temperature,patch temperature,gradient norm,class entropy [nats],patch entropy [nats],\
    prototypes used by classes,prototypes used by patches,agreement [share],seconds [s],\
    images per second [1/s]";
const EVAL: &str = "k-NN [share],k of k-NN,NMI [share],ARI [share],FMI [share],\
    prototypes used by classes in evaluation,prototypes used by patches in evaluation,\
    evaluation time [s]";

/// One row a step; an evaluation that was made when `step` steps were done stands in the row of that
/// step, which is the first one made after it. The last evaluation of a finished run has no such step
/// and gets a row of its own with empty columns for the step. The last column names settings that
/// were changed before the step.
pub fn csv(history: &History) -> String {
    let mut text = format!("{STEP},{EVAL},changed settings\n");
    let mut evals = history.evals.iter().peekable();
    let mut changes = history.changes.iter().peekable();
    let mut row = |step: usize, metrics: Option<&StepMetrics>, eval: Option<&EvalMetrics>| {
        match metrics {
            Some(metrics) => step_columns(&mut text, metrics),
            None => {
                let _ = write!(text, "{step}");
                text.extend(STEP.matches(','));
            }
        }
        eval_columns(&mut text, eval);
        let mut changed = vec![];
        while let Some(change) = changes.next_if(|change| change.step <= step) {
            changed.push(format!("{} {} → {}", change.key, change.from, change.to));
        }
        let _ = writeln!(text, ",{}", quoted(&changed.join("; ")));
    };
    for metrics in &history.steps {
        while let Some(early) = evals.next_if(|eval| eval.step < metrics.step) {
            row(early.step, None, Some(early));
        }
        let mut eval = None;
        while let Some(same) = evals.next_if(|eval| eval.step == metrics.step) {
            eval = Some(same);
        }
        row(metrics.step, Some(metrics), eval);
    }
    for late in evals {
        row(late.step, None, Some(late));
    }
    text
}

fn step_columns(text: &mut String, s: &StepMetrics) {
    let _ = write!(
        text,
        "{},{},{},{},{},",
        s.step, s.epoch, s.loss, s.cls_12, s.cls_21
    );
    let _ = write!(text, "{},{},{},", s.cls_local, s.patch_1, s.patch_2);
    let _ = write!(text, "{},{},{},", s.lr, s.weight_decay, s.momentum);
    let _ = write!(text, "{},{},", s.teacher_temp, s.teacher_patch_temp);
    let _ = write!(
        text,
        "{},{},{},",
        s.grad_norm, s.entropy_cls, s.entropy_patch
    );
    let _ = write!(text, "{},{},", s.prototypes_used, s.prototypes_used_patch);
    let _ = write!(
        text,
        "{},{},{}",
        s.agreement, s.seconds, s.images_per_second
    );
}

fn eval_columns(text: &mut String, eval: Option<&EvalMetrics>) {
    let Some(e) = eval else {
        text.push(',');
        text.extend(EVAL.matches(','));
        return;
    };
    let share = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    let k = e.knn_k.map(|k| k.to_string()).unwrap_or_default();
    let _ = write!(text, ",{},{k}", share(e.knn));
    let _ = write!(text, ",{},{},{}", share(e.nmi), share(e.ari), share(e.fmi));
    let _ = write!(text, ",{},{}", e.prototypes_used, e.prototypes_used_patch);
    let _ = write!(text, ",{}", e.seconds);
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::history::Change;

    #[test]
    fn every_step_is_a_row_and_evaluations_stand_where_they_were_made() {
        let step = |step| StepMetrics {
            step,
            loss: 0.5,
            ..StepMetrics::default()
        };
        let eval = |step, knn| EvalMetrics {
            step,
            knn: Some(knn),
            ..EvalMetrics::default()
        };
        let history = History {
            steps: (0..4).map(step).collect(),
            evals: vec![eval(0, 0.25), eval(2, 0.5), eval(4, 0.75)],
            changes: vec![Change {
                step: 3,
                key: "optim.lr".into(),
                from: "0,01".into(),
                to: "0.003".into(),
            }],
            ..History::default()
        };
        let text = csv(&history);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6, "{text}");
        let columns = lines[0].split(',').count();
        let knn = lines[0]
            .split(',')
            .position(|c| c.starts_with("k-NN"))
            .unwrap();
        let cell = |line: usize, column: usize| lines[line].split(',').nth(column).unwrap();
        for line in [1, 2, 3, 5] {
            assert_eq!(lines[line].split(',').count(), columns, "{}", lines[line]);
        }
        assert_eq!((cell(1, 0), cell(1, 2), cell(1, knn)), ("0", "0.5", "0.25"));
        assert_eq!((cell(2, 0), cell(2, knn)), ("1", ""));
        assert_eq!((cell(3, 0), cell(3, knn)), ("2", "0.5"));
        assert_eq!((cell(5, 0), cell(5, 2), cell(5, knn)), ("4", "", "0.75"));
        assert!(lines[4].ends_with(",\"optim.lr 0,01 → 0.003\""));
        assert_eq!(csv(&History::default()).lines().count(), 1);
    }
}
