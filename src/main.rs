use patchlight::data::Batch;
use patchlight::pretrain::{Stopwatch, Trainer, schedules::Scheduled};
use patchlight::settings::{Arch, Settings};
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    let mut s = Settings::default();
    s.model.arch = Arch::VitTiny;
    s.model.patch = 4;
    s.views.global_size = 32;
    s.run.batch = 32;
    s.head.shared = true;
    s.head.norm_last_layer = false;
    s.mask.ratio = vec![0.0, 0.3];
    let b = std::env::args().nth(1).as_deref() == Some("b");
    if b {
        s.model.arch = Arch::VitSmall;
        s.model.patch = 16;
        s.views.global_size = 224;
        s.views.local_crops = 2;
        s.run.batch = 4;
    }
    let side = s.views.global_size;
    let n = (side / s.model.patch).pow(2);
    let batch = s.run.batch;
    let fill = |n: usize| (0..n).map(|i| ((i * 7919 % 1000) as f32) / 500.0 - 1.0).collect::<Vec<_>>();
    let device = burn::tensor::Device::flex();
    let mut t = Trainer::new(&s, &device);
    let data = Batch { epoch: 0, step: 0, images: (0..batch).collect(), globals: fill(2 * batch * 3 * side * side),
        locals: fill(if b { 2 * batch * 3 * 96 * 96 } else { 0 }), masks: (0..2 * batch * n).map(|i| (i / n) % 2 == 0 && i % 10 < 3).collect(), failures: vec![] };
    let now = Scheduled { lr: 1e-4, weight_decay: 0.04, momentum: 0.996, teacher_temp: 0.04, teacher_patch_temp: 0.05 };
    for i in 0..6 {
        if i == 2 { t.stopwatch = Stopwatch::running(); }
        let start = std::time::Instant::now();
        let r = t.step(&data, i, 0, now).read();
        println!("{i} {:.3}s loss {} {:?} {:?} ent {} {} gn {}", start.elapsed().as_secs_f64(), r.loss, r.class, r.patch, r.entropy_class, r.entropy_patch, r.grad_norm());
    }
    for (n, s) in t.stopwatch.laps() { println!("{n:20} {:.3}", s / 4.0); }
    let st = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", st.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
