//! Against scikit-learn 1.9 (`LogisticRegression(C = 1 / (λ n), fit_intercept=False)`, Newton-CG, gradients
//! below 1e-12) on rows that a formula makes.

use super::*;

struct Case {
    lambda: f64,
    normalise: bool,
    objective: f64,
    /// Right answers on the 60 test rows.
    right: usize,
    weights: [f64; 25],
}

const CASES: [Case; 4] = [
    Case {
        lambda: 0.01,
        normalise: true,
        objective: 1.0683456750073737,
        right: 45,
        weights: [
            1.494738053,
            0.489524690,
            -0.520204481,
            -0.166845853,
            1.689853208,
            -0.068499108,
            2.130062947,
            -0.414720759,
            -0.044736143,
            -1.539096744,
            -0.775351094,
            -0.770197582,
            1.995801219,
            -0.341948598,
            -0.372125717,
            0.389028456,
            0.085753801,
            0.012064454,
            0.473462681,
            -0.202065511,
            -1.039916308,
            -1.935143856,
            -1.072940433,
            0.080067913,
            0.423434764,
        ],
    },
    Case {
        lambda: 0.1,
        normalise: true,
        objective: 1.4183756016894915,
        right: 46,
        weights: [
            0.498361425,
            0.187347844,
            -0.160265530,
            -0.020621918,
            0.508553323,
            -0.034839748,
            0.622411920,
            -0.168297469,
            -0.025372678,
            -0.486974435,
            -0.231562946,
            -0.195063607,
            0.743908029,
            -0.197111486,
            -0.071890443,
            0.131938165,
            0.014575909,
            0.000616343,
            0.139071981,
            -0.073421377,
            -0.363896897,
            -0.629272065,
            -0.415961373,
            0.104034101,
            0.123732933,
        ],
    },
    Case {
        lambda: 1.0,
        normalise: true,
        objective: 1.5832681654879506,
        right: 45,
        weights: [
            0.066759378,
            0.026018984,
            -0.020916584,
            0.000006612,
            0.066424667,
            -0.002951243,
            0.081005718,
            -0.023648969,
            -0.005724671,
            -0.065418656,
            -0.032433551,
            -0.022645231,
            0.105573131,
            -0.032849903,
            -0.007040929,
            0.018388019,
            0.001676153,
            -0.001037658,
            0.018880680,
            -0.010031015,
            -0.049762602,
            -0.086055624,
            -0.059969920,
            0.019687282,
            0.016065933,
        ],
    },
    Case {
        lambda: 0.01,
        normalise: false,
        objective: 0.9736339693471655,
        right: 42,
        weights: [
            0.983852062,
            0.234157741,
            -0.433751438,
            -0.209822498,
            1.100549198,
            0.019969429,
            1.486110319,
            -0.259228455,
            -0.012293476,
            -1.107111713,
            -0.565471393,
            -0.588187782,
            1.313692772,
            -0.209519216,
            -0.289580756,
            0.275446181,
            0.141285398,
            -0.024767906,
            0.364801649,
            -0.159391315,
            -0.713796278,
            -1.273365676,
            -0.595944972,
            0.066833541,
            0.455534586,
        ],
    },
];

/// Rows `from..to` of five values, and their classes.
fn rows(from: usize, to: usize) -> (Features, Vec<u32>) {
    let value = |i: usize, j: usize| {
        let n = i * i * 37 + j * j * 101 + i * j * 59 + 13 * i + 7 * j;
        ((n % 193) as f32 - 96.0) / 64.0
    };
    let mut features = Features {
        dim: 5,
        data: vec![],
    };
    let mut labels = vec![];
    for i in from..to {
        let x: Vec<f32> = (0..5).map(|j| value(i, j)).collect();
        let sums = [
            x[0] + x[4],
            x[1] - x[4],
            x[2],
            x[3] + 0.5 * x[0],
            -x[1] - x[2],
        ];
        let largest = (0..5).rev().max_by(|a, b| sums[*a].total_cmp(&sums[*b]));
        // Every sixth row has a class that its values do not tell.
        let class = if i % 6 == 0 {
            i * 7 % 5
        } else {
            largest.unwrap()
        };
        labels.push(class as u32);
        features.data.extend(x);
    }
    (features, labels)
}

fn fit(options: &LogisticOptions) -> Logistic {
    let ((train, train_labels), (test, test_labels)) = (rows(0, 120), rows(120, 180));
    let labelled = |features, labels| Labelled { features, labels };
    let (train, test) = (
        labelled(&train, &train_labels),
        labelled(&test, &test_labels),
    );
    logistic(train, test, options).unwrap()
}

#[test]
fn weights_and_objective_of_scikit_learn() {
    for case in &CASES {
        let mut options = LogisticOptions::new(5, case.lambda);
        (options.normalise, options.tolerance) = (case.normalise, 1e-9);
        let found = fit(&options);
        let pairs = found.weights.iter().zip(&case.weights);
        let deviation = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        eprintln!(
            "lambda {}: weights {deviation:.1e}, objective {:.1e}, gradient {:.1e}, iterations {}",
            case.lambda,
            (found.objective - case.objective).abs(),
            found.gradient_norm,
            found.iterations,
        );
        assert!(found.converged && deviation < 1e-7, "{found:?}");
        assert!(
            (found.objective - case.objective).abs() < 1e-12,
            "{found:?}"
        );
        assert_eq!(found.accuracy.top1, case.right as f64 / 60.0);
        assert_eq!(found.accuracy.top5, Some(1.0));
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let (train, labels) = rows(0, 1000);
            let rows = Labelled {
                features: &train,
                labels: &labels,
            };
            logistic(rows, rows, &LogisticOptions::new(5, 0.01)).unwrap()
        })
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn bad_input_is_an_error_and_a_short_run_says_so() {
    let (features, labels) = rows(0, 12);
    let rows = Labelled {
        features: &features,
        labels: &labels,
    };
    let error =
        |train: Labelled, options: LogisticOptions| logistic(train, rows, &options).is_err();
    let good = LogisticOptions::new(5, 0.1);
    assert!(!error(rows, good));
    assert!(error(rows, LogisticOptions::new(4, 0.1)));
    assert!(error(
        rows,
        LogisticOptions {
            lambda: 0.0,
            ..good
        }
    ));
    let short = Labelled {
        labels: &labels[1..],
        ..rows
    };
    assert!(error(short, good));
    let mut broken = features.clone();
    broken.data[3] = f32::NAN;
    let broken = Labelled {
        features: &broken,
        ..rows
    };
    assert!(error(broken, good));
    let narrow = Features {
        dim: 4,
        data: vec![0.5; 48],
    };
    let narrow = Labelled {
        features: &narrow,
        ..rows
    };
    assert!(error(narrow, good));
    let cut = LogisticOptions {
        max_iterations: 1,
        ..good
    };
    assert!(!fit(&cut).converged);
}
