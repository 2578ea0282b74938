//! Whole training runs against the reference: the stored crops and masks through every step, from
//! the stored weights to the stored weights.
//!
//! Every case is run twice, the second time with each batch in two parts: accumulated gradients are
//! promised to be those of the whole batch, so they are held to the same tolerances.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use patchlight::data::Batch;
use patchlight::model::{Head, HostTensors, Parameters, Patches, Statistics, download, upload};
use patchlight::pretrain::optimizer::is_decayed;
use patchlight::pretrain::schedules::{Plan, Schedules};
use patchlight::pretrain::{Network, StepNumbers, Trainer};
use patchlight::session::import;
use patchlight::session::run::Start;
use patchlight::settings::{Activation, Arch, HeadNorm, Settings};
use serde_json::Value;

use super::fixture::{Case, Report, Tensors, key_bias};
use super::swin_forward::sizes;

/// Centres: float32 is 1.1e-6 from float64 in the reference.
const CENTRES: f64 = 1e-5;
/// Of a loss, beside the absolute tolerance that the case suggests: temperatures of 0.04 multiply
/// the last digit of a logit by 25.
const LOSSES: f64 = 1e-5;
/// Times what the case suggests for the final weights: AdamW divides gradients of the size of
/// rounding noise by their own size, and sums here are taken in another order.
const WEIGHTS: f64 = 2.0;
/// Absolute and relative, for norms of whole gradients, in the thousands at some first steps.
const NORMS: (f64, f64) = (1e-6, 1e-4);
/// Absolute and relative, for the logits before the first step, as for the head by itself.
const LOGITS: (f64, f64) = (1e-5, 1e-4);

/// Runs every case, or only the first with AdamW.
pub fn run(root: &Path, device: &Device, one: bool) {
    let cases = Case::all(root, "train_steps");
    let mut cases: Vec<&Case> = cases.iter().filter(|case| usable(case)).collect();
    if one {
        cases.retain(|case| case.config("args.optimizer") == "adamw");
        cases.truncate(1);
    }
    assert!(!cases.is_empty(), "no case of train_steps can be run");
    for case in cases {
        check(case, device, 1);
        // Batch norm's statistics are those of a part, not of the batch.
        let whole_only = case.size("batch") % 2 == 1 || norm(case) == HeadNorm::Batch;
        match whole_only {
            true => println!("{}: not repeated in two parts", case.name),
            false => check(case, device, 2),
        }
    }
}

/// Whether the engine has what the case needs; if not, says what it lacks.
fn usable(case: &Case) -> bool {
    let number = |path: &str, default: f64| case.config(path).as_f64().unwrap_or(default);
    let lacking = match case.config("net.kind").as_str() {
        Some("vit" | "swin") | None if number("drop_path", 0.0) > 0.0 => {
            "PyTorch's random stochastic depth"
        }
        Some("vit" | "swin") | None if number("world_size", 1.0) > 1.0 => "several processes",
        Some("vit" | "swin") | None => return true,
        Some(_) => "a network other than a ViT or Swin",
    };
    println!("{}: SKIPPED, it needs {lacking}", case.name);
    false
}

fn is_swin(case: &Case) -> bool {
    case.config("net.kind") == "swin"
}

fn norm(case: &Case) -> HeadNorm {
    match case.config("args.norm_in_head").as_str() {
        Some("bn") => HeadNorm::Batch,
        Some("ln") => HeadNorm::Layer,
        _ => HeadNorm::None,
    }
}

