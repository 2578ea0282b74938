//! Verdicts on made-up histories, on both sides of every threshold.

use super::*;
use crate::session::events::{EvalMetrics, Plan};

/// 100 epochs of 20 steps, the first 10 of them a warm-up; batches of 64 pictures.
fn settings() -> Settings {
    Settings::default()
}

const WARM: usize = 200;
const TOTAL: usize = 2000;
/// ln 8192, the default number of prototypes.
const MOST: f32 = 9.010_913;

/// `count` steps of a healthy run, changed by `change`.
fn run(count: usize, change: impl Fn(&mut StepMetrics)) -> History {
    let step = |step: usize| {
        let mut metrics = StepMetrics {
            step,
            epoch: step / 20,
            loss: 8.0 - step as f32 / 1000.0,
            lr: 1e-4 * step.min(WARM) as f64 / WARM as f64,
            grad_norm: 2.0,
            entropy_cls: 3.0,
            entropy_patch: 2.0,
            prototypes_used: 30,
            prototypes_used_patch: 90,
            agreement: 0.4,
            teacher_temp: 0.04,
            teacher_patch_temp: 0.05,
            ..StepMetrics::default()
        };
        change(&mut metrics);
        metrics
    };
    History {
        steps: (0..count).map(step).collect(),
        ..History::default()
    }
}

fn eval(step: usize, knn: Option<f64>) -> EvalMetrics {
    EvalMetrics {
        step,
        knn,
        prototypes_used: 80,
        prototypes_used_patch: 300,
        ..EvalMetrics::default()
    }
}

/// Judges, and checks what holds for every verdict.
fn told(history: &History, settings: &Settings) -> Health {
    let health = judge(history, settings);
    assert!(!health.headline.is_empty() && health.headline.len() < 40);
    assert!(health.reason.ends_with('.') && !health.reason.contains("NaN, "));
    assert!(health.remedies.len() <= 2, "{health:?}");
    for remedy in &health.remedies {
        assert!(!remedy.label.is_empty() && !remedy.help.is_empty());
        let mut changed = settings.clone();
        for (key, value) in &remedy.changes {
            let before = changed.clone();
            changed.set_live(key, value, "remedy").expect(key);
            assert_ne!(changed, before, "{key} = {value} changes nothing");
        }
    }
    health
}

fn verdict(history: &History) -> Verdict {
    told(history, &settings()).verdict
}

#[test]
fn nothing_is_said_too_early_or_while_the_rate_rises() {
    assert_eq!(verdict(&History::default()), Verdict::WarmingUp);
    // A rate that rises in a run without warm-up was raised by hand.
    let mut at_once = settings();
    at_once.optim.warmup_epochs = 0.0;
    let early = |count| told(&run(count, |_| ()), &at_once).verdict;
    assert_eq!(early(SOONEST - 1), Verdict::WarmingUp);
    assert_eq!(early(SOONEST), Verdict::Learning);
    assert_eq!(verdict(&run(WARM, |_| ())), Verdict::WarmingUp);
    assert_eq!(verdict(&run(WARM + 2, |_| ())), Verdict::Learning);
}

#[test]
fn a_number_that_is_none_is_told_whenever_it_was() {
    for broken in [f32::NAN, f32::INFINITY] {
        let mut loss = run(300, |s| {
            s.loss = if s.step == 120 { broken } else { s.loss }
        });
        loss.checkpoints = vec![40, 120, 200];
        let health = told(&loss, &settings());
        assert_eq!(health.verdict, Verdict::NotFinite);
        assert!(health.reason.contains("step 120"), "{}", health.reason);
        assert!(health.reason.contains("checkpoint of step 120"));
        assert!(!health.remedies[0].changes.is_empty());
        let gradient = run(1, |s| s.grad_norm = broken);
        assert_eq!(verdict(&gradient), Verdict::NotFinite);
    }
}

