//! The panel that is open: leads to the file that draws it.

use std::path::PathBuf;

use egui::Ui;

use super::curves::{Export, csv};
use super::log::{Level, Log};
use super::scene::{Scene, Tab};
use super::studio::Studio;
use super::theme;
use crate::session::looker::Ask;
use crate::session::tunings;

/// Draws the open panel.
pub fn panel(
    ui: &mut Ui,
    studio: &mut Studio,
    (log, busy, moments, gpu): (&mut Log, &str, &[(usize, PathBuf)], bool),
    asks: &mut Vec<Ask>,
) {
    let temperature = studio.temperature();
    match studio.tab {
        Tab::Log => return log.ui(ui),
        Tab::Views => {
            let running = studio.is_running();
            if let Some((settings, draw)) = studio.views.ui(ui, &studio.settings, (running, gpu)) {
                asks.push(Ask::Views {
                    source: studio.source.clone(),
                    settings,
                    draw,
                });
            }
            return;
        }
        Tab::Settings => return settings_ui(ui, studio),
        Tab::Curves => {
            if let Some(step) = curves_ui(ui, studio, log) {
                let away = |moment: &&(usize, PathBuf)| moment.0.abs_diff(step);
                let nearest = moments.iter().min_by_key(away).cloned();
                if nearest.is_some() {
                    studio.go_to(nearest, asks);
                }
            }
            return;
        }
        Tab::Patterns | Tab::Look | Tab::Lab => {}
    }
    let (Some(gallery), Some(atlas)) = (&studio.gallery, &studio.atlas) else {
        ui.centered_and_justified(|ui| {
            ui.weak(match busy {
                "" => {
                    "The first look at the network appears here after its first steps.".to_owned()
                }
                busy => format!("{busy} …"),
            })
        });
        return;
    };
    let mut go = None;
    let mut scene = Scene {
        gallery,
        atlas,
        picked: &mut studio.picked,
        go: &mut go,
        asks,
        temperature,
        gpu,
    };
    match studio.tab {
        Tab::Patterns => studio.patterns.ui(ui, &mut scene),
        Tab::Look => studio.look.ui(ui, &mut scene),
        _ => studio.lab.ui(ui, &mut scene),
    }
    if let Some(tab) = go {
        studio.tab = tab;
    }
}

/// The curves; says which moment of the past was asked for.
fn curves_ui(ui: &mut Ui, studio: &mut Studio, log: &mut Log) -> Option<usize> {
    let prototypes = studio.prototypes();
    if let Some(folder) = &studio.folder {
        studio.tunings.refresh(folder);
        ui.ctx().request_repaint_after(tunings::EVERY);
    }
    let tunings = &studio.tunings.found;
    let asked = studio
        .curves
        .ui(ui, &studio.history, prototypes, studio.past, tunings);
    if let Some(export) = studio.curves.take_request() {
        let folder = studio.folder.clone().unwrap_or_default();
        let (path, done) = match export {
            Export::Csv => {
                let path = folder.join("curves.csv");
                let done = std::fs::write(&path, csv(&studio.history)).map_err(Into::into);
                (path, done)
            }
            Export::Png => {
                let path = folder.join("curves.png");
                let done = studio.curves.save_png(&path);
                (path, done)
            }
        };
        let path = std::path::absolute(&path).unwrap_or(path);
        studio.said = match done {
            Ok(()) => format!("saved {}", path.display()),
            Err(error) => format!("cannot write {}: {error:#}", path.display()),
        };
        log.add(Level::Info, studio.said.clone());
    }
    if !studio.said.is_empty() {
        ui.weak(&studio.said);
    }
    asked
}

/// The form with this run's settings; what is changed there is told to the run.
fn settings_ui(ui: &mut Ui, studio: &mut Studio) {
    let theme = theme::of(ui);
    ui.label(egui::RichText::new(match studio.is_running() {
        true => "Settings with the tag “live” change from the next step on, with a mark on the curves.",
        false => "Settings of this run. Those with the tag “live” can change while it goes on.",
    }).color(theme.faint));
    egui::ScrollArea::vertical()
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.set_max_width(760.0);
            // Nothing can be edited where nothing runs: the form shows the same rows, all greyed.
            let running = studio.is_running();
            let changes = ui
                .add_enabled_ui(running, |ui| studio.form.ui(ui, true))
                .inner;
            for (key, text) in changes {
                studio.change(key, &text);
            }
        });
}