fn settings(case: &Case, accumulate: usize) -> Settings {
    let mut s = Settings::default();
    let args = |key: &str| format!("args.{key}");
    let (size, number) = (
        |key: &str| case.size(&args(key)),
        |key: &str| case.number(&args(key)),
    );
    let flag = |key: &str| case.flag(&args(key));
    let or = |path: &str, default: f64| case.config(path).as_f64().unwrap_or(default);
    s.run.epochs = size("epochs");
    s.run.batch = case.size("batch");
    s.run.accumulate = accumulate;
    s.views.global_size = case.size("net.img");
    s.views.global_crops = size("global_crops_number");
    s.views.local_crops = size("local_crops_number");
    if s.views.local_crops > 0 {
        s.views.local_size = case.size("net.local");
    }
    s.mask.start_epoch = size("pred_start_epoch");
    s.model.dim = case.size("net.dim");
    match is_swin(case) {
        true => {
            s.model.arch = Arch::SwinTiny;
            s.model.depths = sizes(case, "net.depths");
            s.model.stage_heads = sizes(case, "net.heads");
            s.model.window = case.size("net.window");
        }
        false => {
            s.model.arch = Arch::Custom;
            s.model.depth = case.size("net.depth");
            s.model.heads = case.size("net.heads");
        }
    }
    s.model.patch = case.size("net.patch");
    s.model.drop_path = 0.0;
    s.model.mlp_ratio = or("net.mlp_ratio", 4.0);
    s.model.qkv_bias = case.config("net.qkv_bias").as_bool().unwrap_or(true);
    s.model.layer_scale = or("net.init_values", 0.0);
    s.head.hidden = case.size("net.hidden");
    s.head.bottleneck = case.size("net.bottleneck");
    s.head.layers = or("net.nlayers", 3.0) as usize;
    s.head.out_dim = size("out_dim");
    s.head.patch_out_dim = size("patch_out_dim");
    s.head.shared = flag("shared_head");
    s.head.shared_teacher = flag("shared_head_teacher");
    s.head.norm_last_layer = flag("norm_last_layer");
    s.head.norm = norm(case);
    s.head.act = match case.config("args.act_in_head").as_str() {
        Some("relu") => Activation::Relu,
        _ => Activation::Gelu,
    };
    s.loss.masked_modeling = flag("use_masked_im_modeling");
    s.loss.lambda_cls = number("lambda1");
    s.loss.lambda_patch = number("lambda2");
    s.loss.warmup_teacher_temp = number("warmup_teacher_temp");
    s.loss.teacher_temp = number("teacher_temp");
    s.loss.warmup_teacher_patch_temp = number("warmup_teacher_patch_temp");
    s.loss.teacher_patch_temp = number("teacher_patch_temp");
    s.loss.warmup_teacher_temp_epochs = size("warmup_teacher_temp_epochs");
    let kind = case
        .config("args.optimizer")
        .as_str()
        .expect("an optimizer");
    s.set("optim.kind", kind, "meta.json")
        .expect("an optimizer of the engine");
    s.optim.lr = number("lr");
    s.optim.min_lr = number("min_lr");
    s.optim.warmup_epochs = number("warmup_epochs");
    s.optim.weight_decay = number("weight_decay");
    s.optim.weight_decay_end = number("weight_decay_end");
    s.optim.clip = number("clip_grad");
    s.optim.freeze_last_layer = size("freeze_last_layer");
    s.optim.teacher_momentum = number("momentum_teacher");
    s.optim.teacher_momentum_end = 1.0;
    let constants = &case.meta["param_groups"][0]["defaults"];
    let or = |value: &Value, default: f64| value.as_f64().unwrap_or(default);
    s.optim.beta1 = or(&constants["betas"][0], s.optim.beta1);
    s.optim.beta2 = or(&constants["betas"][1], s.optim.beta2);
    s.optim.eps = or(&constants["eps"], s.optim.eps);
    s.optim.sgd_momentum = or(&constants["momentum"], s.optim.sgd_momentum);
    s.optim.lars_trust = or(&constants["eta"], s.optim.lars_trust);
    s
}

/// One case while it runs.
struct Run<'a> {
    case: &'a Case,
    device: &'a Device,
    io: Tensors,
    trainer: Trainer,
    report: Report,
}

fn check(case: &Case, device: &Device, accumulate: usize) {
    let settings = settings(case, accumulate);
    let initial = case.tensors("initial.safetensors");
    let mut trainer = Trainer::new(&settings, device);
    let load = |network: &Network, prefix: &str| {
        let stored = initial.below(prefix);
        Parameters::load(&network.specs(), &stored, device).expect("weights that fit")
    };
    trainer.student = load(&trainer.student_network, "student/");
    trainer.teacher = load(&trainer.teacher_network, "teacher/");
    let parts = if accumulate > 1 { " in two parts" } else { "" };
    go(case, device, trainer, &format!("{}{parts}", case.name), 0);
}

