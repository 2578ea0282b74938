//! The fine-tunings that lie in a run's folder: accuracy after every epoch.

use egui::RichText;
use egui_plot::{Legend, Line, Plot, PlotPoints};

use crate::app::theme;
use crate::session::history::History;

/// Height of the plot, in points.
const HEIGHT: f32 = 180.0;

/// Draws them below the curves of the run itself; their axis is epochs, not steps.
pub fn draw(ui: &mut egui::Ui, history: &History) {
    if history.tunings.is_empty() {
        return;
    }
    let theme = theme::of(ui);
    ui.label(RichText::new("Fine-tuning: top-1 accuracy of test pictures by epoch").strong());
    let plot = Plot::new("fine-tuning")
        .height(HEIGHT)
        .legend(Legend::default())
        .grid_color(theme.line)
        .allow_scroll(false)
        .include_y(0.0)
        .include_y(100.0);
    plot.show(ui, |plot| {
        for (i, (name, epochs)) in history.tunings.iter().enumerate() {
            let points: PlotPoints = epochs
                .iter()
                .map(|epoch| [epoch.epoch as f64, 100.0 * epoch.top1])
                .collect();
            let colour = theme.series[i % theme.series.len()];
            plot.line(Line::new(name.clone(), points).color(colour).width(1.8));
        }
    });
}
