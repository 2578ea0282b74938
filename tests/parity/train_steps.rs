//! Whole training runs against the reference: the stored crops and masks through every step, from
//! the stored weights to the stored weights.
//!
//! Every case is run twice, the second time with each batch in two parts: accumulated gradients are
//! promised to be those of the whole batch, so they are held to the same tolerances.

use std::path::Path;

use burn::tensor::Tensor;
use patchlight::data::Batch;
use patchlight::model::{Parameters, Patches, Statistics, download, upload};
use patchlight::pretrain::optimizer::is_decayed;
use patchlight::pretrain::schedules::{Plan, Schedules};
use patchlight::pretrain::{Network, StepNumbers, Trainer};
use patchlight::settings::{Arch, HeadNorm, Settings};
use serde_json::Value;

use super::fixture::{
    Fixture, Place, Stored, Tensors, Tolerance, Verdict, cases, count, finish, flag, number,
    number_or, weights,
};
use super::head_forward::{activation, logits, norm};

/// Schedules: both sides are f64.
const SCHEDULED: Tolerance = Tolerance {
    absolute: 1e-15,
    relative: 1e-12,
    of_largest: 0.0,
};
/// Centres, from float32 against float64 in the reference (1.1e-6).
const CENTRES: f64 = 1e-5;
/// Norms of whole tensors' gradients, which are in the thousands at some first steps.
const NORMS: Tolerance = Tolerance {
    absolute: 1e-6,
    relative: 1e-4,
    of_largest: 0.0,
};
/// Logits before the first step, as for the head by itself.
const LOGITS: Tolerance = Tolerance {
    absolute: 1e-5,
    relative: 1e-4,
    of_largest: 0.0,
};

/// Checks every case under `<root>/train_steps`.
pub fn run(root: &Path, place: &Place) {
    let mut verdicts = Vec::new();
    for case in usable(root) {
        verdicts.push(check(&case, place, 1));
        let (batch, head) = (
            count(case.config(), "batch"),
            &case.config()["args"]["norm_in_head"],
        );
        match (batch % 2, norm(head)) {
            (_, HeadNorm::Batch) => println!(
                "{}: not repeated in two parts, whose batch norms are not the whole batch's",
                case.name
            ),
            (0, _) => verdicts.push(check(&case, place, 2)),
            _ => println!("{}: not repeated in two parts, the batch is odd", case.name),
        }
    }
    finish(verdicts);
}

/// Checks one case, the first with AdamW where there is one, where every step is slow.
pub fn run_one(root: &Path, place: &Place) {
    let cases = usable(root);
    let adamw = |case: &&Fixture| case.config()["args"]["optimizer"] == "adamw";
    if let Some(case) = cases.iter().find(adamw).or(cases.first()) {
        finish(vec![check(case, place, 1)]);
    }
}

/// The cases that this engine can run; the others are named.
fn usable(root: &Path) -> Vec<Fixture> {
    let mut usable = Vec::new();
    for case in cases(root, "train_steps") {
        let config = case.config();
        let kind = config["net"]["kind"].as_str().unwrap_or("vit");
        let reason = if kind != "vit" {
            Some(format!(
                "its network is a {kind}, which this engine does not have"
            ))
        } else if number_or(config, "drop_path", 0.0) > 0.0 {
            Some("its stochastic depth comes from PyTorch's random generator".into())
        } else if number_or(config, "world_size", 1.0) > 1.0 {
            Some("it was run by several processes".into())
        } else {
            None
        };
        match reason {
            Some(reason) => println!("{}: SKIPPED, {reason}", case.name),
            None => usable.push(case),
        }
    }
    usable
}

