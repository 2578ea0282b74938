//! One row of the form: its name, its control, its unit, and what is wrong with it.

use egui::{
    Align, Button, Checkbox, ComboBox, Frame, Label, Layout, Margin, Response, RichText, Sense,
    TextEdit, Ui, UiBuilder, WidgetInfo, accesskit, vec2,
};

use super::{Change, Draft, Form, left_with_escape, words};
use crate::app::theme::{self, SPACE};
use crate::settings::{Kind, Problem, Row};

/// Height of the reset button, in points: small beside a field, still easy to hit.
const RESET_HEIGHT: f32 = 20.0;

/// Room below which a unit would be no more than dots, in points.
const NARROWEST_UNIT: f32 = 30.0;

impl Form {
    pub(super) fn row(
        &mut self,
        ui: &mut Ui,
        row: &'static Row,
        running: bool,
        changes: &mut Vec<Change>,
    ) {
        let theme = theme::of(ui);
        let editable = row.live || !running;
        let differs = row.get(&self.settings) != row.get(&self.base);
        let width = ui.available_width();
        let name_width = (0.4 * width).clamp(80.0, 190.0);
        let field_width = (0.28 * width).clamp(64.0, 150.0);
        ui.horizontal(|ui| {
            mark(ui, row, differs);
            let height = ui.spacing().interact_size.y;
            let place = Layout::left_to_right(Align::Center);
            ui.allocate_ui_with_layout(vec2(name_width, height), place, |ui| {
                ui.set_min_width(name_width);
                let color = if editable { theme.ink } else { theme.faint };
                let name = RichText::new(words::plain(row)).color(color);
                let label = ui.add(Label::new(name).truncate().show_tooltip_when_elided(false));
                self.explain(label, row, running);
            });
            let builder = UiBuilder::new();
            ui.scope_builder(
                if editable {
                    builder
                } else {
                    builder.disabled()
                },
                |ui| {
                    let widget = self.widget(ui, row, running, field_width, changes);
                    let widget = self.explain(widget, row, running);
                    let _ = widget.accessible_name(row.key);
                },
            );
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let refused = self
                    .drafts
                    .get(row.key)
                    .is_some_and(|d| d.refused.is_some());
                if (differs || refused) && editable {
                    let text = RichText::new("reset").small();
                    let button = Button::new(text).small().min_size(vec2(0.0, RESET_HEIGHT));
                    let preset = words::brief(&row.get(&self.base));
                    let response = ui.add(button).on_hover_text(format!("back to {preset}"));
                    if response
                        .accessible_name(format!("Reset {}", row.key))
                        .clicked()
                    {
                        let text = words::exact(&row.get(&self.base));
                        self.take(row, &text, running, changes);
                    }
                }
                if running && row.live {
                    ui.label(RichText::new("live").small().color(theme.good))
                        .on_hover_text("Takes effect in the run that is going on.");
                }
                if ui.available_width() < NARROWEST_UNIT {
                    return;
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    let unit = RichText::new(row.unit).small().color(theme.faint);
                    ui.add(Label::new(unit).truncate());
                });
            });
        });
        let refused = self.drafts.get(row.key).and_then(|d| d.refused.clone());
        let conflicts = self.conflicts.iter().filter(|p| p.key == row.key);
        for reason in refused.into_iter().chain(conflicts.map(Problem::to_string)) {
            let indent = Margin {
                left: (2.0 * SPACE[1]) as i8,
                ..Margin::ZERO
            };
            Frame::new().inner_margin(indent).show(ui, |ui| {
                ui.add(Label::new(RichText::new(reason).small().color(theme.bad)).wrap());
            });
        }
    }

    /// The control that fits the row's kind.
    fn widget(
        &mut self,
        ui: &mut Ui,
        row: &'static Row,
        running: bool,
        width: f32,
        changes: &mut Vec<Change>,
    ) -> Response {
        let value = row.get(&self.settings);
        match row.kind {
            Kind::Bool => {
                let mut on = value.as_bool().unwrap_or_default();
                let response = ui.add(Checkbox::without_text(&mut on));
                if response.changed() {
                    self.take(row, if on { "true" } else { "false" }, running, changes);
                }
                response
            }
            Kind::Choice(names) => {
                let now = value.as_str().unwrap_or_default();
                let combo = ComboBox::from_id_salt("choice").selected_text(now);
                let shown = combo.width(width).show_ui(ui, |ui| {
                    let mut chosen = None;
                    for name in names {
                        if ui.selectable_label(*name == now, *name).clicked() {
                            chosen = Some(*name);
                        }
                    }
                    chosen
                });
                if let Some(name) = shown.inner.flatten() {
                    self.take(row, name, running, changes);
                }
                shown.response
            }
            Kind::Whole
            | Kind::Number
            | Kind::Text
            | Kind::List
            | Kind::Interval
            | Kind::Triple => self.field(ui, row, running, width, changes),
        }
    }

    fn field(
        &mut self,
        ui: &mut Ui,
        row: &'static Row,
        running: bool,
        width: f32,
        changes: &mut Vec<Change>,
    ) -> Response {
        let id = ui.make_persistent_id("field");
        let value = row.get(&self.settings);
        // All digits while it is edited, so that none is lost by changing another.
        let mut text = match self.drafts.get(row.key) {
            Some(draft) => draft.text.clone(),
            None if ui.memory(|memory| memory.has_focus(id)) => words::exact(&value),
            None => words::brief(&value),
        };
        let refused = self
            .drafts
            .get(row.key)
            .is_some_and(|d| d.refused.is_some());
        let color = refused.then(|| theme::of(ui).bad);
        let field = TextEdit::singleline(&mut text)
            .id(id)
            .interactive(ui.is_enabled())
            .text_color_opt(color)
            .desired_width(width - 2.0 * SPACE[0]);
        let response = ui.add(field);
        if response.changed() {
            // A number is typed digit by digit; a running session is told of the whole only.
            let outcome = match running {
                true => self.trial(row, &text),
                false => self.apply(row, &text, running).map(|change| {
                    changes.extend(change);
                }),
            };
            let refused = outcome.err();
            self.drafts.insert(row.key, Draft { text, refused });
        }
        if left_with_escape(ui, &response) {
            self.drafts.remove(row.key);
        } else if !response.has_focus()
            && let Some(draft) = self.drafts.get(row.key)
            && draft.refused.is_none()
        {
            let text = draft.text.clone();
            self.take(row, &text, running, changes);
        }
        response
    }

    /// What the row is about, on hover and for screen readers.
    fn explain(&self, response: Response, row: &Row, running: bool) -> Response {
        let show = |ui: &mut Ui| {
            ui.set_max_width(ui.spacing().tooltip_width);
            ui.strong(row.key);
            ui.label(row.help);
            for line in words::facts(row, &self.base, &self.preset) {
                ui.label(RichText::new(line).small().color(theme::of(ui).faint));
            }
            if running && !row.live {
                ui.label("Cannot change during a run; start a new run with it.");
            }
        };
        response.ctx.accesskit_node_builder(response.id, |node| {
            node.set_description(row.help);
        });
        response.on_hover_ui(show).on_disabled_hover_ui(show)
    }
}

/// The dot before a row that differs from the preset; the place is kept where there is none.
fn mark(ui: &mut Ui, row: &Row, differs: bool) {
    let height = ui.spacing().interact_size.y;
    let (rect, response) = ui.allocate_exact_size(vec2(SPACE[1], height), Sense::hover());
    if differs {
        let accent = theme::of(ui).accent;
        ui.painter().circle_filled(rect.center(), 3.0, accent);
        let what = format!("{} differs from the preset", row.key);
        response.widget_info(|| WidgetInfo::labeled(accesskit::Role::Image, true, &what));
    }
}
