//! Which numbers stand together in which plot.

use crate::session::events::{EvalMetrics, StepMetrics};

/// Plots that are shown or hidden together.
pub const GROUPS: [&str; 5] = ["Loss", "Features", "Teacher", "Gradient", "Schedules"];

type OfStep = fn(&StepMetrics) -> f64;
type OfEval = fn(&EvalMetrics) -> Option<f64>;

/// Names of curves and where their numbers are.
pub enum Values {
    Steps(&'static [(&'static str, OfStep)]),
    Evals(&'static [(&'static str, OfEval)]),
}

/// A plot before there are numbers.
pub struct Plan {
    /// Index into [`GROUPS`].
    pub group: usize,
    pub title: &'static str,
    /// What stands on the y axis; empty for a bare number.
    pub unit: &'static str,
    /// A sentence for those who see it for the first time.
    pub note: &'static str,
    /// Whether a logarithmic y axis makes sense.
    pub log: bool,
    /// Noisy curves are smoothed, schedules are not.
    pub smooth: bool,
    /// Whether ln K is a level of it.
    pub level: bool,
    pub values: Values,
}

const fn plan(group: usize, title: &'static str, unit: &'static str, values: Values) -> Plan {
    Plan {
        group,
        title,
        unit,
        note: "",
        log: false,
        smooth: group != 4,
        level: false,
        values,
    }
}

/// Every plot, in the order of the screen.
pub static PLANS: [Plan; 10] = [
    Plan {
        note: "It need not fall steadily: the teacher moves too. At ln K nothing is learned yet.",
        log: true,
        level: true,
        ..plan(
            0,
            "Loss",
            "nats",
            Values::Steps(&[
                ("total", |s| f64::from(s.loss)),
                ("class", |s| f64::from(s.cls_12 + s.cls_21) / 2.0),
                ("patch", |s| f64::from(s.patch_1 + s.patch_2) / 2.0),
            ]),
        )
    },
    Plan {
        note: "k-NN: the class of held-out pictures by their nearest neighbours. NMI: how far the \
               teacher's prototypes agree with the classes. Nothing is trained for either.",
        smooth: false,
        ..plan(
            1,
            "Features",
            "%",
            Values::Evals(&[
                ("k-NN", |e| e.knn.map(|v| 100.0 * v)),
                ("NMI", |e| e.nmi.map(|v| 100.0 * v)),
            ]),
        )
    },
    Plan {
        note: "Entropy near ln K with few prototypes in use, or near 0 with one, is a collapse.",
        level: true,
        ..plan(
            2,
            "Entropy of the teacher",
            "nats",
            Values::Steps(&[
                ("class", |s| f64::from(s.entropy_cls)),
                ("patch", |s| f64::from(s.entropy_patch)),
            ]),
        )
    },
    Plan {
        note: "Prototypes that won at least one token of the batch.",
        ..plan(
            2,
            "Prototypes in use",
            "count",
            Values::Steps(&[
                ("by classes", |s| s.prototypes_used as f64),
                ("by patches", |s| s.prototypes_used_patch as f64),
            ]),
        )
    },
    Plan {
        note: "Share of pictures on which teacher and student choose the same prototype.",
        ..plan(
            2,
            "Agreement",
            "%",
            Values::Steps(&[("agreement", |s| 100.0 * f64::from(s.agreement))]),
        )
    },
    Plan {
        note: "Norm of the whole gradient before clipping.",
        log: true,
        ..plan(
            3,
            "Gradient norm",
            "",
            Values::Steps(&[("norm", |s| f64::from(s.grad_norm))]),
        )
    },
    Plan {
        log: true,
        ..plan(
            4,
            "Learning rate",
            "",
            Values::Steps(&[("learning rate", |s| s.lr)]),
        )
    },
    Plan {
        log: true,
        ..plan(
            4,
            "Weight decay",
            "",
            Values::Steps(&[("weight decay", |s| s.weight_decay)]),
        )
    },
    plan(
        4,
        "Teacher momentum",
        "",
        Values::Steps(&[("momentum", |s| s.momentum)]),
    ),
    plan(
        4,
        "Teacher temperature",
        "",
        Values::Steps(&[
            ("class", |s| s.teacher_temp),
            ("patch", |s| s.teacher_patch_temp),
        ]),
    ),
];
