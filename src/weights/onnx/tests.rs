//! Files are read back field by field, and their graphs followed from input to output.

mod networks;
mod reader;

use std::collections::{BTreeMap, BTreeSet};

use super::{About, OnnxError, swin, vit};
use crate::model::{Swin, Vit};
use networks::{swin_weights, tiny_swin, tiny_vit, vit_weights};
use reader::Fields;

fn about() -> About {
    About {
        name: "tiny".to_owned(),
        mean: [0.5, 0.25, 0.125],
        std: [1.0, 2.0, 3.0],
    }
}

/// Name and axes of an input or output: numbers or names.
fn value(value: &Fields) -> (String, Vec<String>) {
    let tensor = value.message(2).message(1);
    assert_eq!(tensor.integers(1), [1], "floats");
    let axis = |axis: &Fields| match axis.integers(1)[..] {
        [length] => length.to_string(),
        _ => axis.text(2),
    };
    let axes = tensor.message(2).messages(1);
    (value.text(1), axes.iter().map(axis).collect())
}

/// Shape and elements of every constant that holds floats; the others are only checked.
fn constants(graph: &Fields) -> BTreeMap<String, (Vec<i64>, Vec<f32>)> {
    let constant = |tensor: &Fields| {
        let (shape, [raw]) = (tensor.integers(1), &tensor.bytes(9)[..]) else {
            panic!("not one run of bytes")
        };
        let size = match tensor.integers(2)[..] {
            [1] => 4,
            [7] => 8,
            ref other => panic!("type {other:?}"),
        };
        assert_eq!(shape.iter().product::<i64>() as usize * size, raw.len());
        let floats = raw.chunks_exact(4);
        let floats = floats.map(|four| f32::from_le_bytes(four.try_into().expect("four")));
        (tensor.text(8), (shape, floats.collect()))
    };
    graph.messages(5).iter().map(constant).collect()
}

/// Follows the nodes in order: every input must exist by then, no name be given twice, no constant be idle.
fn follow(graph: &Fields) -> BTreeSet<String> {
    let constants = constants(graph);
    let mut known: BTreeSet<String> = constants.keys().cloned().collect();
    assert_eq!(
        graph.messages(5).len(),
        known.len(),
        "constants with one name"
    );
    known.extend(graph.messages(11).iter().map(|input| value(input).0));
    let mut read = BTreeSet::new();
    let mut operators = BTreeSet::new();
    for node in graph.messages(1) {
        for input in node.texts(1) {
            assert!(known.contains(&input), "{} reads {input}", node.text(3));
            read.insert(input);
        }
        for output in node.texts(2) {
            assert!(known.insert(output.clone()), "{output} given twice");
        }
        operators.insert(node.text(4));
    }
    for output in graph.messages(12) {
        read.insert(value(&output).0);
    }
    assert_eq!(known, read, "all values are read or come out");
    operators
}

/// The metadata of a file.
fn notes(model: &Fields) -> BTreeMap<String, String> {
    let notes = model.messages(14);
    notes.iter().map(|n| (n.text(1), n.text(2))).collect()
}

#[test]
fn a_vit_file_declares_what_it_takes_and_gives() {
    let bytes = vit(&tiny_vit(), &vit_weights(), &about()).expect("a file");
    let model = Fields::read(&bytes);
    assert_eq!(model.integers(1), [8], "generation of the format");
    assert_eq!(model.message(8).integers(2), [17], "operator set");
    let notes = notes(&model);
    let note = |key: &str| notes[key].as_str();
    assert_eq!((note("name"), note("kind")), ("tiny", "vit"));
    assert_eq!((note("patch_size"), note("registers")), ("4", "2"));
    assert_eq!(note("mean"), "[0.5, 0.25, 0.125]");
    assert_eq!(note("std"), "[1.0, 2.0, 3.0]");
    let graph = model.message(7);
    let (name, axes) = value(&graph.message(11));
    assert_eq!(
        (name.as_str(), axes.join(" ")),
        ("image", "batch 3 height width".into())
    );
    let (name, axes) = value(&graph.message(12));
    assert_eq!(
        (name.as_str(), axes.join(" ")),
        ("tokens", "batch tokens 6".into())
    );
}

#[test]
fn every_node_of_a_vit_reads_what_was_there_before() {
    for mean_pool in [false, true] {
        for (registers, layer_scale, qkv_bias) in [(0, 0.0, false), (2, 1.0, true)] {
            let network = Vit {
                mean_pool,
                registers,
                layer_scale,
                qkv_bias,
                ..tiny_vit()
            };
            let bytes = vit(&network, &vit_weights(), &about()).expect("a file");
            let graph = Fields::read(&bytes).message(7);
            let operators = follow(&graph);
            assert!(operators.contains("LayerNormalization") && operators.contains("Erf"));
            let constants = constants(&graph);
            assert_eq!(constants.contains_key("fc_norm.weight"), mean_pool);
            assert_eq!(constants.contains_key("register_tokens"), registers > 0);
            assert_eq!(
                constants.contains_key("blocks.1.gamma_2"),
                layer_scale > 0.0
            );
            assert_eq!(constants.contains_key("blocks.0.attn.qkv.bias"), qkv_bias);
        }
    }
}

