//! The fine-tunings that lie in a run's folder: accuracy and loss after every epoch.

use egui::RichText;
use egui_plot::{Legend, Line, Plot, PlotPoints};

use crate::app::theme;
use crate::session::tuning::Epoch;

/// Height of a plot, in points.
const HEIGHT: f32 = 180.0;

/// Draws them below the curves of the run itself; their axis is epochs, not steps.
pub fn draw(ui: &mut egui::Ui, tunings: &[(String, Vec<Epoch>)]) {
    if tunings.is_empty() {
        return;
    }
    ui.label(RichText::new("Fine-tuning by epoch").strong());
    ui.columns(2, |cells| {
        let top1 = |epoch: &Epoch| 100.0 * epoch.top1;
        plot(
            &mut cells[0],
            tunings,
            "top-1 accuracy of test pictures, %",
            top1,
        );
        plot(&mut cells[1], tunings, "training loss", |epoch| epoch.loss);
    });
}

fn plot(
    ui: &mut egui::Ui,
    tunings: &[(String, Vec<Epoch>)],
    name: &str,
    value: impl Fn(&Epoch) -> f64,
) {
    let theme = theme::of(ui);
    ui.label(name);
    let plot = Plot::new(name)
        .height(HEIGHT)
        .legend(Legend::default())
        .grid_color(theme.line)
        .allow_scroll(false)
        .include_y(0.0);
    plot.show(ui, |plot| {
        for (i, (name, epochs)) in tunings.iter().enumerate() {
            let points: PlotPoints = epochs
                .iter()
                .map(|epoch| [epoch.epoch as f64, value(epoch)])
                .collect();
            let colour = theme.series[i % theme.series.len()];
            plot.line(Line::new(name.clone(), points).color(colour).width(1.8));
        }
    });
}
