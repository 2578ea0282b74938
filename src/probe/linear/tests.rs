//! What the reference's numbers do not hold: decay, shuffling, divergence, independence, errors.

use super::*;

/// Rows of 6 values whose class shows in one of them, in `classes` classes.
fn rows(count: usize, classes: usize, seed: u64) -> (Features, Vec<u32>) {
    let mut data = Init::Normal(1.0).fill(count * 6, seed, "rows");
    let labels: Vec<u32> = (0..count).map(|i| (i * 7 % 11 % classes) as u32).collect();
    for (row, label) in data.chunks_mut(6).zip(&labels) {
        row[*label as usize % 6] += 2.0;
    }
    (Features { dim: 6, data }, labels)
}

fn borrow((features, labels): &(Features, Vec<u32>)) -> Labelled<'_> {
    Labelled { features, labels }
}

fn options(classes: usize) -> LinearOptions {
    LinearOptions {
        epochs: 5,
        batch: 20,
        ..LinearOptions::new(classes)
    }
}

const RATE: Rate = Rate {
    lr: 1.0,
    weight_decay: 0.0,
    rule: Rule::Sgd,
};

#[test]
fn two_steps_by_hand() {
    // One row x = (1, 2) of class 0, two classes, weights 0: p = 1/2, gradient (p − 1) x = −x/2.
    let train = (
        Features {
            dim: 2,
            data: vec![1.0, 2.0],
        },
        vec![0],
    );
    let options = LinearOptions {
        epochs: 2,
        batch: 256,
        start: Some(Head {
            weight: vec![0.0; 4],
            bias: vec![0.0; 2],
        }),
        ..LinearOptions::new(2)
    };
    let rate = Rate {
        lr: 0.1,
        weight_decay: 0.5,
        rule: Rule::Sgd,
    };
    let found = train_linear(borrow(&train), borrow(&train), rate, &options).unwrap();
    // After step 1: w = 0.05 (1, 2) and b = 0.05 for class 0, opposite for class 1, so its logit is
    // 0.3 against −0.3. Step 2 at lr 0.05 (the middle of the cosine): v ← 0.9 v + (p − 1) x + w / 2.
    let p = 1.0 / (1.0 + (-0.6f64).exp());
    let bias = 0.05 - 0.05 * (0.9 * -0.5 + (p - 1.0) + 0.025);
    let expected = [bias, 2.0 * bias, -bias, -2.0 * bias];
    for (found, expected) in found.last_head.weight.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 1e-7,
            "{found} {expected}"
        );
    }
    assert!((f64::from(found.last_head.bias[0]) - bias).abs() < 1e-7);
    assert!((found.step_losses[0] - 2f64.ln()).abs() < 1e-7);
    assert!((found.step_losses[1] + p.ln()).abs() < 1e-7);
    let rates: Vec<f64> = found.epochs.iter().map(|epoch| epoch.lr).collect();
    assert!((rates[0] - 0.1).abs() < 1e-15 && (rates[1] - 0.05).abs() < 1e-15);
    assert_eq!(
        (found.epochs[1].test.top1, found.epochs[1].test.top5),
        (1.0, None)
    );
}

#[test]
fn a_step_of_lars_by_hand() {
    // One row x = (1, 2) of class 0, two equal heads: p = 1/2, gradient ∓x/2 and, with decay 1, plus w.
    let train = (
        Features {
            dim: 2,
            data: vec![1.0, 2.0],
        },
        vec![0],
    );
    let options = LinearOptions {
        epochs: 1,
        batch: 256,
        start: Some(Head {
            weight: vec![0.3, 0.4, 0.3, 0.4],
            bias: vec![0.2; 2],
        }),
        ..LinearOptions::new(2)
    };
    let rate = Rate {
        lr: 1.0,
        weight_decay: 1.0,
        rule: Rule::Lars,
    };
    let found = train_linear(borrow(&train), borrow(&train), rate, &options).unwrap();
    let gradient: [f64; 4] = [0.3 - 0.5, 0.4 - 1.0, 0.3 + 0.5, 0.4 + 1.0];
    let length = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let trust = 1e-3 * 0.5f64.sqrt() / length;
    let weight = [0.3, 0.4, 0.3, 0.4];
    for ((found, w), g) in found.last_head.weight.iter().zip(weight).zip(gradient) {
        assert!((f64::from(*found) - (w - trust * g)).abs() < 1e-7);
    }
    // Biases neither shrink nor are held to a length.
    let [first, second] = found.last_head.bias[..] else {
        panic!("two classes")
    };
    assert!((first - 0.7).abs() < 1e-6 && (second + 0.3).abs() < 1e-6);
}

