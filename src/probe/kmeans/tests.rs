//! Clusters that are known, and what happens at the edges.

use super::*;
use crate::model::Init;
use crate::probe::clusters::compare;

/// Rows around `clusters` corners of a cube, 20 apart.
fn blobs(rows: usize, clusters: usize) -> (Features, Vec<u32>) {
    let mut data = Init::Normal(1.0).fill(rows * 4, 3, "blobs");
    let labels: Vec<u32> = (0..rows).map(|i| (i * i % clusters) as u32).collect();
    for (row, label) in data.chunks_mut(4).zip(&labels) {
        for (bit, x) in row.iter_mut().enumerate() {
            *x += 20.0 * (label >> bit & 1) as f32;
        }
    }
    (Features { dim: 4, data }, labels)
}

#[test]
fn far_blobs_are_found() {
    let (features, labels) = blobs(700, 13);
    let found = kmeans(
        &features,
        &KmeansOptions::new(compare(&labels, &labels).unwrap().classes),
    );
    let found = found.unwrap();
    let scores = compare(&labels, &found.assignments).unwrap();
    assert_eq!((scores.ari, found.converged), (1.0, true));
    // Variance 1 in four directions, less one degree of freedom a cluster.
    assert!(
        (found.inertia / (700.0 * 4.0) - 1.0).abs() < 0.1,
        "{}",
        found.inertia
    );
}

#[test]
fn four_points_by_hand() {
    let features = Features {
        dim: 1,
        data: vec![0.0, 1.0, 10.0, 12.0],
    };
    let found = kmeans(&features, &KmeansOptions::new(2)).unwrap();
    let mut centres = found.centres.clone();
    centres.sort_by(f32::total_cmp);
    assert_eq!((centres, found.inertia), (vec![0.5, 11.0], 2.5));
    assert_eq!(found.assignments[0], found.assignments[1]);
    let all = kmeans(&features, &KmeansOptions::new(4)).unwrap();
    assert_eq!(all.inertia, 0.0);
}

#[test]
fn an_empty_cluster_takes_the_farthest_row() {
    let features = Features {
        dim: 1,
        data: vec![0.0, 1.0, 9.0],
    };
    let mut centres = vec![0.0, 100.0];
    let mut nearest = assign(&features, &centres);
    move_centres(&features, &mut nearest, &mut centres);
    assert_eq!(centres, [0.5, 9.0]);
}

#[test]
fn the_seed_decides_and_the_threads_do_not() {
    let features = Features {
        dim: 4,
        data: Init::Normal(1.0).fill(4 * 600, 5, "cloud"),
    };
    let on = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let options = KmeansOptions {
            restarts: 2,
            seed,
            ..KmeansOptions::new(7)
        };
        pool.unwrap()
            .install(|| kmeans(&features, &options).unwrap())
    };
    assert_eq!(on(1, 0), on(3, 0));
    assert_ne!(on(1, 0).assignments, on(1, 1).assignments);
}

#[test]
fn impossible_asks_are_errors() {
    let (features, _) = blobs(10, 2);
    let good = KmeansOptions::new(2);
    for bad in [
        KmeansOptions::new(0),
        KmeansOptions::new(11),
        KmeansOptions {
            restarts: 0,
            ..good
        },
        KmeansOptions {
            max_iterations: 0,
            ..good
        },
    ] {
        assert!(kmeans(&features, &bad).is_err());
    }
    // Equal rows leave no distance to draw by.
    let equal = Features {
        dim: 2,
        data: vec![1.0; 10],
    };
    assert_eq!(kmeans(&equal, &KmeansOptions::new(3)).unwrap().inertia, 0.0);
}