#[test]
fn linear_weights_are_transposed_and_others_kept() {
    let bytes = vit(&tiny_vit(), &vit_weights(), &about()).expect("a file");
    let constants = constants(&Fields::read(&bytes).message(7));
    let (shape, elements) = &constants["blocks.1.mlp.fc1.weight"];
    // Row r, column c of the [12, 6] weight counts 6 r + c; its columns follow one another here.
    assert_eq!(shape, &[6, 12]);
    assert_eq!(elements[..4], [0.0, 6.0, 12.0, 18.0]);
    assert_eq!(elements[12..14], [1.0, 7.0]);
    let (shape, elements) = &constants["patch_embed.proj.weight"];
    assert_eq!((&shape[..], elements[5]), (&[6, 3, 4, 4][..], 5.0));
}

#[test]
fn a_swin_file_has_one_size_and_its_graph_holds_together() {
    // 7 x 5 tokens in the first stage and 4 x 3 in the second, none of them whole windows.
    let bytes = swin(&tiny_swin(), &swin_weights(), [14, 10], &about()).expect("a file");
    let model = Fields::read(&bytes);
    assert_eq!(notes(&model)["grid"], "[4, 3]");
    let graph = model.message(7);
    assert_eq!(value(&graph.message(11)).1.join(" "), "batch 3 14 10");
    assert_eq!(value(&graph.message(12)).1.join(" "), "batch 13 8");
    let operators = follow(&graph);
    assert!(operators.contains("Pad") && operators.contains("Slice"));
}

#[test]
fn position_bias_and_mask_of_a_window_are_written_out() {
    let bytes = swin(&tiny_swin(), &swin_weights(), [16, 16], &about()).expect("a file");
    let constants = constants(&Fields::read(&bytes).message(7));
    let (shape, bias) = &constants["layers.0.blocks.0.attn.relative_position_bias"];
    assert_eq!(shape, &[2, 16, 16]);
    // Row 24 of the 7 x 7 table is its middle; the table counts 2 row + head.
    assert_eq!((bias[0], bias[256 + 17]), (48.0, 49.0));
    // Query 0 looks at key 15, three rows and three columns ahead: row 0. Back again: row 48.
    assert_eq!((bias[15], bias[15 * 16]), (0.0, 96.0));
    let (shape, mask) = &constants["mask.8x8.4.2"];
    assert_eq!(shape, &[4, 1, 16, 16]);
    assert_eq!(mask[..256], [0.0; 256], "the first window is whole");
    // In the last window the first token sees its own quarter only: keys 0, 1, 4 and 5.
    let seen: Vec<_> = (0..16).filter(|&key| mask[3 * 256 + key] == 0.0).collect();
    assert_eq!(seen, [0, 1, 4, 5]);
    assert_eq!(mask[3 * 256 + 2], -100.0);
}

#[test]
fn weights_of_another_network_are_refused() {
    let mut weights = vit_weights();
    weights.remove("backbone.blocks.1.norm2.bias");
    let error = vit(&tiny_vit(), &weights, &about()).expect_err("a gap");
    assert!(
        error
            .to_string()
            .contains("\"backbone.blocks.1.norm2.bias\"")
    );
    let network = Vit {
        image: 16,
        ..tiny_vit()
    };
    let error = vit(&network, &vit_weights(), &about()).expect_err("other positions");
    let error = error.to_string();
    assert!(
        error.contains("[1, 10, 6]") && error.contains("[1, 17, 6]"),
        "{error}"
    );
    let mut weights = swin_weights();
    let table = weights.get_mut("norm.bias").expect("the norm");
    table.data.pop();
    let error = swin(&tiny_swin(), &weights, [16, 16], &about()).expect_err("too few");
    assert!(matches!(
        error,
        OnnxError::Count {
            found: 7,
            expected: 8,
            ..
        }
    ));
}

#[test]
fn sizes_and_descriptions_that_do_not_fit_are_refused() {
    let size = |size| swin(&tiny_swin(), &swin_weights(), size, &about());
    let error = size([16, 15]).expect_err("not whole patches");
    let expected = OnnxError::Size {
        height: 16,
        width: 15,
        patch: 2,
    };
    assert_eq!(error, expected);
    assert!(size([0, 16]).is_err());
    let network = Vit {
        heads: 4,
        ..tiny_vit()
    };
    let error = vit(&network, &vit_weights(), &about()).expect_err("4 heads of 6");
    assert!(matches!(error, OnnxError::Description(_)));
    let network = Swin {
        heads: vec![2],
        ..tiny_swin()
    };
    assert!(swin(&network, &swin_weights(), [16, 16], &about()).is_err());
}
