//! The shader and the CPU make the same picture of every layer.

use std::cell::RefCell;
use std::rc::Rc;

use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, kittest::Queryable};

use super::*;

/// Colours that change everywhere, so that a shifted pixel is seen.
fn picture(width: usize, height: usize) -> Picture {
    let texel = |i: usize| {
        let (x, y) = (i % width, i / width);
        let wave = |v: f32| (127.5 + 127.0 * v.sin()) as u8;
        [
            wave(x as f32 * 0.9 + y as f32 * 0.3),
            wave(y as f32 * 0.7),
            (x * 255 / width) as u8,
        ]
    };
    Picture {
        width,
        height,
        rgb: (0..width * height).flat_map(texel).collect(),
    }
}

fn layers(grid: usize) -> Vec<Layer> {
    let cells = 0..grid * grid;
    let values: Vec<f32> = cells
        .clone()
        .map(|i| {
            if i == 5 {
                f32::NAN
            } else {
                (i as f32 * 0.37).sin() * 0.6 + 0.5
            }
        })
        .collect();
    let map = |colours, smooth| Map { colours, smooth };
    let tint = |i: usize| {
        let [r, g, b] = draw::kind(i);
        [r, g, b, (i * 40 % 256) as u8]
    };
    vec![
        Layer::None,
        Layer::Mask(cells.clone().map(|i| i % 3 == 0).collect()),
        Layer::Heat(values.clone(), map(Colours::Viridis, false)),
        Layer::Heat(values, map(Colours::Inferno, true)),
        Layer::Tint(cells.map(tint).collect()),
        Layer::Tint(vec![[255, 0, 0, 255]; 3]),
    ]
}

fn renderer() -> Option<WgpuTestRenderer> {
    // It panics where there is no adapter.
    let made = std::panic::catch_unwind(|| {
        create_render_state(
            default_wgpu_setup(),
            egui_wgpu::RendererOptions::PREDICTABLE,
        )
    });
    let Ok(state) = made else {
        assert!(
            std::env::var_os("PATCHLIGHT_REQUIRE_VULKAN").is_none(),
            "PATCHLIGHT_REQUIRE_VULKAN is set, but there is no adapter"
        );
        return None;
    };
    install(&state);
    Some(WgpuTestRenderer::from_render_state(state))
}

/// Pixels of `drawn` from `left`, `top` on that differ from `wanted` by more than 2, and the number
/// that was compared.
fn differences(drawn: &image::RgbaImage, rect: Rect, wanted: &egui::ColorImage) -> (usize, usize) {
    let (mut apart, mut compared) = (0, 0);
    for (i, pixel) in wanted.pixels.iter().enumerate() {
        let x = rect.min.x.round() as i64 + (i % wanted.size[0]) as i64;
        let y = rect.min.y.round() as i64 + (i / wanted.size[0]) as i64;
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            continue;
        };
        if let Some(found) = drawn.get_pixel_checked(x, y) {
            compared += 1;
            let pairs = found.0.iter().zip(pixel.to_array());
            apart += usize::from(pairs.into_iter().any(|(a, b)| a.abs_diff(b) > 2));
        }
    }
    (apart, compared)
}