fn settings(fixture: &Fixture, accumulate: usize) -> Settings {
    let config = fixture.config();
    let (net, args) = (&config["net"], &config["args"]);
    let mut s = Settings::default();
    s.run.epochs = count(args, "epochs");
    s.run.batch = count(args, "batch_size_per_gpu");
    s.run.accumulate = accumulate;
    s.views.global_size = count(net, "img");
    s.views.global_crops = count(args, "global_crops_number");
    s.views.local_crops = count(args, "local_crops_number");
    if s.views.local_crops > 0 {
        s.views.local_size = count(net, "local");
    }
    s.mask.start_epoch = count(args, "pred_start_epoch");
    s.model.arch = Arch::Custom;
    s.model.dim = count(net, "dim");
    s.model.depth = count(net, "depth");
    s.model.heads = count(net, "heads");
    s.model.patch = count(net, "patch");
    s.model.drop_path = 0.0;
    s.model.mlp_ratio = number_or(net, "mlp_ratio", 4.0);
    s.model.qkv_bias = net["qkv_bias"].as_bool().unwrap_or(true);
    s.model.layer_scale = number_or(net, "init_values", 0.0);
    s.head.hidden = count(net, "hidden");
    s.head.bottleneck = count(net, "bottleneck");
    s.head.layers = number_or(net, "nlayers", 3.0) as usize;
    s.head.out_dim = count(args, "out_dim");
    s.head.patch_out_dim = count(args, "patch_out_dim");
    s.head.shared = flag(args, "shared_head");
    s.head.shared_teacher = flag(args, "shared_head_teacher");
    s.head.norm_last_layer = flag(args, "norm_last_layer");
    s.head.norm = norm(&args["norm_in_head"]);
    s.head.act = activation(&args["act_in_head"]);
    s.loss.masked_modeling = flag(args, "use_masked_im_modeling");
    s.loss.lambda_cls = number(args, "lambda1");
    s.loss.lambda_patch = number(args, "lambda2");
    s.loss.warmup_teacher_temp = number(args, "warmup_teacher_temp");
    s.loss.teacher_temp = number(args, "teacher_temp");
    s.loss.warmup_teacher_patch_temp = number(args, "warmup_teacher_patch_temp");
    s.loss.teacher_patch_temp = number(args, "teacher_patch_temp");
    s.loss.warmup_teacher_temp_epochs = count(args, "warmup_teacher_temp_epochs");
    let kind = args["optimizer"].as_str().expect("args: optimizer");
    s.set("optim.kind", kind, "meta.json")
        .expect("an optimizer of the engine");
    s.optim.lr = number(args, "lr");
    s.optim.min_lr = number(args, "min_lr");
    s.optim.warmup_epochs = number(args, "warmup_epochs");
    s.optim.weight_decay = number(args, "weight_decay");
    s.optim.weight_decay_end = number(args, "weight_decay_end");
    s.optim.clip = number(args, "clip_grad");
    s.optim.freeze_last_layer = count(args, "freeze_last_layer");
    s.optim.teacher_momentum = number(args, "momentum_teacher");
    s.optim.teacher_momentum_end = 1.0;
    let constants = &fixture.meta["param_groups"][0]["defaults"];
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
    fixture: &'a Fixture,
    place: &'a Place,
    io: Tensors,
    trainer: Trainer,
    verdict: Verdict,
}

fn check(fixture: &Fixture, place: &Place, accumulate: usize) -> Verdict {
    let (config, device) = (fixture.config(), &place.device);
    let settings = settings(fixture, accumulate);
    let initial = fixture.tensors("initial.safetensors");
    let mut trainer = Trainer::new(&settings, device);
    let load = |network: &Network, prefix: &str| {
        let from = weights(&initial, prefix);
        Parameters::load(&network.specs(), &from, device).expect("the weights fit")
    };
    trainer.student = load(&trainer.student_network, "student/");
    trainer.teacher = load(&trainer.teacher_network, "teacher/");
    trainer.gradients = Some(Default::default());
    let parts = if accumulate > 1 { " in two parts" } else { "" };
    let title = format!("{}{parts} on {}", fixture.name, place.name);
    let mut run = Run {
        fixture,
        place,
        io: fixture.tensors("io.safetensors"),
        trainer,
        verdict: Verdict::named(&title, place),
    };
    run.decayed();
    let crops = fixture.tensors(config["crops_file"].as_str().expect("crops_file"));
    let steps_per_epoch = count(config, "niter_per_epoch");
    let schedules = Schedules::new(Plan::new(&settings, steps_per_epoch));
    let mut agreement = 0.0;
    for step in 0..count(config, "iterations") {
        let epoch = step / steps_per_epoch;
        let batch = run.batch(&crops, step, step % steps_per_epoch);
        run.scheduled(&schedules, step, epoch);
        if step == 0 {
            run.outputs(&batch);
        }
        let report = run.trainer.step(&batch, step, epoch, schedules.at(step));
        let report = report.read();
        agreement += report.agreement as f64 / steps_per_epoch as f64;
        run.losses(&report, step);
        run.gradients(&report, step);
        run.centres(step, None);
        if (step + 1) % steps_per_epoch == 0 {
            run.centres(step, Some(epoch));
            let expected = number(&fixture.meta["epoch_stats"][epoch], "acc");
            let name = format!("epoch {epoch}: acc");
            let exact = Tolerance::absolute(1e-6);
            run.verdict
                .compare("agreements", &name, &[agreement], &[expected], exact);
            agreement = 0.0;
        }
    }
    run.final_weights();
    run.verdict
}

