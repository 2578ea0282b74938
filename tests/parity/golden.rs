//! Small computations whose every input is a formula, so that they need no file: the objective over
//! three calls, and six steps of training. Expected values are the reference's in float64.

use burn::tensor::Tensor;
use patchlight::data::Batch;
use patchlight::model::{HostTensor, HostTensors, Parameters, Spec, download};
use patchlight::pretrain::Trainer;
use patchlight::pretrain::objective::{Centres, LossWeights};
use patchlight::pretrain::schedules::{Plan, Schedules};
use patchlight::settings::{Arch, Settings};

use super::fixture::{Place, Tolerance, Verdict, finish};
use super::loss::{Logits, Sizes, step};

/// float32 against float64.
const LOSSES: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 1e-4,
    of_largest: 0.0,
};
/// The printed values end after eight decimals.
const PRINTED: Tolerance = Tolerance {
    absolute: 1e-8,
    ..LOSSES
};

/// `count` elements sin(a·i + b).
fn inp(count: usize, a: f64, b: f64) -> Vec<f32> {
    (0..count)
        .map(|i| (a * i as f64 + b).sin() as f32)
        .collect()
}

/// Three calls with the centres carried along, and a first call without local crops.
pub fn loss(place: &Place) {
    let sizes = Sizes {
        crops: 2,
        locals: 3,
        pictures: 2,
        patches: 4,
        out: 7,
        patch_out: 7,
    };
    let mask = |cells: [u8; 16]| cells.map(|m| m == 1).to_vec();
    let logits = |locals: usize| Logits {
        student_class: inp(4 * 7, 0.9, 0.0),
        student_patch: inp(4 * 4 * 7, 0.55, 0.3),
        student_local: inp(locals * 2 * 7, 0.35, 0.7),
        teacher_class: inp(4 * 7, 0.8, 0.1),
        teacher_patch: inp(4 * 4 * 7, 0.6, 0.2),
        masks: mask([1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0]),
    };
    let weights = LossWeights {
        lambda_cls: 1.0,
        lambda_patch: 1.0,
        student_temp: 0.1,
        centre_momentum: 0.9,
        patch_centre_momentum: 0.9,
    };
    let schedules = Schedules::new(Plan {
        epochs: 10,
        warmup_teacher_temp: 0.04,
        teacher_temp: 0.07,
        warmup_teacher_patch_temp: 0.04,
        teacher_patch_temp: 0.07,
        warmup_teacher_temp_epochs: 3,
        mask_start_epoch: 0,
        ..Plan::new(&Settings::default(), 1)
    });
    let mut verdict = Verdict::named(&format!("golden loss on {}", place.name), place);
    let how = (&place.device, place.mask_shapes);
    let zeros = || Tensor::zeros([1, 7], &place.device);
    let fresh = || Centres {
        class: zeros(),
        patch: zeros(),
    };
    let mut centres = fresh();
    let calls = [
        (0, [6.6211923052, 7.4415212709, 14.0627135761]),
        (1, [6.7510907916, 7.3940451964, 14.145135988]),
        (5, [6.8379977392, 7.3581775539, 14.196175293]),
    ];
    for (call, (epoch, expected)) in calls.into_iter().enumerate() {
        let now = schedules.at(epoch);
        let out = step(&logits(3), sizes, &mut centres, (&weights, &now), how);
        let got = [out.class, out.patch, out.total];
        let name = format!("call {}", call + 1);
        verdict.compare("losses", &name, &got, &expected, LOSSES);
        let expected = match call {
            0 => [
                [
                    -0.05834988,
                    -0.00909458,
                    0.04567738,
                    0.07274205,
                    0.05568237,
                    0.00484651,
                    -0.04892918,
                ],
                [
                    0.00165946,
                    0.00457885,
                    0.00589872,
                    0.005158,
                    0.00261543,
                    -0.00084077,
                    -0.00400328,
                ],
            ],
            2 => [
                [
                    -0.15812819,
                    -0.0246463,
                    0.1237857,
                    0.19713096,
                    0.15089922,
                    0.01313404,
                    -0.13259807,
                ],
                [
                    0.00449714,
                    0.01240869,
                    0.01598553,
                    0.01397817,
                    0.00708783,
                    -0.0022785,
                    -0.01084888,
                ],
            ],
            _ => continue,
        };
        for (centre, expected) in [&centres.class, &centres.patch].into_iter().zip(expected) {
            let got = download(centre.clone());
            verdict.compare("centres", &name, &got, &expected, PRINTED);
        }
    }
    let now = schedules.at(0);
    let out = step(&logits(3), sizes, &mut fresh(), (&weights, &now), how);
    let gradients = [
        (
            "class",
            3.88514445,
            [3.196e-5, 0.08064875, 0.54202401, -0.20184312],
        ),
        (
            "patch",
            12.97580646,
            [0.00074744, 0.0699372, -0.34559068, 0.25935453],
        ),
        (
            "local",
            11.08798285,
            [0.01553438, 0.14136484, -0.1503225, 0.26022498],
        ),
    ];
    for ((name, sum, first), got) in gradients.into_iter().zip(&out.grads) {
        let size: f64 = got.iter().map(|&g| g.abs() as f64).sum();
        verdict.compare("gradient sizes", name, &[size], &[sum], LOSSES);
        verdict.compare("gradients", name, &got[..4], &first, PRINTED);
    }
    let without = Sizes { locals: 0, ..sizes };
    let out = step(&logits(0), without, &mut fresh(), (&weights, &now), how);
    let (got, expected) = ([out.class, out.patch], [8.1849204879, 7.4415212709]);
    verdict.compare("losses", "without local crops", &got, &expected, LOSSES);
    finish(vec![verdict]);
}

