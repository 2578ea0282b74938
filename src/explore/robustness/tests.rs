//! What damage may and may not change.

use burn::tensor::Device;

use super::*;
use crate::data::parts::Parts;
use crate::explore::damage::{Order, grids_of};
use crate::model::{Parameters, Vit};

fn encoder() -> Encoder {
    let device = Device::flex();
    let vit = Vit {
        image: 32,
        patch: 8,
        dim: 24,
        depth: 2,
        heads: 2,
        mlp_ratio: 2.0,
        prefix: String::new(),
        ..Vit::default()
    };
    let mut weights = Parameters::init(&vit.specs(), 5, &device).to_host();
    for (name, tensor) in &mut weights {
        let strong = ["qkv.weight", "attn.proj.weight", "pos_embed"];
        if strong.iter().any(|part| name.contains(part)) {
            tensor.data.iter_mut().for_each(|w| *w *= 20.0);
        }
    }
    Encoder::new(vit.into(), None, &weights, "tiny".into(), &device).unwrap()
}

#[test]
fn nothing_is_lost_without_damage_and_more_with_more() {
    let encoder = encoder();
    let source: Arc<dyn Source> = Arc::new(Parts::new(48, 32, 9));
    assert_eq!(grids_of(&encoder), [2, 4]);
    let damages = Damage::list(&encoder, &[0.0, 0.25, 1.0], &[1, 4]).unwrap();
    assert_eq!(damages.len(), 3 * 3 + 2);
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    let mut most = 0;
    let mut tell = |progress: Progress| {
        most = most.max(progress.total);
        ControlFlow::Continue(())
    };
    let mut walk = Walk::new(&encoder, &source, &mut tell);
    let result = measure(&mut walk, &cache, &damages).unwrap();
    assert_eq!((result.pictures, result.neighbours), (48, 10));
    assert_eq!(most, 48 * damages.len());
    for outcome in &result.outcomes {
        match outcome.damage {
            Damage::Hidden { share: 0.0, .. } | Damage::Shuffled { cells: 1 } => {
                assert!((outcome.cosine - 1.0).abs() < 1e-6, "{outcome:?}");
                assert_eq!(outcome.accuracy, result.accuracy);
            }
            _ => assert!(outcome.cosine < 0.999, "{outcome:?}"),
        }
    }
    let cosine = |share: f64| {
        let order = Order::Random;
        let wanted = Damage::Hidden { order, share };
        let found = result.outcomes.iter().find(|o| o.damage == wanted);
        found.unwrap().cosine
    };
    assert!(cosine(1.0) < cosine(0.25));

    // From the cache the same, without a walk.
    let mut stop = |_| ControlFlow::Break(());
    let mut walk = Walk::new(&encoder, &source, &mut stop);
    assert_eq!(measure(&mut walk, &cache, &damages).unwrap(), result);
    let error = measure(&mut walk, &Cache::none(), &damages).unwrap_err();
    assert!(error.is::<Stopped>());

    let look = Look::load(&encoder, &source, 0).unwrap();
    let shown = example(&encoder, &look, &damages);
    assert_eq!(shown.len(), damages.len());
    assert_eq!(shown[0].0, look.view);
    assert!((shown[0].1 - 1.0).abs() < 1e-6);
    let grey = [124, 116, 104];
    assert!(
        shown[2]
            .0
            .rgb
            .as_chunks::<3>()
            .0
            .iter()
            .all(|pixel| *pixel == grey)
    );
}

#[test]
fn a_picture_has_no_vote_on_itself() {
    // Two classes, but each row is nearest to one of the other class: with a vote of its own, every
    // picture would be told right.
    let tokens = Features {
        dim: 2,
        data: vec![1.0, 0.0, 1.0, 0.01, 0.0, 1.0, 0.01, 1.0],
    };
    let whole = Whole {
        numbers: vec![0, 2, 5, 6],
        labels: vec![Some(0), Some(1), Some(0), Some(1)],
        classes: 2,
        voters: vec![0, 1, 2, 3],
        voting: tokens.clone(),
        tokens,
        neighbours: 1,
    };
    assert_eq!(whole.accuracy().unwrap(), Some(0.0));
    assert_eq!(whole.largest_class(), Some(0.5));
    // A damaged picture 5 that looks like picture 0 gets its class, which is right.
    let look = Look {
        index: 5,
        view: Picture::filled(1, 1, [0; 3]),
        parts: None,
    };
    let mut sum = Sum::default();
    let unread = Look {
        index: 3,
        ..look.clone()
    };
    sum.add(&whole, &[look, unread], vec![3.0, 0.0, 1.0, 1.0])
        .unwrap();
    assert_eq!((sum.pictures, sum.accuracy()), (1, Some(1.0)));
    assert!(sum.cosines.abs() < 1e-6);
}

#[test]
fn one_class_alone_is_not_classified() {
    let encoder = encoder();
    let source: Arc<dyn Source> = Arc::new(Parts::new(1, 32, 9));
    let damages = Damage::list(&encoder, &[0.5], &[]).unwrap();
    let mut tell = |_| ControlFlow::Continue(());
    let mut walk = Walk::new(&encoder, &source, &mut tell);
    let result = measure(&mut walk, &Cache::none(), &damages).unwrap();
    assert_eq!((result.accuracy, result.neighbours), (None, 0));
    assert_eq!(result.largest_class, Some(1.0));
    assert!(result.outcomes.iter().all(|o| o.accuracy.is_none()));
}

#[test]
fn damages_that_cannot_be_are_named() {
    let encoder = encoder();
    assert!(Damage::list(&encoder, &[1.5], &[]).is_err());
    assert!(Damage::list(&encoder, &[f64::NAN], &[]).is_err());
    let error = Damage::list(&encoder, &[], &[5]).unwrap_err().to_string();
    assert!(error.contains("2, 4"), "{error}");
    assert!(Damage::list(&encoder, &[], &[0]).is_err());
}