impl Run<'_> {
    fn suggested(&self, part: &str) -> f64 {
        let value = self.fixture.suggested("suggested_atol", part);
        value.unwrap_or_else(|| panic!("suggested_atol: {part}"))
    }

    /// The engine decays what the reference decays.
    fn decayed(&mut self) {
        let list = self.fixture.meta["param_groups"][0]["names"].as_array();
        let expected: Vec<&str> = list
            .expect("names")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for p in self.trainer.student.iter().filter(|p| p.trained) {
            if is_decayed(p) != expected.contains(&&*p.name) {
                let text = format!("{} is decayed: {}", p.name, is_decayed(p));
                self.verdict.fail(text);
            }
        }
    }

    /// Step `step`, on batch `number` of the crops.
    fn batch(&self, crops: &Tensors, step: usize, number: usize) -> Batch {
        let views = &self.trainer.settings.views;
        let (globals, all) = (views.global_crops, views.global_crops + views.local_crops);
        let crop = |v: usize| crops[&format!("batch{number}/crop{v}")].f32();
        let mask = |v: usize| self.io[&format!("iter{step}/mask{v}")].bools();
        Batch {
            epoch: 0,
            step,
            images: (0..count(self.fixture.config(), "batch")).collect(),
            globals: (0..globals).flat_map(crop).collect(),
            locals: (globals..all).flat_map(crop).collect(),
            masks: (0..globals).flat_map(mask).collect(),
            failures: Vec::new(),
        }
    }

    fn scheduled(&mut self, schedules: &Schedules, step: usize, epoch: usize) {
        let now = schedules.at(step);
        let temps = &self.fixture.meta["teacher_temps"];
        let temp = |which: &str| temps[which][epoch].as_f64().expect("a temperature");
        let numbers = [
            ("lr", now.lr, self.io["lr"].data[step]),
            ("wd", now.weight_decay, self.io["wd"].data[step]),
            ("momentum", now.momentum, self.io["momentum"].data[step]),
            ("teacher_temps cls", now.teacher_temp, temp("cls")),
            ("teacher_temps patch", now.teacher_patch_temp, temp("patch")),
        ];
        for (name, got, expected) in numbers {
            let name = format!("step {step}: {name}");
            self.verdict
                .compare("schedules", &name, &[got], &[expected], SCHEDULED);
        }
    }

    /// Logits of both networks before the first step.
    fn outputs(&mut self, batch: &Batch) {
        if !self.io.contains_key("out0/student_cls") {
            return;
        }
        let t = &self.trainer;
        let (views, device) = (&t.settings.views, &self.place.device);
        let pictures = batch.images.len();
        let cut = |pixels: &[f32], crops: usize, side: usize| {
            let sizes = [crops * pictures, side, side];
            Patches::new(pixels, sizes, t.settings.model.patch, device)
        };
        let globals = cut(&batch.globals, views.global_crops, views.global_size);
        let mask: Vec<f32> = batch.masks.iter().map(|&m| m as u8 as f32).collect();
        let cells = mask.len();
        let mask = t
            .settings
            .loss
            .masked_modeling
            .then(|| upload(mask, [cells, 1], device));
        let forward = |network: &Network, weights: &Parameters, patches: &Patches, mask| {
            let tokens = network.vit.forward(weights, patches, mask, None);
            let mut batch = Statistics::Batch(None);
            logits(
                &network.head,
                weights,
                tokens,
                patches.count() + 1,
                &mut batch,
            )
        };
        let (student_class, student_patch) =
            forward(&t.student_network, &t.student, &globals, mask);
        let (teacher_class, teacher_patch) =
            forward(&t.teacher_network, &t.teacher, &globals, None);
        let mut outputs = vec![
            ("student_cls", student_class),
            ("student_patch", student_patch),
            ("teacher_cls", teacher_class),
            ("teacher_patch", teacher_patch),
        ];
        if views.local_crops > 0 {
            let locals = cut(&batch.locals, views.local_crops, views.local_size);
            let (local, _) = forward(&t.student_network, &t.student, &locals, None);
            outputs.push(("student_local", local));
        }
        for (name, got) in outputs {
            let name = format!("out0/{name}");
            let expected = &self.io[&name].data;
            self.verdict
                .compare("logits", &name, &download(got), expected, LOGITS);
        }
    }

    fn losses(&mut self, report: &StepNumbers, step: usize) {
        let got = [
            report.loss,
            report.class.iter().sum(),
            report.patch.iter().sum(),
        ];
        let expected = &self.io["losses"].data[step * 3..][..3];
        let name = format!("step {step}: loss, cls, patch");
        let allowed = Tolerance::absolute(self.suggested("losses"));
        self.verdict
            .compare("losses", &name, &got, expected, allowed);
    }

    fn gradients(&mut self, report: &StepNumbers, step: usize) {
        let Some(gradients) = self.trainer.gradients.clone() else {
            return;
        };
        let names = self.fixture.meta["grad_param_names"].as_array();
        let names = names
            .expect("grad_param_names")
            .iter()
            .filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        let expected = &self.io["grad_norms"].data[step * names.len()..][..names.len()];
        let norm = |data: &[f32]| {
            data.iter()
                .map(|&g| g as f64 * g as f64)
                .sum::<f64>()
                .sqrt()
        };
        for (&name, &expected) in names.iter().zip(expected) {
            let at = format!("step {step}: {name}");
            match gradients.get(name) {
                Some(gradient) => {
                    let got = norm(&gradient.data);
                    self.verdict
                        .compare("gradient norms", &at, &[got], &[expected], NORMS);
                }
                // A tensor that nothing was computed from has none, or zeros.
                None if expected.is_nan() || expected == 0.0 => {}
                None => self.verdict.fail(format!("{at}: no gradient")),
            }
        }
        // The report's norms, in the order of the parameters.
        let order = self
            .trainer
            .student
            .iter()
            .filter_map(|p| gradients.get(&*p.name));
        let own: Vec<f64> = order.map(|gradient| norm(&gradient.data)).collect();
        let at = format!("step {step}: the report's norms");
        self.verdict
            .compare("reported norms", &at, &report.grad_norms, &own, NORMS);
        if step > 0 {
            return;
        }
        // Clipped as the optimizer does it; the reference stored these before it froze any.
        let mut clipped: Vec<Option<Tensor<2>>> = Vec::new();
        for p in self.trainer.student.iter() {
            let upload = |g: &Vec<f32>| upload(g.clone(), p.value.dims(), &self.place.device);
            clipped.push(gradients.get(&*p.name).map(|g| upload(&g.data)));
        }
        self.trainer.optimizer.clip(&mut clipped);
        let allowed = Tolerance {
            absolute: self.suggested("grads_iter0"),
            of_largest: 1e-5,
            relative: 0.0,
        };
        let dim = self.trainer.student_network.vit.dim;
        for (p, gradient) in self.trainer.student.iter().zip(clipped) {
            let name = format!("grads_iter0/{}", p.name);
            let expected = self.io.get(&name);
            match (gradient, expected) {
                (Some(got), Some(expected)) => {
                    let got = download(got);
                    self.verdict
                        .tensor("clipped gradients", (&name, dim), &got, expected, allowed);
                }
                (None, Some(_)) => self.verdict.fail(format!("{name}: no gradient")),
                _ => {}
            }
        }
    }

    /// The centres' lengths after step `step`, or the centres themselves after an epoch.
    fn centres(&mut self, step: usize, epoch: Option<usize>) {
        let centres = &self.trainer.centres;
        let allowed = Tolerance::absolute(CENTRES);
        for (name, centre) in [("center", &centres.class), ("center2", &centres.patch)] {
            let got = download(centre.clone());
            match epoch {
                Some(epoch) => {
                    let name = format!("epoch{epoch}/{name}");
                    let expected = &self.io[&name].data;
                    self.verdict
                        .compare("centres", &name, &got, expected, allowed);
                }
                None => {
                    let stored = &self.fixture.meta["iterations"][step];
                    let length = got.iter().map(|&c| c as f64 * c as f64).sum::<f64>().sqrt();
                    let expected = number(stored, &format!("{name}_norm"));
                    let at = format!("step {step}: {name}_norm");
                    self.verdict
                        .compare("centre norms", &at, &[length], &[expected], allowed);
                }
            }
        }
    }

    fn final_weights(&mut self) {
        let allowed = Tolerance::absolute(self.suggested("weights"));
        let dim = self.trainer.student_network.vit.dim;
        let stored = self.fixture.tensors("final.safetensors");
        let both = [
            ("student", &self.trainer.student),
            ("teacher", &self.trainer.teacher),
        ];
        let own = both.map(|(network, weights)| (network, weights.to_host()));
        for (network, weights) in own {
            for (name, expected) in &stored {
                let Some(name) = name.strip_prefix(&format!("{network}/")) else {
                    continue;
                };
                // The engine keeps no count of batch norm's updates: momentum makes it unused.
                if name.ends_with("num_batches_tracked") {
                    continue;
                }
                let at = format!("{network}/{name}");
                match weights.get(name).or_else(|| weights.get(&alias(name))) {
                    Some(got) => {
                        self.tensor(&at, dim, &got.data, expected, allowed);
                    }
                    None => self.verdict.fail(format!("{at} is not in the network")),
                }
            }
            let lacking = |name: &&String| !stored.contains_key(&format!("{network}/{name}"));
            for name in weights.keys().filter(lacking) {
                self.verdict
                    .fail(format!("{network}/{name} is not in the reference"));
            }
        }
    }

    fn tensor(&mut self, at: &str, dim: usize, got: &[f32], expected: &Stored, allowed: Tolerance) {
        self.verdict
            .tensor("final weights", (at, dim), got, expected, allowed);
    }
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
