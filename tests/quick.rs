use std::collections::BTreeMap;
use std::path::Path;
use burn::tensor::Device;
use patchlight::data::Batch;
use patchlight::model::{HostTensor, HostTensors, Parameters};
use patchlight::pretrain::{Trainer, schedules::{Plan, Schedules}};
use patchlight::settings::*;
fn read(p: &Path) -> BTreeMap<String, HostTensor> {
    let b = std::fs::read(p).unwrap();
    let f = safetensors::SafeTensors::deserialize(&b).unwrap();
    f.tensors().into_iter().map(|(n, v)| {
        let data: Vec<f32> = match v.dtype() {
            safetensors::Dtype::F32 => v.data().chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect(),
            safetensors::Dtype::U8 => v.data().iter().map(|&x| x as f32).collect(),
            safetensors::Dtype::F64 => v.data().chunks(8).map(|c| f64::from_le_bytes(c.try_into().unwrap()) as f32).collect(),
            _ => vec![],
        };
        (n, HostTensor { shape: v.shape().to_vec(), data })
    }).collect()
}
fn sub(t: &BTreeMap<String, HostTensor>, p: &str) -> HostTensors {
    t.iter().filter_map(|(n, t)| Some((n.strip_prefix(p)?.to_string(), t.clone()))).collect()
}
#[test]
fn quick() {
    for case in ["shared", "separate_default", "separate_clip", "no_local_noclip", "lars", "sgd"] {
        let dir = Path::new("tests/fixtures/ibot/train_steps").join(case);
        let m: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("meta.json")).unwrap()).unwrap();
        let (c, a, n) = (&m["config"], &m["config"]["args"], &m["config"]["net"]);
        let u = |v: &serde_json::Value| v.as_u64().unwrap() as usize;
        let f = |v: &serde_json::Value| v.as_f64().unwrap();
        let mut s = Settings::default();
        s.model.arch = Arch::Custom; s.model.dim = u(&n["dim"]); s.model.depth = u(&n["depth"]); s.model.heads = u(&n["heads"]); s.model.patch = u(&n["patch"]); s.model.drop_path = 0.0;
        s.views.global_size = u(&n["img"]); s.views.local_size = u(&n["local"]); s.views.global_crops = u(&a["global_crops_number"]); s.views.local_crops = u(&c["crops_used"]) - s.views.global_crops;
        s.run.batch = u(&c["batch"]); s.run.epochs = u(&c["epochs"]);
        s.head.out_dim = u(&a["out_dim"]); s.head.patch_out_dim = u(&a["patch_out_dim"]); s.head.shared = a["shared_head"].as_bool().unwrap(); s.head.shared_teacher = a["shared_head_teacher"].as_bool().unwrap();
        s.head.norm_last_layer = a["norm_last_layer"].as_bool().unwrap(); s.head.hidden = u(&n["hidden"]); s.head.bottleneck = u(&n["bottleneck"]);
        s.loss.lambda_cls = f(&a["lambda1"]); s.loss.lambda_patch = f(&a["lambda2"]);
        s.loss.warmup_teacher_temp = f(&a["warmup_teacher_temp"]); s.loss.teacher_temp = f(&a["teacher_temp"]); s.loss.warmup_teacher_patch_temp = f(&a["warmup_teacher_patch_temp"]); s.loss.teacher_patch_temp = f(&a["teacher_patch_temp"]); s.loss.warmup_teacher_temp_epochs = u(&a["warmup_teacher_temp_epochs"]);
        s.loss.masked_modeling = a["use_masked_im_modeling"].as_bool().unwrap();
        s.mask.start_epoch = u(&a["pred_start_epoch"]);
        s.optim.kind = match a["optimizer"].as_str().unwrap() { "sgd" => Optimizer::Sgd, "lars" => Optimizer::Lars, _ => Optimizer::AdamW };
        s.optim.lr = f(&a["lr"]); s.optim.min_lr = f(&a["min_lr"]); s.optim.warmup_epochs = f(&a["warmup_epochs"]); s.optim.weight_decay = f(&a["weight_decay"]); s.optim.weight_decay_end = f(&a["weight_decay_end"]); s.optim.clip = f(&a["clip_grad"]); s.optim.freeze_last_layer = u(&a["freeze_last_layer"]); s.optim.teacher_momentum = f(&a["momentum_teacher"]);
        for acc in [1, 2] {
        s.run.accumulate = acc;
        let device = Device::flex();
        let mut t = Trainer::new(&s, &device);
        let init = read(&dir.join("initial.safetensors"));
        t.student = Parameters::load(&t.student_network.specs(), &sub(&init, "student/"), &device).unwrap();
        t.teacher = Parameters::load(&t.teacher_network.specs(), &sub(&init, "teacher/"), &device).unwrap();
        let crops = read(&dir.join(c["crops_file"].as_str().unwrap()));
        let io = read(&dir.join("io.safetensors"));
        let npe = u(&c["niter_per_epoch"]);
        let sch = Schedules::new(Plan::new(&s, npe));
        let g = s.views.global_crops;
        let mut worst = 0f32;
        for i in 0..u(&c["iterations"]) {
            let cat = |r: std::ops::Range<usize>| r.flat_map(|v| crops[&format!("batch{}/crop{v}", i % npe)].data.clone()).collect::<Vec<f32>>();
            let b = Batch { epoch: i / npe, step: i % npe, images: (0..s.run.batch).collect(), globals: cat(0..g), locals: cat(g..g + s.views.local_crops),
                masks: (0..g).flat_map(|v| io[&format!("iter{i}/mask{v}")].data.iter().map(|&x| x > 0.0).collect::<Vec<_>>()).collect(), failures: vec![] };
            let r = t.step(&b, i, i / npe, sch.at(i)).read();
            let want = &io["losses"].data[i * 3..i * 3 + 3];
            let d = (r.loss - want[0]).abs().max((r.class.iter().sum::<f32>() - want[1]).abs());
            worst = worst.max(d.max((r.loss - want[2]).abs().min(d)));
            if i == 0 { println!("{case} {want:?} {} {:?} {:?}", r.loss, r.class, r.patch); }
        }
        let fin = read(&dir.join("final.safetensors"));
        let mut ww = (0f32, String::new());
        for (who, p) in [("student/", &t.student), ("teacher/", &t.teacher)] {
            for (name, h) in p.to_host() {
                let want = &fin[&format!("{who}{name}")];
                let dim = s.model.dim;
                for (j, (x, y)) in h.data.iter().zip(&want.data).enumerate() {
                    if name.ends_with("qkv.bias") && (dim..2 * dim).contains(&j) { continue; }
                    if (x - y).abs() > ww.0 { ww = ((x - y).abs(), format!("{who}{name}")); }
                }
            }
        }
        println!("{case} accumulate {acc}: loss dev {worst:e} (tol {}), weights {ww:?} (tol {})", m["suggested_atol"]["losses"], m["suggested_atol"]["weights"]);
        }
    }
}
