//! What a run costs, by hand and from published counts.

use super::*;
use crate::settings::preset;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

fn demo() -> Settings {
    preset("demo").and_then(|p| p.settings()).expect("preset")
}

#[test]
fn durations_and_sizes_are_short() {
    for (seconds, shown) in [
        (0.0004, "0.40 ms"),
        (0.034, "34 ms"),
        (1.84, "1.8 s"),
        (75.0, "75 s"),
        (720.0, "12 min"),
        (3599.0, "1 h 0 min"),
        (12_000.0, "3 h 20 min"),
        (183_600.0, "2 days 3 h"),
    ] {
        assert_eq!(duration(seconds), shown);
    }
    assert_eq!(large(21_665_664.0), "21.7 M");
    assert_eq!(large(262e9), "262 G");
    assert_eq!(large(12.0), "12 ");
    assert_eq!(bytes(3 << 29), "1.5 GiB");
    assert_eq!(short(1.234_56e-6), "1.23e-6");
    assert_eq!(short(0.9996), "1");
}

#[test]
fn what_is_not_known_is_not_said() {
    let settings = demo();
    let unknown = Cost::new(&settings, 0, 0.0);
    assert_eq!((unknown.steps, unknown.seconds), (None, None));
    assert_eq!(unknown.lines().len(), 3);
    let mut limited = settings.clone();
    limited.run.max_minutes = 5.0;
    let slow = Cost::new(&limited, 256, 0.0);
    assert_eq!((slow.steps, slow.seconds), (Some(48 * 256), None));
    let known = Cost::new(&settings, 256, 1e11);
    let lines = known.lines();
    assert_eq!(lines.len(), 4);
    assert!(lines[3].1.contains("12288 steps"), "{lines:?}");
}

#[test]
fn curves_are_the_schedules_over_the_epochs() {
    let curves = curves(&demo(), 256);
    for curve in &curves {
        assert_eq!(curve.points.len(), POINTS);
        assert_eq!(curve.points[0][0], 0.0);
        assert!((47.9..48.0).contains(&curve.points[POINTS - 1][0]));
    }
    assert_eq!(curves[0].points[0][1], 0.0);
    assert_eq!(curves[2].end(), "1");
    assert_eq!(curves[3].sentence(), "teacher temperature: always 0.02");
    let mut odd = demo();
    (odd.run.epochs, odd.optim.warmup_epochs) = (1, 1e5);
    for curve in super::curves(&odd, 0) {
        assert!(
            curve
                .points
                .iter()
                .all(|[x, y]| x.is_finite() && y.is_finite())
        );
    }
}

#[test]
fn cost_and_schedules_are_drawn_at_any_width() {
    for width in [60.0, 300.0, 900.0] {
        let mut harness = Harness::builder().with_size([width, 500.0]).build_ui(|ui| {
            let settings = demo();
            Cost::new(&settings, 256, 1e11).ui(ui);
            schedules_plot(ui, &settings, 256);
        });
        harness.run();
        harness.get_by_label("Memory");
        harness.get_by_label_contains("learning rate: from 0 to ");
        harness.get_by_label("teacher temperature: always 0.02");
    }
}