#[test]
fn the_shader_draws_what_the_cpu_draws() {
    let Some(renderer) = renderer() else {
        return;
    };
    let pictures = [picture(32, 32), picture(300, 260)];
    let chosen = [0, 8, 48, 999];
    let mut shown: Vec<Overlay> = vec![];
    for (n, picture) in pictures.iter().enumerate() {
        shown.extend(layers(7).into_iter().map(|layer| Overlay {
            picture,
            grid: 7,
            layer,
            opacity: 0.6,
            lines: n == 0,
            chosen: &chosen[..4 * n],
        }));
    }
    let rects = Rc::new(RefCell::new(vec![]));
    let seen = Rc::clone(&rects);
    let mut harness = Harness::builder()
        .with_size([620.0, 480.0])
        .renderer(renderer)
        .build_ui(|ui| {
            seen.borrow_mut().clear();
            ui.spacing_mut().item_spacing = egui::vec2(5.0, 5.0);
            // The last one stands partly outside the screen.
            egui::Grid::new("all").show(ui, |ui| {
                for (i, overlay) in shown.iter().enumerate() {
                    let response = show(ui, i, overlay, 131.0, true);
                    seen.borrow_mut().push(response.rect);
                    if i % 4 == 3 {
                        ui.end_row();
                    }
                }
            });
            let rect = Rect::from_min_size(egui::pos2(560.0, 420.0), egui::Vec2::splat(100.0));
            ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
                seen.borrow_mut()
                    .push(show(ui, "out", &shown[3], 100.0, true).rect);
            });
        });
    harness.run_steps(2);
    let drawn = harness.render().unwrap();
    assert_eq!(rects.borrow().len(), 13);
    for (i, rect) in rects.borrow().iter().enumerate() {
        let overlay = shown.get(i).unwrap_or(&shown[3]);
        let wanted = compose(overlay, rect.width().round() as usize);
        let (apart, compared) = differences(&drawn, *rect, &wanted);
        assert!(compared >= 60 * 60, "{i}: {compared} pixels at {rect}");
        assert!(
            apart * 100 <= compared,
            "{i}: {apart} of {compared} pixels differ: {:?}",
            overlay.layer
        );
    }
}

#[test]
fn layers_change_what_they_should() {
    let grey = Picture::filled(16, 16, [100; 3]);
    let overlay = Overlay {
        picture: &grey,
        grid: 4,
        layer: Layer::Tint(vec![[200, 0, 100, 255]]),
        opacity: 0.5,
        lines: false,
        chosen: &[5],
    };
    let at = |image: &egui::ColorImage, x: usize, y: usize| image.pixels[y * image.size[0] + x];
    let image = compose(&overlay, 64);
    assert_eq!(at(&image, 3, 3), egui::Color32::from_rgb(150, 50, 100));
    assert_eq!(at(&image, 60, 60), egui::Color32::from_rgb(100, 100, 100));
    let accent = Mode::Dark.theme().accent;
    assert_eq!((at(&image, 16, 24), at(&image, 31, 31)), (accent, accent));
    assert_ne!(at(&image, 24, 24), accent);
    assert_ne!(at(&image, 15, 24), accent);
    let masked = Overlay {
        layer: Layer::Mask(vec![true]),
        opacity: f32::NAN,
        ..overlay.clone()
    };
    assert_eq!(
        at(&compose(&masked, 64), 3, 3),
        egui::Color32::from_rgb(100, 100, 100)
    );
    let broken = Picture {
        width: 9,
        height: 9,
        rgb: vec![1, 2],
    };
    let odd = Overlay {
        picture: &broken,
        grid: 0,
        layer: Layer::Heat(vec![f32::NAN], Map::default()),
        ..overlay
    };
    assert_eq!(compose(&odd, 0).size, [1, 1]);
}

#[test]
fn patches_are_found_by_pointer_and_by_key() {
    let grey = Picture::filled(8, 8, [90; 3]);
    let state: (Option<usize>, Option<usize>) = (None, None);
    let mut harness = Harness::new_ui_state(
        |ui, (clicked, moved): &mut (Option<usize>, Option<usize>)| {
            let overlay = Overlay {
                picture: &grey,
                grid: 5,
                layer: Layer::None,
                opacity: 1.0,
                lines: true,
                chosen: &[],
            };
            let response = show(ui, "one", &overlay, 100.0, false);
            if let Some(pos) = response.interact_pointer_pos() {
                *clicked = patch_at(&response, pos, 5);
            }
            *moved = patch_by_key(ui, &response, *moved, 5).or(*moved);
            assert_eq!(
                patch_at(&response, response.rect.min - egui::vec2(1.0, 0.0), 5),
                None
            );
            assert_eq!(patch_at(&response, response.rect.max, 5), Some(24));
        },
        state,
    );
    harness.get_by_label("Picture of 5 by 5 patches").click();
    harness.run_steps(2);
    assert_eq!(harness.state().0, Some(12));
    harness.get_by_label("Picture of 5 by 5 patches").focus();
    harness.run_steps(3);
    harness.key_press(Key::ArrowDown);
    harness.run_steps(2);
    assert_eq!(harness.state().1, Some(17));
}