#[test]
fn a_teacher_near_ln_k_is_undecided() {
    let of = |share: f32, patches: bool| {
        run(400, |s| match patches {
            true => s.entropy_patch = share * MOST,
            false => s.entropy_cls = share * MOST,
        })
    };
    for patches in [false, true] {
        // The highest that a run that did not collapse had, and the lowest that one with temperature
        // 1 had.
        assert_eq!(verdict(&of(0.971, patches)), Verdict::Learning);
        assert_eq!(verdict(&of(0.996, patches)), Verdict::Collapsing);
        let health = told(&of(0.999, patches), &settings());
        let key = ["loss.teacher_temp", "loss.teacher_patch_temp"][usize::from(patches)];
        let keys: Vec<_> = health.remedies[0].changes.iter().map(|c| c.0).collect();
        assert!(keys.contains(&key), "{keys:?}");
        assert!(health.reason.contains("99.9 % of ln 8192"));
    }
    // Only of what is trained.
    let mut patches_alone = settings();
    patches_alone.loss.lambda_cls = 0.0;
    let health = told(&of(0.999, false), &patches_alone);
    assert_eq!(health.verdict, Verdict::Learning);
    assert!(health.reason.contains("lambda_cls"), "{}", health.reason);
    // The patches' own number of prototypes counts where no head is shared.
    let mut own = settings();
    (own.head.shared_teacher, own.head.patch_out_dim) = (false, 64);
    let health = told(&of(4.15 / MOST, true), &own);
    assert_eq!(health.verdict, Verdict::Collapsing);
}

#[test]
fn a_fresh_network_may_be_undecided_unless_its_temperature_is_hopeless() {
    let fresh = run(100, |s| s.entropy_cls = MOST);
    assert_eq!(verdict(&fresh), Verdict::WarmingUp);
    let hot = run(100, |s| (s.entropy_cls, s.teacher_temp) = (MOST, 1.0));
    let mut settings = settings();
    settings.loss.warmup_teacher_temp = 1.0;
    settings.loss.teacher_temp = 1.0;
    let health = told(&hot, &settings);
    assert_eq!(health.verdict, Verdict::Collapsing);
    assert!(health.reason.contains("not below the student's"));
    assert_eq!(health.remedies[0].changes[0].1, "0.02");
}

/// A run in which few class prototypes take everything.
fn winner(used: usize, entropy: f32, agreement: f32) -> History {
    run(400, |s| {
        (s.prototypes_used, s.entropy_cls, s.agreement) = (used, entropy * MOST, agreement);
    })
}

#[test]
fn few_sure_winners_with_agreement_are_a_collapse_and_nothing_less_is() {
    assert_eq!(verdict(&winner(2, 0.05, 0.9)), Verdict::Collapsing);
    assert_eq!(verdict(&winner(3, 0.05, 0.9)), Verdict::Learning);
    assert_eq!(verdict(&winner(2, 0.24, 0.9)), Verdict::Collapsing);
    assert_eq!(verdict(&winner(2, 0.26, 0.9)), Verdict::Learning);
    assert_eq!(verdict(&winner(2, 0.05, 0.71)), Verdict::Collapsing);
    assert_eq!(verdict(&winner(2, 0.05, 0.69)), Verdict::Learning);
    let patches = |used, share: f32| {
        run(400, move |s| {
            (s.prototypes_used_patch, s.entropy_patch) = (used, share * MOST);
        })
    };
    assert_eq!(verdict(&patches(5, 0.05)), Verdict::Collapsing);
    assert_eq!(verdict(&patches(6, 0.05)), Verdict::Learning);
    assert_eq!(verdict(&patches(5, 0.26)), Verdict::Learning);
    // Steps without hidden patches report padding.
    let unmasked = run(400, |s| {
        (s.prototypes_used_patch, s.entropy_patch) = (0, MOST)
    });
    assert_eq!(verdict(&unmasked), Verdict::Learning);
}

#[test]
fn small_batches_cannot_win_many_prototypes() {
    for (batch, used, expected) in [
        (2, 1, Verdict::Learning), // 4 class tokens say nothing
        (4, 1, Verdict::Collapsing),
        (4, 2, Verdict::Learning),
        (6, 2, Verdict::Collapsing),
    ] {
        let mut settings = settings();
        settings.run.batch = batch;
        let health = told(&winner(used, 0.05, 0.9), &settings);
        assert_eq!(health.verdict, expected, "{used} in a batch of {batch}");
    }
}

