//! Every colour and size of the window, in one place, light and dark.
//!
//! Series colours are those of Okabe and Ito, which people with any form of colour blindness can
//! tell apart; quantities are drawn in perceptually uniform maps ([`crate::explore::draw`]).

use egui::{Color32, Context, CornerRadius, FontId, Stroke, TextStyle, Visuals};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Dark,
    Light,
}

/// The tokens of one mode.
#[derive(Clone, Copy, Debug)]
pub struct Theme {
    /// Behind everything.
    pub paper: Color32,
    /// Panels and cards.
    pub panel: Color32,
    /// Fields, and cards on panels.
    pub raised: Color32,
    /// Lines between things.
    pub line: Color32,
    pub ink: Color32,
    /// Units, captions, hints.
    pub faint: Color32,
    /// What can be pressed next, what is chosen.
    pub accent: Color32,
    /// Text on `accent`.
    pub on_accent: Color32,
    pub good: Color32,
    pub warn: Color32,
    pub bad: Color32,
    /// Curves, in the order in which they are handed out.
    pub series: [Color32; 6],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

const DARK: Theme = Theme {
    paper: rgb(0x0f1216),
    panel: rgb(0x161a20),
    raised: rgb(0x1f252d),
    line: rgb(0x2d343e),
    ink: rgb(0xe8eaed),
    faint: rgb(0x9aa4b1),
    accent: rgb(0xf5b942),
    on_accent: rgb(0x1b1403),
    good: rgb(0x4cc38a),
    warn: rgb(0xf5a524),
    bad: rgb(0xf2695c),
    series: [
        rgb(0xf5b942),
        rgb(0x56b4e9),
        rgb(0x35c99a),
        rgb(0xcc79a7),
        rgb(0xe8743b),
        rgb(0xa7b0bd),
    ],
};

const LIGHT: Theme = Theme {
    paper: rgb(0xf4f3f0),
    panel: rgb(0xfbfaf8),
    raised: rgb(0xffffff),
    line: rgb(0xdcd9d2),
    ink: rgb(0x1d2025),
    faint: rgb(0x646b75),
    accent: rgb(0xb26a00),
    on_accent: rgb(0xffffff),
    good: rgb(0x14794a),
    warn: rgb(0xa35c00),
    bad: rgb(0xc0362c),
    series: [
        rgb(0xb26a00),
        rgb(0x0072b2),
        rgb(0x00805c),
        rgb(0xa63f7e),
        rgb(0xc44a10),
        rgb(0x646b75),
    ],
};

/// Space between things, in points: small, between controls, between groups.
pub const SPACE: [f32; 3] = [4.0, 8.0, 16.0];

/// Corners of cards and buttons, in points.
pub const ROUND: u8 = 6;

impl Mode {
    pub fn theme(self) -> Theme {
        match self {
            Mode::Dark => DARK,
            Mode::Light => LIGHT,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Mode::Dark => Mode::Light,
            Mode::Light => Mode::Dark,
        }
    }
}

/// The theme that `ui` is drawn in.
pub fn of(ui: &egui::Ui) -> Theme {
    match ui.visuals().dark_mode {
        true => DARK,
        false => LIGHT,
    }
}

/// Makes `ctx` look like `mode`. `large` is the projector's size: everything half as big again.
pub fn apply(ctx: &Context, mode: Mode, large: bool) {
    let theme = mode.theme();
    let mut visuals = match mode {
        Mode::Dark => Visuals::dark(),
        Mode::Light => Visuals::light(),
    };
    visuals.override_text_color = Some(theme.ink);
    visuals.weak_text_color = Some(theme.faint);
    visuals.panel_fill = theme.panel;
    visuals.window_fill = theme.panel;
    visuals.extreme_bg_color = theme.paper;
    visuals.faint_bg_color = theme.raised;
    visuals.window_stroke = Stroke::new(1.0, theme.line);
    visuals.hyperlink_color = theme.accent;
    visuals.disabled_alpha = 0.7; // what cannot be changed can still be read
    visuals.warn_fg_color = theme.warn;
    visuals.error_fg_color = theme.bad;
    visuals.selection.bg_fill = theme.accent.gamma_multiply(0.35);
    visuals.selection.stroke = Stroke::new(1.0, theme.ink);
    let widgets = &mut visuals.widgets;
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, theme.line);
    widgets.noninteractive.fg_stroke = Stroke::new(1.0, theme.ink);
    widgets.noninteractive.bg_fill = theme.panel;
    for (state, fill, edge) in [
        (&mut widgets.inactive, theme.raised, theme.line),
        (&mut widgets.hovered, theme.raised, theme.faint),
        (&mut widgets.active, theme.line, theme.accent),
        (&mut widgets.open, theme.raised, theme.faint),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::new(1.0, edge);
        state.fg_stroke = Stroke::new(1.0, theme.ink);
        state.expansion = 0.0;
    }
    for state in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        state.corner_radius = CornerRadius::same(ROUND);
    }
    visuals.window_corner_radius = CornerRadius::same(2 * ROUND);
    ctx.set_theme(match mode {
        Mode::Dark => egui::Theme::Dark,
        Mode::Light => egui::Theme::Light,
    });
    let zoom = if large { 1.5 } else { 1.0 };
    ctx.all_styles_mut(|style| {
        style.visuals = visuals.clone();
        style.spacing.item_spacing = egui::vec2(SPACE[1], SPACE[1]);
        style.spacing.button_padding = egui::vec2(10.0, 5.0);
        style.spacing.interact_size.y = 26.0;
        style.text_styles = [
            (TextStyle::Small, FontId::proportional(11.5)),
            (TextStyle::Body, FontId::proportional(13.5)),
            (TextStyle::Button, FontId::proportional(13.5)),
            (TextStyle::Heading, FontId::proportional(19.0)),
            (TextStyle::Monospace, FontId::monospace(12.5)),
        ]
        .into();
    });
    ctx.set_zoom_factor(zoom);
}
