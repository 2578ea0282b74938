//! The fine-tunings that lie in a run's folder: accuracy and loss after every epoch.

use egui::RichText;
use egui_plot::{Corner, Legend, Line, Plot, PlotPoints};

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
        // The legends lie where such curves do not go.
        let (accuracy, loss) = ("top-1 accuracy of test pictures, %", "training loss");
        let top1 = |epoch: &Epoch| 100.0 * epoch.top1;
        plot(
            &mut cells[0],
            tunings,
            (accuracy, Corner::RightBottom),
            top1,
        );
        plot(&mut cells[1], tunings, (loss, Corner::RightTop), |epoch| {
            epoch.loss
        });
    });
}

fn plot(
    ui: &mut egui::Ui,
    tunings: &[(String, Vec<Epoch>)],
    (name, corner): (&str, Corner),
    value: impl Fn(&Epoch) -> f64,
) {
    let theme = theme::of(ui);
    ui.label(name);
    let plot = Plot::new(name)
        .height(HEIGHT)
        .legend(Legend::default().position(corner))
        .grid_color(theme.line)
        .allow_scroll(false);
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