/// The reference's checkpoint, taken up where it was written, ends in the reference's weights.
pub fn resumed(root: &Path, device: &Device) {
    let stopped = Case::all(root, "checkpoint").remove(0);
    let cases = Case::all(root, "train_steps");
    let from = stopped.config("from").as_str().expect("where it is from");
    let case = cases.iter().find(|case| from.starts_with(&case.name));
    let case = case.unwrap_or_else(|| panic!("no case of {from}"));
    let path = stopped.folder.join("checkpoint.pth");
    let imported = import::open(&path, super::checkpoint::heads(&stopped)).expect("a checkpoint");
    let base = Settings::default();
    let (mut settings, start, text) = import::start(imported, base.clone(), &base, false);
    assert!(text.contains("goes on after epoch 2 of 4"), "{text}");
    let Start::Continue(checkpoint) = start else {
        panic!("it is whole");
    };
    // What the arguments do not say: the fixture's crops are smaller than the reference's.
    settings.views.local_size = stopped.size("net.local");
    let told = self::settings(case, 1);
    for key in settings.diff(&told) {
        // Epochs of warm-up that a shorter run cuts anyway, and settings of groups that do not train.
        println!("{}: {key} differs from the case's", stopped.name);
    }
    assert_eq!(settings.optim, told.optim);
    assert_eq!(settings.loss, told.loss);
    assert_eq!(settings.head, told.head);
    let mut trainer = Trainer::new(&settings, device);
    checkpoint.restore(&mut trainer).expect("weights that fit");
    let epoch = checkpoint.epoch.expect("an epoch");
    let name = format!("{} resumed from the reference's checkpoint", case.name);
    go(
        case,
        device,
        trainer,
        &name,
        epoch * case.size("niter_per_epoch"),
    );
}

fn go(case: &Case, device: &Device, mut trainer: Trainer, name: &str, first: usize) {
    let settings = trainer.settings.clone();
    trainer.gradients = Some(HostTensors::default());
    let mut run = Run {
        case,
        device,
        io: case.tensors("io.safetensors"),
        trainer,
        report: Report::new(name),
    };
    run.decayed();
    let crops = case.config("crops_file").as_str().expect("a file of crops");
    let crops = case.tensors(crops);
    let epoch_steps = case.size("niter_per_epoch");
    let schedules = Schedules::new(Plan::new(&settings, epoch_steps));
    let mut agreement = 0.0;
    for step in first..case.size("iterations") {
        let epoch = step / epoch_steps;
        let batch = run.batch(&crops, step, step % epoch_steps);
        run.scheduled(&schedules, step, epoch);
        if step == 0 {
            run.outputs(&batch);
        }
        let numbers = run.trainer.step(&batch, step, epoch, schedules.at(step));
        let numbers = numbers.read();
        agreement += numbers.agreement / epoch_steps as f32;
        run.losses(&numbers, step);
        run.gradients(&numbers, step);
        run.centre_norms(step);
        if (step + 1) % epoch_steps == 0 {
            run.centres(epoch);
            let want = case.meta["epoch_stats"][epoch]["acc"].as_f64();
            let want = want.expect("an agreement") as f32;
            let name = format!("epoch {epoch}: acc");
            run.report.elements(&name, &[agreement], &[want], 1e-6, 0.0);
            agreement = 0.0;
        }
    }
    run.final_weights();
    run.report.finish();
}

