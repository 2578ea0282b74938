//! What people look at, on the CPU and on a software Vulkan: the same network must show the same.

#![allow(
    clippy::print_stdout,
    reason = "what was compared belongs in the test's output"
)]

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Device;
use patchlight::data::Source;
use patchlight::data::parts::Parts;
use patchlight::explore::bank::{Bank, Grouping, Shown};
use patchlight::explore::clusters::ClusterSettings;
use patchlight::explore::patterns::{Order, patterns};
use patchlight::explore::{Cache, Encoder, Look, Of, Stopped, Walk};
use patchlight::session::encoder;

#[allow(
    dead_code,
    reason = "shared with the parity tests, which use all of it"
)]
#[path = "parity/fixture.rs"]
mod fixture;

fn cpu() -> Device {
    patchlight::device::choose("cpu").expect("the CPU").device
}

fn demo(device: &Device) -> Encoder {
    encoder::open("demo".as_ref(), false, None, device)
        .unwrap()
        .encoder
}

fn pictures(count: usize) -> Arc<dyn Source> {
    Arc::new(Parts::new(count, 64, 99))
}

fn build(encoder: &Encoder, count: usize, grouping: Grouping, cache: &Cache) -> Bank {
    let mut go = |_| ControlFlow::Continue(());
    let source = pictures(count);
    Bank::build(&mut Walk::new(encoder, &source, &mut go), grouping, cache).unwrap()
}

const CLUSTERS: Grouping = Grouping::Clusters(ClusterSettings {
    count: 64,
    block: 2,
    seed: 0,
});

#[test]
fn a_software_gpu_shows_what_the_cpu_shows() {
    let Some(gpu) = fixture::software_vulkan("explore") else {
        return;
    };
    let (here, there) = (demo(&cpu()), demo(&gpu));
    assert_eq!(here.fingerprint(), there.fingerprint());
    for grouping in [Of::Patches, Of::Pictures].map(Grouping::Prototypes) {
        let build = |encoder| build(encoder, 48, grouping, &Cache::none());
        let (a, b) = (build(&here), build(&there));
        assert_eq!(a.pictures, b.pictures);
        let other = a.ids.iter().zip(&b.ids).filter(|(a, b)| a != b).count();
        // Two prototypes may be equally near but for the last digits.
        assert!(
            other * 200 <= a.ids.len(),
            "{other} of {} differ",
            a.ids.len()
        );
        let off = a.values.iter().zip(&b.values).zip(a.ids.iter().zip(&b.ids));
        for ((x, y), (i, j)) in off {
            assert!(i != j || (x - y).abs() < 1e-4, "{x} {y}");
        }
    }
    let source = pictures(4);
    let views: Vec<_> = (0..4)
        .map(|i| Look::load(&here, &source, i).unwrap().view)
        .collect();
    for block in [0, here.last_block()] {
        let (a, b) = (
            here.attention(&views, block),
            there.attention(&views, block),
        );
        assert_eq!(a.len(), 4 * here.backbone.heads(block) * 64);
        for (x, y) in a.iter().zip(&b) {
            assert!((x - y).abs() < 1e-5, "{x} {y}");
        }
        for head in a.chunks(64) {
            let sum: f32 = head.iter().sum();
            assert!(sum > 0.5 && sum < 1.0, "{sum}");
        }
    }
}

/// The instrument that runs are compared by: the network inside the program has clusters that stand
/// for parts, far above chance.
#[test]
fn clusters_of_the_demo_stand_for_parts() {
    let encoder = demo(&cpu());
    let bank = build(&encoder, 400, CLUSTERS, &Cache::none());
    let source = pictures(400);
    let shown = Shown::of(&encoder, &*source, &bank).unwrap();
    let found = patterns(&bank, &*source, shown.as_ref(), Order::Purity, 12, 8);
    let names: std::collections::BTreeSet<_> = found
        .iter()
        .filter_map(|p| p.shows.as_ref().filter(|s| s.purity > 0.2))
        .map(|s| s.name.as_str())
        .collect();
    // By chance no part would be met in more than one patch of twenty.
    assert!(names.len() >= 4, "{names:?}");
    assert!(names.contains("stripe"), "{names:?}");
}

#[test]
fn a_cache_is_used_when_nothing_changed_and_never_else() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let encoder = demo(&cpu());
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();
    let first = build(&encoder, 64, CLUSTERS, &cache);
    assert_eq!(entries(), 2, "the clusters and the bank");
    // A second look walks over nothing: it would be stopped at once.
    let source = pictures(64);
    let mut stop = |_| ControlFlow::Break(());
    let mut walk = Walk::new(&encoder, &source, &mut stop);
    assert_eq!(Bank::build(&mut walk, CLUSTERS, &cache).unwrap(), first);
    // Other pictures of the same names, other settings: stopped, and nothing is kept.
    let others: Arc<dyn Source> = Arc::new(Parts::new(64, 64, 100));
    let mut walk = Walk::new(&encoder, &others, &mut stop);
    let error = Bank::build(&mut walk, CLUSTERS, &cache).unwrap_err();
    assert!(error.is::<Stopped>(), "{error}");
    let mut walk = Walk::new(&encoder, &source, &mut stop);
    let grouping = Grouping::Prototypes(Of::Patches);
    assert!(Bank::build(&mut walk, grouping, &cache).is_err());
    let smaller = encoder.clone().at(48).unwrap();
    let mut walk = Walk::new(&smaller, &source, &mut stop);
    assert!(Bank::build(&mut walk, CLUSTERS, &cache).is_err());
    assert_eq!(entries(), 2);
}

#[test]
fn what_cannot_be_done_is_explained() {
    let device = cpu();
    let encoder = demo(&device);
    let error = encoder.clone().at(100).unwrap_err().to_string();
    assert!(error.contains("96 and 104"), "{error}");
    let error = encoder.focused(4).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("blocks 0 to 3"), "{error}");

    let mut headless = encoder;
    headless.prototypes = None;
    let mut go = |_| ControlFlow::Continue(());
    let source = pictures(4);
    let mut walk = Walk::new(&headless, &source, &mut go);
    let grouping = Grouping::Prototypes(Of::Patches);
    let error = Bank::build(&mut walk, grouping, &Cache::none()).unwrap_err();
    assert!(error.to_string().contains("--clusters"), "{error}");
    let many = Grouping::Clusters(ClusterSettings {
        count: 1000,
        block: 0,
        seed: 0,
    });
    let error = Bank::build(&mut walk, many, &Cache::none()).unwrap_err();
    assert!(error.to_string().contains("ask for fewer"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.png");
    pictures(1).load(0).unwrap().save_png(&picture).unwrap();
    let broken = patchlight::data::open::open(
        folder.path().to_str().unwrap(),
        patchlight::data::cifar::Split::Train,
    );
    let broken = broken.unwrap().source;
    std::fs::remove_file(picture).unwrap();
    let mut walk = Walk::new(&headless, &broken, &mut go);
    let error = Bank::build(&mut walk, CLUSTERS, &Cache::none()).unwrap_err();
    assert!(error.to_string().contains("a.png"), "{error}");

    let weights = folder.path().join("w.safetensors");
    std::fs::write(&weights, "no weights").unwrap();
    let error = encoder::open(&weights, false, None, &device).err().unwrap();
    assert!(error.to_string().contains("w.safetensors"), "{error}");
}
