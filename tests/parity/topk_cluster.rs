//! Which patches stand for a prototype, against the reference's selection.

use std::collections::BTreeSet;
use std::path::Path;

use patchlight::explore::bank::Bank;
use patchlight::explore::patterns::{Candidates, choose, most_populated};

use super::fixture::{Case, Tensors};

/// Runs every case under `<root>/topk_cluster`.
pub fn run(root: &Path) {
    for case in Case::all(root, "topk_cluster") {
        let files = case.meta["files"].as_object().expect("files");
        let cases = case.meta["cases"].as_object().expect("cases");
        let tensors: Vec<Tensors> = files.keys().map(|file| case.tensors(file)).collect();
        for (name, about) in cases {
            let has = |t: &&Tensors| t.0.contains_key(&format!("{name}/clusters"));
            let tensors = tensors.iter().find(has).expect("the tensors of the case");
            selection(name, &about["config"], tensors);
        }
    }
}

fn selection(name: &str, config: &serde_json::Value, tensors: &Tensors) {
    let get = |what: &str| tensors.get(&format!("{name}/{what}"));
    let size = |key: &str| config[key].as_u64().expect("a size") as usize;
    let map = get("probabilities");
    let kinds = *map.shape.last().expect("a shape");
    let (images, each) = match map.shape[..] {
        [images, each, _] => (images, each),
        [images, _] => (images, 1),
        _ => panic!("{name}: shape {:?}", map.shape),
    };
    let best = map.data.chunks(kinds).map(|row| {
        let better = |a: usize, b: usize| if row[b] > row[a] { b } else { a };
        let id = (0..kinds).reduce(better).expect("a prototype");
        (id as u32, row[id])
    });
    let (ids, values): (Vec<u32>, Vec<f32>) = best.unzip();
    let bank = Bank {
        pictures: (0..images as u32).collect(),
        each,
        ids,
        values,
        kinds,
    };
    let memory = get("memory_bank").data.as_chunks::<2>().0;
    for (row, [value, id]) in memory.iter().enumerate() {
        assert_eq!(
            (bank.values[row], bank.ids[row]),
            (*value, *id as u32),
            "{name}"
        );
    }
    let sizes = &get("num_per_cluster").data;
    for (population, size) in bank.populations().iter().zip(sizes) {
        assert_eq!(population.members, *size as usize, "{name}");
    }

    // Clusters of equal size come in any order: sizes are compared, and patterns by cluster.
    let clusters: Vec<u32> = get("clusters").data.iter().map(|&id| id as u32).collect();
    let found = most_populated(&bank, size("show_pics"));
    let size_of = |ids: &[u32]| -> Vec<f32> { ids.iter().map(|&id| sizes[id as usize]).collect() };
    let wanted: Vec<u32> = clusters
        .iter()
        .copied()
        .filter(|&id| sizes[id as usize] > 0.0)
        .collect();
    assert_eq!(size_of(&found), size_of(&wanted), "{name}");

    let patches = config["type"] == "patch";
    let count = if patches {
        2 * size("topk")
    } else {
        size("topk")
    };
    let grid = each.isqrt();
    let as_reference = choose(&bank, &clusters, count, Candidates::All);
    let shipped = choose(&bank, &clusters, count, Candidates::Members);
    for (rank, cluster) in clusters.iter().enumerate() {
        let values = &get(&format!("pattern{rank}_values")).data;
        let rows = get(&format!("pattern{rank}"));
        // Equal values come in any order.
        let place = |row: &[f32]| match *row {
            [image, y, x] => (image as usize, y as usize * grid + x as usize),
            [image] => (image as usize, 0),
            _ => panic!("{name}: a row of {} numbers", row.len()),
        };
        let width = rows.data.len() / values.len();
        let want: BTreeSet<_> = rows
            .data
            .chunks(width)
            .zip(values)
            .filter(|(_, value)| **value > 0.0)
            .map(|(row, value)| (value.to_bits(), place(row)))
            .collect();
        let positive = |choices: &[patchlight::explore::patterns::Choice]| -> BTreeSet<_> {
            let positive = choices.iter().filter(|c| c.value > 0.0);
            positive
                .map(|c| (c.value.to_bits(), (c.picture, c.patch)))
                .collect()
        };
        let found: Vec<f32> = as_reference[rank].iter().map(|c| c.value).collect();
        assert_eq!(&found, values, "{name}, cluster {cluster}");
        assert_eq!(
            positive(&as_reference[rank]),
            want,
            "{name}, cluster {cluster}"
        );
        assert_eq!(positive(&shipped[rank]), want, "{name}, cluster {cluster}");
        for choice in &shipped[rank] {
            let row = choice.picture * each + choice.patch;
            assert_eq!(bank.ids[row], *cluster, "{name}: a stranger for {cluster}");
        }
        println!(
            "topk_cluster {name}, cluster {cluster}: {} choices equal, {} of strangers left out",
            want.len(),
            values.len() - want.len()
        );
    }
}