#[test]
fn a_diverged_rate_leaves_the_others_alone() {
    let (train, test) = (rows(90, 6, 1), rows(40, 6, 2));
    let wild = Rate { lr: 4e39, ..RATE };
    let slow = Rate { lr: 0.1, ..RATE };
    let of =
        |rates: &[Rate]| train_together(borrow(&train), borrow(&test), rates, &options(6)).unwrap();
    let (beside, apart) = (of(&[RATE, wild, slow]), of(&[RATE, RATE, slow]));
    assert_eq!((&beside[0], &beside[2]), (&apart[0], &apart[2]));
    let last = beside[1].epochs.last().unwrap();
    assert!(
        !last.test.loss.is_finite() && last.test.top1 == 0.0,
        "{last:?}"
    );
    let best = &apart[0].epochs[apart[0].best];
    assert!(best.test.top1 > 0.6, "{best:?}");
    assert!(
        apart[0]
            .epochs
            .iter()
            .all(|epoch| !epoch.test.beats(&best.test))
    );
}

#[test]
fn the_seed_decides_and_the_threads_do_not() {
    let (train, test) = (rows(700, 6, 1), rows(300, 6, 2));
    let of = |seed: u64, threads: usize| {
        let options = LinearOptions {
            seed,
            batch: 600,
            ..options(6)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            train_together(borrow(&train), borrow(&test), &[RATE; 20], &options).unwrap()
        })
    };
    let together = of(3, 1);
    assert_eq!(together, of(3, 3));
    // The last of many, beyond one block of weights, learns what the first does.
    let (first, last) = (&together[0].last_head, &together[19].last_head);
    for (a, b) in first.weight.iter().zip(&last.weight) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert_ne!(of(3, 1)[0].step_losses, of(4, 1)[0].step_losses);
    let options = options(6);
    let order = options.order(50, 1);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    assert!(order != sorted && order != options.order(50, 2));
    // N(0, 0.01²): the deviation of 60,000 draws is known to three parts in a thousand.
    let start = options.start(10_000).unwrap();
    let squares: f64 = start.weight.iter().map(|w| f64::from(*w).powi(2)).sum();
    let std = (squares / start.weight.len() as f64).sqrt();
    assert!((std - 0.01).abs() < 1e-4, "{std}");
    assert!(start.bias.iter().all(|b| *b == 0.0));
}

#[test]
fn bad_input_is_an_error() {
    let (train, test) = (rows(30, 6, 1), rows(10, 6, 2));
    let error = |rate: Rate, change: &dyn Fn(&mut LinearOptions)| {
        let mut options = options(6);
        change(&mut options);
        train_linear(borrow(&train), borrow(&test), rate, &options).is_err()
    };
    assert!(!error(RATE, &|_| ()));
    assert!(error(Rate { lr: -1.0, ..RATE }, &|_| ()));
    assert!(error(
        Rate {
            lr: f64::NAN,
            ..RATE
        },
        &|_| ()
    ));
    assert!(error(RATE, &|o| o.classes = 5));
    assert!(error(RATE, &|o| o.epochs = 0));
    assert!(error(RATE, &|o| o.batch = 0));
    assert!(error(RATE, &|o| o.momentum = 1.0));
    assert!(error(RATE, &|o| o.start = Some(Head::default())));
    let none = train_together(borrow(&train), borrow(&test), &[], &options(6));
    assert!(none.is_err());
    let head = Head {
        weight: vec![0.0; 7],
        bias: vec![0.0],
    };
    assert!(head.logits(&test.0).is_err());
}
