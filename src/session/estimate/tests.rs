//! Counts and operations against those that are known.

use super::*;
use crate::session::bench::sizes;
use crate::settings::presets;

fn near(value: f64, expected: f64, share: f64) {
    let off = (value / expected - 1.0).abs();
    assert!(off < share, "{value:e} is not {expected:e}");
}

/// ViT-S/16 on one picture: two global crops, no local ones.
fn small() -> Settings {
    let mut settings = Settings::default();
    settings.run.batch = 1;
    settings
}

#[test]
fn a_forward_pass_is_what_others_count() {
    // Published: 4.6 and 17.6 billion multiply-adds for ViT-S/16 and ViT-B/16 at 224 pixels.
    let mut settings = small();
    assert_eq!(tokens(&settings, 224), 197.0);
    near(crop_flops(&settings, 224), 2.0 * 4.6e9, 0.02);
    settings.model.arch = crate::settings::Arch::VitBase;
    near(crop_flops(&settings, 224), 2.0 * 17.6e9, 0.02);
    // And 4.5 billion for Swin-T with windows of 7, of which patch merging, left out here, is a tenth.
    (settings.model.arch, settings.model.patch) = (crate::settings::Arch::SwinTiny, 4);
    assert_eq!(tokens(&settings, 224), 50.0);
    near(crop_flops(&settings, 224), 2.0 * 4.5e9, 0.1);
}

#[test]
fn a_step_is_what_the_hand_computes() {
    // Teacher 2 crops, student 3 times 2 crops.
    let backbone = (2.0 + 6.0) * 9.2e9;
    // 5.5 million multiply-adds a token: 384·2048 + 2048·2048 + 2048·256. The teacher projects
    // all 394 tokens, the student 2 class tokens and 0.3 · 392 masked patches, thrice.
    let head = 11.0e6 * (394.0 + 3.0 * 119.6);
    let prototypes = 2.0 * 256.0 * 8192.0 * 119.6 * 4.0;
    near(step_flops(&small()), backbone + head + prototypes, 0.02);
}

#[test]
fn a_step_grows_with_batch_depth_and_dim_as_it_must() {
    let base = step_flops(&small());
    let mut settings = small();
    settings.run.batch = 8;
    near(step_flops(&settings), 8.0 * base, 1e-9);
    settings.run.accumulate = 4;
    near(step_flops(&settings), 8.0 * base, 1e-9);

    let backbone = |change: fn(&mut Settings)| {
        let mut settings = small();
        change(&mut settings);
        crop_flops(&settings, 224)
    };
    let one = backbone(|_| ());
    near(backbone(|s| s.model.depth = 24), 2.0 * one, 0.03);
    // Products with weights grow with the square, attention and patches with the width.
    let twice = backbone(|s| s.model.dim = 768) / one;
    assert!((3.5..4.0).contains(&twice), "{twice}");

    let mut settings = small();
    settings.views.local_crops = 10;
    let locals = step_flops(&settings) - base;
    assert!(locals > 0.5 * base && locals < base, "{locals:e} {base:e}");
}

#[test]
fn measured_steps_of_two_sizes_agree_on_the_machines_speed() {
    // benches/RESULTS.md, on one machine.
    let seconds = [1.84, 2.30];
    let speeds: Vec<f64> = sizes()
        .iter()
        .zip(seconds)
        .map(|(size, seconds)| step_flops(&size.settings) / seconds)
        .collect();
    near(speeds[0], 142e9, 0.02);
    near(speeds[1], 157e9, 0.02);
}

#[test]
fn parameters_are_counted_without_building_them() {
    let counts = parameters(&Settings::default());
    near(counts.backbone as f64, 21.7e6, 0.01);
    assert!(counts.student > counts.backbone);
    for preset in presets() {
        let settings = preset.settings().expect(preset.name);
        let counts = parameters(&settings);
        assert!(counts.backbone > 0, "{}", preset.name);
        assert!(training_bytes(&settings, counts.student) > 20 * counts.student as u64);
    }
    let mut settings = presets()[0].settings().expect("demo");
    settings.head.norm = HeadNorm::Batch;
    let device = burn::tensor::Device::flex();
    let specs = Network::student(&settings).specs();
    let built = Parameters::init(&specs, 0, &device);
    let counts = parameters(&settings);
    assert_eq!(counts.student, built.count());
    assert_eq!(counts.backbone, backbone_parameters(&built));
}

#[test]
fn a_run_lasts_as_long_as_its_limits_allow() {
    let mut settings = small();
    let step = seconds_per_step(&settings, 1e12);
    near(run_seconds(&settings, 10, 1e12), 1000.0 * step, 1e-9);
    settings.run.max_steps = 30;
    near(run_seconds(&settings, 10, 1e12), 30.0 * step, 1e-9);
    settings.run.max_minutes = 0.01;
    near(run_seconds(&settings, 10, 1e12), 0.6, 1e-9);
    settings.run.max_minutes = 0.0;
    assert_eq!(run_seconds(&settings, 10, 0.0), f64::INFINITY);
    assert_eq!(total_steps(&settings, usize::MAX), 30);
}