impl Run<'_> {
    fn suggested(&self, part: &str) -> f64 {
        let value = self.case.meta["suggested_atol"][part].as_f64();
        value.unwrap_or_else(|| panic!("{}: no suggested_atol of {part}", self.case.name))
    }

    fn names(list: &Value) -> Vec<&str> {
        let list = list.as_array().expect("names");
        list.iter().filter_map(Value::as_str).collect()
    }

    /// The engine decays what the reference decays.
    fn decayed(&self) {
        let decayed = Self::names(&self.case.meta["param_groups"][0]["names"]);
        for p in self.trainer.student.iter().filter(|p| p.trained) {
            let want = decayed.contains(&&*p.name);
            assert_eq!(is_decayed(p), want, "weight decay of {}", p.name);
        }
    }

    /// Step `step`, on batch `number` of the crops.
    fn batch(&self, crops: &Tensors, step: usize, number: usize) -> Batch {
        let views = &self.trainer.settings.views;
        let (globals, all) = (views.global_crops, views.global_crops + views.local_crops);
        let crop = |v: usize| crops.get(&format!("batch{number}/crop{v}")).data.clone();
        let mask = |v: usize| self.io.get(&format!("iter{step}/mask{v}")).data.clone();
        Batch {
            epoch: 0,
            step,
            images: (0..self.case.size("batch")).collect(),
            globals: (0..globals).flat_map(crop).collect(),
            locals: (globals..all).flat_map(crop).collect(),
            masks: (0..globals).flat_map(mask).map(|m| m > 0.0).collect(),
            failures: Vec::new(),
        }
    }

    /// Both sides are computed in float64; the stored ones are read as float32.
    fn scheduled(&mut self, schedules: &Schedules, step: usize, epoch: usize) {
        let now = schedules.at(step);
        let temps = &self.case.meta["teacher_temps"];
        let temp = |which: &str| temps[which][epoch].as_f64().expect("a temperature") as f32;
        let stored = |name: &str| self.io.get(name).data[step];
        let pairs = [
            ("lr", now.lr, stored("lr")),
            ("wd", now.weight_decay, stored("wd")),
            ("momentum", now.momentum, stored("momentum")),
            ("temperature", now.teacher_temp, temp("cls")),
            ("patch temperature", now.teacher_patch_temp, temp("patch")),
        ];
        for (name, found, want) in pairs {
            let name = format!("step {step}: {name}");
            self.report
                .elements(&name, &[found as f32], &[want], 1e-12, 1e-7);
        }
    }

    /// Logits of both networks before the first step.
    fn outputs(&mut self, batch: &Batch) {
        if !self.io.0.contains_key("out0/student_cls") {
            return;
        }
        let trainer = &self.trainer;
        let views = &trainer.settings.views;
        let cut = |pixels: &[f32], crops: usize, side: usize| {
            let shape = [crops * batch.images.len(), side, side];
            Patches::new(pixels, shape, trainer.settings.model.patch, self.device)
        };
        let globals = cut(&batch.globals, views.global_crops, views.global_size);
        let mask: Vec<f32> = batch
            .masks
            .iter()
            .map(|&m| f32::from(u8::from(m)))
            .collect();
        let cells = mask.len();
        let masked = trainer.settings.loss.masked_modeling;
        let mask = masked.then(|| upload(mask, [cells, 1], self.device));
        let student = (&trainer.student_network, &trainer.student);
        let teacher = (&trainer.teacher_network, &trainer.teacher);
        let (student_class, student_patch) = logits(student, &globals, mask);
        let (teacher_class, teacher_patch) = logits(teacher, &globals, None);
        let mut outputs = vec![
            ("student_cls", student_class),
            ("student_patch", student_patch),
            ("teacher_cls", teacher_class),
            ("teacher_patch", teacher_patch),
        ];
        if views.local_crops > 0 {
            let locals = cut(&batch.locals, views.local_crops, views.local_size);
            outputs.push(("student_local", logits(student, &locals, None).0));
        }
        for (name, found) in outputs {
            let name = format!("out0/{name}");
            let want = &self.io.get(&name).data;
            let (absolute, relative) = LOGITS;
            self.report
                .elements(&name, &download(found), want, absolute, relative);
        }
    }

    fn losses(&mut self, numbers: &StepNumbers, step: usize) {
        let (class, patch) = (numbers.class.iter().sum(), numbers.patch.iter().sum());
        let want = &self.io.get("losses").data[step * 3..][..3];
        let name = format!("step {step}: loss, cls, patch");
        let absolute = self.suggested("losses");
        let found = [numbers.loss, class, patch];
        self.report.elements(&name, &found, want, absolute, LOSSES);
    }

    fn gradients(&mut self, numbers: &StepNumbers, step: usize) {
        let gradients = self.trainer.gradients.clone().expect("gradients are kept");
        let names = Self::names(&self.case.meta["grad_param_names"]);
        let want = &self.io.get("grad_norms").data[step * names.len()..][..names.len()];
        let (absolute, relative) = NORMS;
        for (name, &want) in names.into_iter().zip(want) {
            let at = format!("step {step}: {name}");
            match gradients.get(name) {
                Some(found) => {
                    let found = length(&found.data);
                    self.report
                        .elements(&at, &[found], &[want], absolute, relative);
                }
                // A tensor that nothing was computed from has none, or zeros.
                None => assert!(want.is_nan() || want == 0.0, "{at}: no gradient"),
            }
        }
        let student = self.trainer.student.iter();
        let own = student.filter_map(|p| Some(length(&gradients.get(&*p.name)?.data)));
        let (at, own) = (
            format!("step {step}: reported norms"),
            own.collect::<Vec<_>>(),
        );
        self.report
            .elements(&at, &numbers.grad_norms, &own, absolute, relative);
        if step > 0 {
            return;
        }
        // Clipped as the optimizer does it; the reference stored these before it froze any.
        let mut clipped: Vec<Option<Tensor<2>>> = Vec::new();
        for p in self.trainer.student.iter() {
            let upload = |g: &Vec<f32>| upload(g.clone(), p.value.dims(), self.device);
            clipped.push(gradients.get(&*p.name).map(|g| upload(&g.data)));
        }
        self.trainer.optimizer.clip(&mut clipped);
        let tolerance = (self.suggested("grads_iter0"), 1e-5);
        for (p, found) in self.trainer.student.iter().zip(clipped) {
            let name = format!("grads_iter0/{}", p.name);
            if let Some(want) = self.io.0.get(&name) {
                let found = download(found.unwrap_or_else(|| panic!("{name}: no gradient")));
                let skip = key_bias(&name, want.data.len() / 3);
                self.report
                    .tensor(&name, &found, &want.data, tolerance, skip);
            }
        }
    }

    fn centre_norms(&mut self, step: usize) {
        let stored = &self.case.meta["iterations"][step];
        let centres = &self.trainer.centres;
        for (name, centre) in [("center", &centres.class), ("center2", &centres.patch)] {
            let want = stored[format!("{name}_norm")].as_f64().expect("a norm") as f32;
            let found = length(&download(centre.clone()));
            let at = format!("step {step}: {name}_norm");
            self.report.elements(&at, &[found], &[want], CENTRES, 0.0);
        }
    }

    fn centres(&mut self, epoch: usize) {
        let centres = &self.trainer.centres;
        for (name, centre) in [("center", &centres.class), ("center2", &centres.patch)] {
            let name = format!("epoch{epoch}/{name}");
            let want = &self.io.get(&name).data;
            let found = download(centre.clone());
            self.report.elements(&name, &found, want, CENTRES, 0.0);
        }
    }

    fn final_weights(&mut self) {
        let absolute = WEIGHTS * self.suggested("weights");
        let stored = self.case.tensors("final.safetensors");
        let networks = [
            ("student", self.trainer.student.to_host()),
            ("teacher", self.trainer.teacher.to_host()),
        ];
        for (network, weights) in networks {
            let stored = stored.below(&format!("{network}/"));
            // The engine keeps no count of batch norm's updates: momentum makes it unused. Indices of relative
            // positions are no weights.
            let kept = ["num_batches_tracked", "relative_position_index"];
            for (name, want) in stored
                .iter()
                .filter(|(n, _)| !kept.iter().any(|end| n.ends_with(end)))
            {
                let found = weights.get(name).or_else(|| weights.get(&alias(name)));
                let found = found.unwrap_or_else(|| panic!("{network} has no {name}"));
                let (at, skip) = (
                    format!("{network}/{name}"),
                    key_bias(name, want.data.len() / 3),
                );
                self.report
                    .tensor(&at, &found.data, &want.data, (absolute, 0.0), skip);
            }
            for name in weights.keys() {
                assert!(
                    stored.contains_key(name),
                    "the reference's {network} has no {name}"
                );
            }
        }
    }
}

