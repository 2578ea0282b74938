//! RandAugment's operations against pictures that Pillow made (`scripts/finetune_fixture.py`).

use std::path::Path;

use safetensors::SafeTensors;

use super::*;

fn pillow() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/fixtures/finetune/operations.safetensors");
    std::fs::read(file).expect("the fixture is there")
}

fn tensor(file: &SafeTensors, name: &str) -> Picture {
    let tensor = file.tensor(name).expect("named in the fixture");
    Picture {
        width: tensor.shape()[1],
        height: tensor.shape()[0],
        rgb: tensor.data().to_vec(),
    }
}

fn operation(kind: &str, argument: f64) -> Operation {
    match kind {
        "autocontrast" => Operation::AutoContrast,
        "equalise" => Operation::Equalise,
        "invert" => Operation::Invert,
        "rotate" => Operation::Rotate(argument),
        "posterise" => Operation::Posterise(argument as u32),
        "solarise" => Operation::Solarise(argument as u16),
        "solarise_add" => Operation::SolariseAdd(argument as u8),
        "saturation" => Operation::Saturation(argument as f32),
        "contrast" => Operation::Contrast(argument as f32),
        "brightness" => Operation::Brightness(argument as f32),
        "sharpness" => Operation::Sharpness(argument as f32),
        "shear_x" => Operation::ShearX(argument),
        "shear_y" => Operation::ShearY(argument),
        "translate_x" => Operation::TranslateX(argument),
        "translate_y" => Operation::TranslateY(argument),
        other => panic!("no operation {other}"),
    }
}

#[test]
fn operations_equal_pillows() {
    let bytes = pillow();
    let file = SafeTensors::deserialize(&bytes).expect("a fixture");
    let mut compared = 0;
    for name in file.names() {
        let [number, kind, argument] = name.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let mut got = tensor(&file, &format!("picture {number}"));
        operation(kind, argument.parse().expect("a number")).apply(&mut got, FILL);
        let expected = tensor(&file, name);
        let wrong = got.rgb.iter().zip(&expected.rgb).filter(|(a, b)| a != b);
        assert_eq!(got.rgb.len(), expected.rgb.len(), "{name}");
        assert_eq!(wrong.count(), 0, "{name}");
        compared += 1;
    }
    // 27 operations and arguments on each of two pictures.
    assert_eq!(compared, 54);
}

#[test]
fn pictures_without_contrast_or_neighbours_stay() {
    for (width, height) in [(20, 30), (2, 2), (1, 9), (0, 0), (0, 4)] {
        let flat = Picture {
            width,
            height,
            rgb: vec![200; width * height * 3],
        };
        for kind in ["autocontrast", "equalise", "sharpness", "rotate"] {
            let mut picture = flat.clone();
            operation(kind, 1.7).apply(&mut picture, [200; 3]);
            assert_eq!(picture, flat, "{kind} of {width}x{height}");
        }
    }
}

#[test]
fn rand_augment_changes_a_picture_as_much_as_timms() {
    let bytes = pillow();
    let file = SafeTensors::deserialize(&bytes).expect("a fixture");
    let original = tensor(&file, "picture 0");
    let total = 20_000;
    let (mut mean, mut change, mut same) = (0.0, 0.0, 0.0);
    for index in 0..total {
        let mut picture = original.clone();
        for operation in RandAugment::default().draw(&mut key(index).stream(ALTERATION)) {
            operation.apply(&mut picture, FILL);
        }
        for (&value, &before) in picture.rgb.iter().zip(&original.rgb) {
            mean += f64::from(value);
            change += f64::from(value.abs_diff(before));
            same += f64::from(value == before);
        }
    }
    let values = (total * original.rgb.len()) as f64;
    assert!((mean / values - 111.47).abs() < 1.2);
    assert!((change / values - 39.92).abs() < 1.2);
    assert!((same / values - 0.2893).abs() < 0.015);
}