#[test]
fn one_winner_over_all_test_pictures_is_a_collapse_at_any_entropy() {
    for (class, patch, step, expected) in [
        (2, 300, 400, Verdict::Collapsing),
        (80, 2, 400, Verdict::Collapsing),
        (3, 3, 400, Verdict::Learning),
        (1, 1, 0, Verdict::Learning), // before the first step there is no centre
    ] {
        let mut history = run(400, |_| ());
        history.evals = vec![EvalMetrics {
            prototypes_used: class,
            prototypes_used_patch: patch,
            ..eval(step, None)
        }];
        assert_eq!(verdict(&history), expected, "{class} {patch} at {step}");
    }
}

#[test]
fn a_centre_that_stands_still_needs_a_new_run() {
    let mut settings = settings();
    let moving = told(&winner(1, 0.01, 1.0), &settings);
    assert!(moving.remedies.iter().all(|r| !r.changes.is_empty()));
    assert_eq!(moving.remedies.len(), 2);
    settings.loss.centre_momentum = 0.999;
    assert_eq!(told(&winner(1, 0.01, 1.0), &settings), moving);
    settings.loss.centre_momentum = 1.0;
    let health = told(&winner(1, 0.01, 1.0), &settings);
    assert!(health.reason.contains("loss.centre_momentum = 1"));
    assert_eq!(health.remedies.len(), 1);
    assert!(health.remedies[0].changes.is_empty());
}

#[test]
fn a_remedy_just_taken_is_given_time() {
    let mut history = winner(1, 0.01, 1.0);
    let change = |step, key: &str| Change {
        step,
        key: key.into(),
        from: "1".into(),
        to: "2".into(),
    };
    for (step, key, offered) in [
        (400 - WINDOW + 1, "optim.lr", false),
        (400 - WINDOW, "optim.lr", true),
        (399, "run.log_every", true),
    ] {
        history.changes = vec![change(step, key)];
        let health = told(&history, &settings());
        assert_eq!(health.verdict, Verdict::Collapsing);
        assert_eq!(!health.remedies.is_empty(), offered, "{key} at {step}");
    }
}

/// A run of 1400 steps with k-NN every 100; from step 1000 on it is `late`.
fn with_knn(late: f64) -> History {
    let mut history = run(1400, |_| ());
    let value = |step: usize| if step <= 1000 { 0.4 } else { late };
    let steps = (0..=1400).step_by(100);
    history.evals = steps.map(|s| eval(s, Some(value(s)))).collect();
    history
}

#[test]
fn a_k_nn_that_stands_for_a_fifth_of_the_run_is_a_plateau() {
    // 400 of 2000 steps, found from the epochs or from the plan.
    let health = told(&with_knn(0.4), &settings());
    assert_eq!(health.verdict, Verdict::Plateau);
    assert!(health.reason.contains("40.0 %"), "{}", health.reason);
    assert_eq!(health.remedies[0].changes[0].0, "optim.lr");
    let mut planned = with_knn(0.4);
    planned.plan = Some(Plan {
        steps_per_epoch: 20,
        total_steps: TOTAL,
        test_pictures: 500,
        ..Plan::default()
    });
    assert_eq!(verdict(&planned), Verdict::Plateau);

    assert_eq!(verdict(&with_knn(0.1)), Verdict::Plateau);
    assert_eq!(verdict(&with_knn(0.402)), Verdict::Plateau);
    assert_eq!(verdict(&with_knn(0.403)), Verdict::Learning);
    // Of 500 pictures 0.003 is one and a half.
    (planned.evals.iter_mut().skip(11)).for_each(|e| e.knn = Some(0.403));
    assert_eq!(verdict(&planned), Verdict::Plateau);

    // Less than a fifth since the best, too few evaluations since, or a change since.
    let mut later = with_knn(0.4);
    later.evals[11].knn = Some(0.41);
    assert_eq!(verdict(&later), Verdict::Learning);
    let mut rare = with_knn(0.4);
    rare.evals.retain(|e| e.step % 200 == 0);
    assert_eq!(verdict(&rare), Verdict::Learning);
    let mut changed = with_knn(0.4);
    changed.changes = vec![Change {
        step: 1001,
        key: "optim.lr".into(),
        from: "2".into(),
        to: "1".into(),
    }];
    assert_eq!(verdict(&changed), Verdict::Learning);
    // The fifth must lie after the warm-up, here of 1000 or 1020 steps.
    let after = |epochs| {
        let mut early = settings();
        early.optim.warmup_epochs = epochs;
        told(&with_knn(0.4), &early).verdict
    };
    assert_eq!(after(50.0), Verdict::Plateau);
    assert_eq!(after(51.0), Verdict::Learning);
}

