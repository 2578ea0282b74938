//! The objective over several steps: values, gradients, centres.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use patchlight::model::{HostTensor, download, upload};
use patchlight::pretrain::networks::zeros;
use patchlight::pretrain::objective::{
    Centres, LossWeights, MaskedPatches, StudentLogits, TeacherLogits, objective, rows,
};
use patchlight::pretrain::schedules::Scheduled;

use super::fixture::{Case, Report, Tensors};

/// Runs every case; tolerances are multiplied by `slack`.
pub fn run(root: &Path, device: &Device, slack: f64) {
    for case in Case::all(root, "loss") {
        one(&case, device, slack);
    }
}

fn one(case: &Case, device: &Device, slack: f64) {
    let io = case.tensors("io.safetensors");
    let absolute = slack * case.meta["suggested_atol"].as_f64().unwrap_or(1e-5);
    let relative = slack * case.meta["suggested_rtol"].as_f64().unwrap_or(2e-5);
    let (crops, batch) = (case.size("ngcrops"), case.size("batch"));
    let weights = LossWeights {
        lambda_cls: case.number("lambda1") as f32,
        lambda_patch: case.number("lambda2") as f32,
        student_temp: case.number("student_temp") as f32,
        centre_momentum: case.number("center_momentum") as f32,
        patch_centre_momentum: case.number("center_momentum2") as f32,
    };
    let mut centres = Centres {
        class: zeros(case.size("out_dim"), device),
        patch: zeros(case.size("patch_out_dim"), device),
    };
    let mut report = Report::new(&case.name);
    let steps = case.meta["summary"]
        .as_array()
        .expect("a summary of the steps");
    for (step, summary) in steps.iter().enumerate() {
        let number = |key: &str| summary[key].as_f64().expect("a number");
        let now = Scheduled {
            lr: 0.0,
            weight_decay: 0.0,
            momentum: 1.0,
            teacher_temp: number("temp"),
            teacher_patch_temp: number("temp2"),
        };
        let tensor = |name: &str| io.0.get(&format!("step{step}/{name}"));
        let masks: Vec<bool> = (0..crops)
            .flat_map(|v| &tensor(&format!("mask{v}")).expect("a mask").data)
            .map(|&m| m > 0.0)
            .collect();
        let patches = masks.len() / (crops * batch);
        let masked = MaskedPatches::new(&masks, [crops, batch, patches], batch, (0, 0));
        let cells = rows(masked.cells.iter().copied(), device);

        let leaf = |name: &str| tensor(name).map(|t| matrix(t, device).autodiff().require_grad());
        let student_class = leaf("student_cls").expect("class logits");
        let student_patch = leaf("student_patch").expect("patch logits");
        let local = leaf("student_local");
        let class = match &local {
            Some(local) => Tensor::cat(vec![student_class.clone(), local.clone()], 0),
            None => student_class.clone(),
        };
        let teacher_class = matrix(tensor("teacher_cls").expect("teacher"), device);
        let teacher_patch = matrix(tensor("teacher_patch").expect("teacher"), device);
        let loss = objective(
            StudentLogits {
                class,
                masked: student_patch.clone().select(0, cells.clone()),
            },
            TeacherLogits {
                class: teacher_class.clone(),
                masked: teacher_patch.clone().select(0, cells),
            },
            &centres,
            &masked,
            [crops, batch, batch],
            &weights,
            &now,
        );
        centres.update(
            teacher_class.mean_dim(0),
            teacher_patch.mean_dim(0),
            &weights,
        );

        let grads = loss.total.backward();
        let sum = |t: Tensor<2>| download(t.inner().sum());
        let mut compare = |name: &str, found: Vec<f32>| {
            let want = io.get(&format!("step{step}/{name}"));
            report.elements(
                &format!("step{step}/{name}"),
                &found,
                &want.data,
                absolute,
                relative,
            );
        };
        compare("loss", download(loss.total.clone().inner()));
        compare("cls", sum(loss.class));
        compare("patch", sum(loss.patch));
        compare("center", download(centres.class.clone()));
        compare("center2", download(centres.patch.clone()));
        let mut gradient = |name: &str, leaf: &Tensor<2>| {
            let len = leaf.dims().iter().product();
            compare(name, leaf.grad(&grads).map_or(vec![0.0; len], download));
        };
        gradient("grad_student_cls", &student_class);
        gradient("grad_student_patch", &student_patch);
        if let Some(local) = &local {
            gradient("grad_student_local", local);
        }
    }
    schedule(case, &io, &mut report);
    report.finish();
}

/// The temperatures that the case lists are what our schedules say.
fn schedule(case: &Case, io: &Tensors, report: &mut Report) {
    use patchlight::pretrain::schedules::{Plan, Schedules};
    let mut settings = patchlight::settings::Settings::default();
    settings.run.epochs = case.size("nepochs");
    settings.mask.start_epoch = case.size("mim_start_epoch");
    let loss = &mut settings.loss;
    loss.warmup_teacher_temp = case.number("warmup_teacher_temp");
    loss.teacher_temp = case.number("teacher_temp");
    loss.warmup_teacher_patch_temp = case.number("warmup_teacher_temp2");
    loss.teacher_patch_temp = case.number("teacher_temp2");
    loss.warmup_teacher_temp_epochs = case.size("warmup_teacher_temp_epochs");
    let schedules = Schedules::new(Plan::new(&settings, 1));
    let at = |epoch: usize| schedules.at(epoch);
    let epochs = 0..settings.run.epochs;
    let class: Vec<f32> = epochs.clone().map(|e| at(e).teacher_temp as f32).collect();
    let patch: Vec<f32> = epochs.map(|e| at(e).teacher_patch_temp as f32).collect();
    for (name, found) in [
        ("teacher_temp_schedule", class),
        ("teacher_temp2_schedule", patch),
    ] {
        if let Some(want) = io.0.get(name) {
            report.elements(name, &found, &want.data, 1e-7, 0.0);
        }
    }
}

/// Logits as a matrix: the last axis is the prototypes.
fn matrix(tensor: &HostTensor, device: &Device) -> Tensor<2> {
    let width = *tensor.shape.last().expect("a shape");
    upload(
        tensor.data.clone(),
        [tensor.data.len() / width, width],
        device,
    )
}