/// Element i of parameter p is 0.1·sin(0.37·i + 0.91·p), plus one for gains.
fn formula(specs: &[Spec]) -> HostTensors {
    let entry = |(p, spec): (usize, &Spec)| {
        let norm = spec.name.contains("norm") && spec.name.ends_with("weight");
        let one = norm || spec.name.ends_with("weight_g");
        let value = |i: usize| 0.1 * (0.37 * i as f64 + 0.91 * p as f64).sin() + one as u8 as f64;
        let data = (0..spec.shape.iter().product()).map(|i| value(i) as f32);
        let (shape, data) = (spec.shape.clone(), data.collect());
        (spec.name.clone(), HostTensor { shape, data })
    };
    specs.iter().enumerate().map(entry).collect()
}

/// One row of the trajectory: cls, patch and loss, then the largest gradient norm before clipping,
/// then sums of absolute values after the step: student, teacher, both centres, the last layer's
/// directions, the mask token.
const TRAJECTORY: [[f64; 10]; 6] = [
    [
        1.09284442,
        0.54943939,
        1.6422838,
        5.16737817,
        523.18504944,
        522.39309624,
        1.38501649,
        1.38425103,
        7.57658256,
        0.79195319,
    ],
    [
        1.13162407,
        0.56846747,
        1.70009154,
        4.48527473,
        524.30761989,
        522.34895803,
        2.63153131,
        2.63009152,
        7.57658256,
        0.87053507,
    ],
    [
        1.60725406,
        0.83316895,
        2.44042301,
        7.42524559,
        524.6803333,
        522.2584603,
        3.75487252,
        3.75279712,
        7.61774155,
        0.87399504,
    ],
    [
        1.42590636,
        0.72677595,
        2.1526823,
        1.04807044,
        525.23854242,
        522.14926256,
        4.76962295,
        4.76782313,
        7.64388888,
        0.88466541,
    ],
    [
        1.56797219,
        0.76604438,
        2.33401657,
        3.56146025,
        525.13733002,
        522.07879928,
        5.68624938,
        5.6853725,
        7.66488687,
        0.89870452,
    ],
    [
        1.62397598,
        0.79495623,
        2.41893221,
        3.24837861,
        525.03657171,
        522.05915798,
        6.51715936,
        6.51280218,
        7.67371275,
        0.90328671,
    ],
];