#[test]
fn what_helps_on_a_plateau_depends_on_the_teacher_and_the_rate() {
    let mut vague = with_knn(0.4);
    let entropy = |history: &mut History, share: f32| {
        (history.steps.iter_mut()).for_each(|s| s.entropy_cls = share * MOST);
    };
    entropy(&mut vague, 0.81);
    let health = told(&vague, &settings());
    assert_eq!(health.remedies[0].changes[0].1, "0.02");
    entropy(&mut vague, 0.79);
    assert_eq!(told(&vague, &settings()).remedies.len(), 1);
    // The highest rate is 5e-4 · 64 / 256 = 1.25e-4.
    let at_rate = |history: &mut History, lr: f64| {
        history.steps.iter_mut().for_each(|s| s.lr = lr);
        told(history, &settings())
    };
    let health = at_rate(&mut vague, 0.21 * 1.25e-4);
    assert_eq!(health.remedies[0].changes, [("optim.lr", "0.00025".into())]);
    let health = at_rate(&mut vague, 0.19 * 1.25e-4);
    assert!(health.remedies[0].label.contains("run.epochs = 200"));
    assert!(health.remedies[0].changes.is_empty());
}

#[test]
fn without_labels_loss_and_agreement_decide() {
    let flat = |late: fn(&mut StepMetrics)| {
        let mut history = run(1400, |s| {
            s.loss = 5.0;
            if s.step >= 1200 {
                late(s);
            }
        });
        history.evals = vec![eval(1300, None)];
        history
    };
    let health = told(&flat(|_| ()), &settings());
    assert_eq!(health.verdict, Verdict::Plateau);
    assert!(health.reason.contains("5.000 before"), "{}", health.reason);
    assert_eq!(verdict(&flat(|s| s.loss = 4.96)), Verdict::Plateau);
    assert_eq!(verdict(&flat(|s| s.loss = 4.94)), Verdict::Learning);
    assert_eq!(verdict(&flat(|s| s.agreement = 0.41)), Verdict::Plateau);
    assert_eq!(verdict(&flat(|s| s.agreement = 0.43)), Verdict::Learning);
    assert_eq!(verdict(&flat(|s| s.teacher_temp = 0.05)), Verdict::Learning);
    let entropy = |moved: f32| {
        let mut history = flat(|_| ());
        let late = history.steps.iter_mut().skip(1200);
        late.for_each(|s| s.entropy_cls += moved * MOST);
        verdict(&history)
    };
    assert_eq!(entropy(0.009), Verdict::Plateau);
    assert_eq!(entropy(0.011), Verdict::Learning);
    assert_eq!(entropy(-0.011), Verdict::Learning);
}

#[test]
fn remedies_are_valid_at_the_ends_of_every_range() {
    for temp in [0.001, 0.002, 0.04, 0.07, 1.0, 10.0] {
        for student in [0.001, 0.1, 10.0] {
            for lr in [0.0, 1e-300, 5e-4, 100.0] {
                let mut settings = settings();
                let loss = &mut settings.loss;
                (loss.teacher_temp, loss.teacher_patch_temp) = (temp, temp);
                (loss.warmup_teacher_temp, loss.student_temp) = (0.03, student);
                (settings.optim.lr, settings.optim.clip) = (lr, 0.0);
                for history in [
                    run(400, |s| (s.entropy_cls, s.entropy_patch) = (MOST, MOST)),
                    winner(1, 0.0, 1.0),
                    run(400, |s| s.loss = f32::NAN),
                    with_knn(0.1),
                ] {
                    told(&history, &settings);
                }
            }
        }
    }
}