/// Class and patch logits of whole images, with the batch's own statistics where there are any.
fn logits(
    (network, weights): (&Network, &Parameters),
    patches: &Patches,
    mask: Option<Tensor<2>>,
) -> (Tensor<2>, Tensor<2>) {
    let Network { backbone, head, .. } = network;
    let tokens = backbone.forward(weights, patches, mask, None);
    let points = head.bottleneck(weights, tokens, &mut Statistics::Batch(None));
    let (images, width) = (patches.images, points.dims()[1]);
    let cells = points.dims()[0] / images - 1;
    let points: Tensor<3> = points.reshape([images, cells + 1, width]);
    let class = points.clone().slice([0..images, 0..1, 0..width]);
    let patch = points.slice([0..images, 1..cells + 1, 0..width]);
    (
        Head::logits(
            class.reshape([images, width]),
            head.class_prototypes(weights),
        ),
        Head::logits(
            patch.reshape([images * cells, width]),
            head.patch_prototypes(weights),
        ),
    )
}

fn length(data: &[f32]) -> f32 {
    let sum: f64 = data.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    sum.sqrt() as f32
}

/// The first name of a tensor that the reference lists under several: a shared last layer, and the
/// one norm of all hidden layers.
fn alias(name: &str) -> String {
    match name.strip_prefix("head.mlp.") {
        Some(rest) => {
            let field = rest.split_once('.').map_or(rest, |(_, field)| field);
            format!("head.mlp.1.{field}")
        }
        None => name.replace("head.last_layer2.", "head.last_layer."),
    }
}