/// Six steps: the order of things, schedules, clipping, the frozen last layer, AdamW's groups, the
/// teacher's average and the late centres in one go.
pub fn trajectory(place: &Place) {
    let mut s = Settings::default();
    (s.run.epochs, s.run.batch) = (3, 2);
    (s.views.global_size, s.views.local_size) = (32, 16);
    (s.views.global_crops, s.views.local_crops) = (2, 2);
    (s.model.arch, s.model.patch, s.model.drop_path) = (Arch::Custom, 8, 0.0);
    (s.model.dim, s.model.depth, s.model.heads) = (12, 2, 3);
    (s.head.hidden, s.head.bottleneck) = (16, 6);
    (s.head.out_dim, s.head.patch_out_dim) = (20, 20);
    (s.head.shared, s.head.shared_teacher, s.head.norm_last_layer) = (true, true, false);
    (s.loss.teacher_temp, s.loss.teacher_patch_temp) = (0.07, 0.07);
    s.loss.warmup_teacher_temp_epochs = 1;
    (s.optim.clip, s.optim.freeze_last_layer) = (0.5, 1);
    (s.optim.weight_decay, s.optim.weight_decay_end) = (0.04, 0.4);
    (s.optim.teacher_momentum, s.optim.teacher_momentum_end) = (0.9, 1.0);
    let schedules = Schedules::new(Plan {
        peak_lr: 0.01,
        min_lr: 1e-5,
        warmup_epochs: 1.0,
        ..Plan::new(&s, 2)
    });

    let mut trainer = Trainer::new(&s, &place.device);
    let specs = trainer.student_network.specs();
    let weights = formula(&specs);
    let load = |specs: &[Spec]| Parameters::load(specs, &weights, &place.device).expect("they fit");
    trainer.student = load(&specs);
    trainer.teacher = load(&trainer.teacher_network.specs());

    let size = |data: &[f32]| data.iter().map(|x| x.abs() as f64).sum::<f64>();
    let all = |weights: &Parameters| -> f64 {
        weights
            .iter()
            .map(|p| size(&download(p.value.clone())))
            .sum()
    };
    let one = |weights: &Parameters, name: &str| size(&download(weights.get(name)));
    let mut masks = vec![false; 2 * 2 * 16];
    // View 0 of picture 0, rows 1–2 and columns 0–1; view 1 of picture 1, rows 0–1, columns 2–3.
    for cell in [4, 5, 8, 9, 48 + 2, 48 + 3, 48 + 6, 48 + 7] {
        masks[cell] = true;
    }
    let mut verdict = Verdict::named(&format!("golden trajectory on {}", place.name), place);
    for (it, expected) in TRAJECTORY.into_iter().enumerate() {
        let crops = |side: usize, a: f64, shift: f64| {
            let crop = move |k| inp(2 * 3 * side * side, a, shift * k as f64 + it as f64);
            (0..2).flat_map(crop).collect::<Vec<f32>>()
        };
        let batch = Batch {
            epoch: it / 2,
            step: it % 2,
            images: vec![0, 1],
            globals: crops(32, 0.013, 0.5),
            locals: crops(16, 0.021, 0.3),
            masks: masks.clone(),
            failures: Vec::new(),
        };
        let report = trainer.step(&batch, it, it / 2, schedules.at(it)).read();
        let centres = &trainer.centres;
        let got = [
            report.class.iter().sum::<f32>() as f64,
            report.patch.iter().sum::<f32>() as f64,
            report.loss as f64,
            report.grad_norms.iter().copied().fold(0.0, f32::max) as f64,
            all(&trainer.student),
            all(&trainer.teacher),
            size(&download(centres.class.clone())),
            size(&download(centres.patch.clone())),
            one(&trainer.student, "head.last_layer.weight_v"),
            one(&trainer.student, "backbone.masked_embed"),
        ];
        verdict.compare("numbers", &format!("step {it}"), &got, &expected, LOSSES);
    }
    finish(vec![verdict]);
}
