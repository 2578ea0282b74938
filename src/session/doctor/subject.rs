//! What doctor trains: a small model and the pictures it sees, made here so that the check depends on
//! no file and no decoder.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::data::Batch;
use crate::settings::{Arch, Settings};

/// A model that trains in an instant and yet goes through every kind of operation.
pub fn settings(wide: bool) -> Settings {
    let mut settings = Settings::default();
    let s = &mut settings;
    (s.run.epochs, s.run.batch, s.run.seed) = (2, if wide { 8 } else { 4 }, 7);
    (s.views.global_size, s.views.local_size) = if wide { (64, 32) } else { (32, 16) };
    (s.views.global_crops, s.views.local_crops) = (2, 2);
    (s.model.arch, s.model.patch) = (Arch::Custom, 8);
    (s.model.dim, s.model.depth, s.model.heads) = if wide { (192, 4, 3) } else { (32, 4, 2) };
    (s.head.out_dim, s.head.hidden, s.head.bottleneck) =
        if wide { (1024, 512, 128) } else { (64, 64, 32) };
    s.head.patch_out_dim = s.head.out_dim;
    s.head.norm_last_layer = false;
    s.optim.warmup_epochs = 0.0;
    // 1e-3 after scaling to the batch, and a teacher that visibly follows.
    s.optim.lr = 1e-3 * 256.0 / s.run.batch as f64;
    s.optim.teacher_momentum = 0.9;
    s.optim.clip = 0.1;
    // AdamW divides a gradient by its own size, rounding included, where it is larger than this; with
    // the usual 1e-8 the student would show nothing but the rounding of its smallest gradients.
    s.optim.eps = 1e-5;
    settings
}

/// Smooth waves of colour, some rows of patches masked: the same for both devices.
pub fn batch(settings: &Settings) -> Batch {
    let (views, pictures) = (&settings.views, settings.run.batch);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.run.seed);
    let mut crops = |images: usize, side: usize| -> Vec<f32> {
        let mut pixels = Vec::with_capacity(images * 3 * side * side);
        for _ in 0..images * 3 {
            let [x, y, phase, height] = [0; 4].map(|_| rng.random_range(-3.0..3.0_f32));
            let turn = std::f32::consts::TAU / side as f32;
            let wave = |i: usize| {
                let (column, row) = ((i % side) as f32, (i / side) as f32);
                height * ((column * x + row * y) * turn + phase).sin()
            };
            pixels.extend((0..side * side).map(wave));
        }
        pixels
    };
    let globals = crops(views.global_crops * pictures, views.global_size);
    let locals = crops(views.local_crops * pictures, views.local_size);
    let patches = (views.global_size / settings.model.cell()).pow(2);
    // Every fourth crop stays whole, as with a list of mask ratios.
    let rows = 0..views.global_crops * pictures;
    let masks = rows
        .flat_map(|row| vec![row % 4 != 3; patches])
        .map(|may| may && rng.random_bool(0.4));
    let masks = masks.collect();
    Batch {
        epoch: 0,
        step: 0,
        images: (0..pictures).collect(),
        globals,
        locals,
        masks,
        failures: Vec::new(),
    }
}
