//! Line charts as PNG for the report: light, calm and the same everywhere.
//!
//! Text is drawn with a font that is compiled in, so a server without any font makes the same picture.
//! Everything is drawn three times as large and then averaged down: the bitmap backend does not smooth
//! thick lines itself. Names of lines stand above the panel and names of levels to its right, never
//! in it, so that no label can cover a curve.

mod ticks;

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;
use std::sync::OnceLock;
use ticks::{linear_ticks, log_ticks, number, range};

/// Okabe & Ito's colours, which stay apart for colour-blind eyes, without the yellow that is lost on
/// white; the order puts the ones farthest apart first.
pub const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(70, 70, 70),
];

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(34, 38, 46);
const QUIET: RGBColor = RGBColor(104, 111, 122);
const GRID: RGBColor = RGBColor(230, 233, 238);
const AXIS: RGBColor = RGBColor(168, 174, 184);

/// How much larger the picture is drawn than it is kept.
const SCALE: u32 = 3;
const FONT: &str = "patchlight";

/// One curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    /// (x, y) with x rising; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// The values before smoothing, drawn faint behind; may be empty.
    pub raw: Vec<(f64, f64)>,
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    /// Stands above the axis.
    pub y_label: String,
    /// Logarithmic y axis; values that are not positive are left out.
    pub log_y: bool,
    pub series: Vec<Series>,
    /// Dashed levels with a name, such as `ln K`.
    pub h_lines: Vec<(f64, String)>,
}

/// Draws one chart of `size` pixels (width, height) into the PNG `path`.
pub fn draw(chart: &Chart, path: &Path, size: (u32, u32)) -> anyhow::Result<()> {
    draw_panels(std::slice::from_ref(chart), 1, path, size)
}

/// Draws several charts, row by row in `columns`, into one PNG of `size` pixels (width, height).
pub fn draw_panels(
    charts: &[Chart],
    columns: usize,
    path: &Path,
    size: (u32, u32),
) -> anyhow::Result<()> {
    register_font()?;
    let (width, height) = (
        size.0.clamp(200, 4000) * SCALE,
        size.1.clamp(120, 4000) * SCALE,
    );
    let mut pixels = vec![255; width as usize * height as usize * 3];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        root.fill(&PAPER).map_err(failed)?;
        let columns = columns.clamp(1, charts.len().max(1));
        let panels = root.split_evenly((charts.len().div_ceil(columns).max(1), columns));
        for (panel, chart) in panels.iter().zip(charts) {
            draw_panel(panel, chart)?;
        }
        root.present().map_err(failed)?;
    }
    let large = image::RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| anyhow!("the plot has no pixels"))?;
    let (width, height) = (width / SCALE, height / SCALE);
    image::imageops::thumbnail(&large, width, height)
        .save_with_format(path, image::ImageFormat::Png)
        .with_context(|| format!("cannot write the plot {}", path.display()))
}

type Panel<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

fn draw_panel(area: &Area, chart: &Chart) -> anyhow::Result<()> {
    let (width, _) = area.dim_in_pixel();
    let px = |n: u32| n * SCALE;
    let left = px(18) as i32;
    let title = style(19, INK, HPos::Left, VPos::Top);
    area.draw_text(&chart.title, &title, (left, px(14) as i32))
        .map_err(failed)?;
    let below_title = if chart.title.is_empty() { 12 } else { 44 };
    let top = draw_legend(area, chart, (left, px(below_title) as i32))?;

    let levels: Vec<(f64, &str)> = chart
        .h_lines
        .iter()
        .filter_map(|(y, name)| Some((axis_value(*y, chart.log_y)?, name.as_str())))
        .collect();
    let small = style(13, QUIET, HPos::Left, VPos::Center);
    let mut widest = 0;
    for (_, name) in &levels {
        widest = widest.max(area.estimate_text_size(name, &small).map_err(failed)?.0);
    }
    let right = if levels.is_empty() {
        px(24)
    } else {
        (widest + px(20)).min(width / 3)
    };

    let visible = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        let kept = points.iter().filter(|(x, _)| x.is_finite());
        kept.filter_map(|(x, y)| Some((*x, axis_value(*y, chart.log_y)?)))
            .collect()
    };
    let smooth: Vec<_> = chart.series.iter().map(|s| visible(&s.points)).collect();
    let raw: Vec<_> = chart.series.iter().map(|s| visible(&s.raw)).collect();
    let all = || smooth.iter().chain(&raw).flatten();
    let mut x_range = range(all().map(|p| p.0), 0.0);
    if x_range.start > 0.0 && x_range.start < 0.02 * x_range.end {
        x_range.start = 0.0;
    }
    let y_range = range(all().map(|p| p.1).chain(levels.iter().map(|l| l.0)), 0.06);
    let (x_ticks, x_step) = linear_ticks(&x_range, 7);
    let (y_ticks, y_step) = if chart.log_y {
        log_ticks(&y_range)
    } else {
        linear_ticks(&y_range, 6)
    };

    let measured = all().next().is_some();
    let ticks = |ticks: Vec<f64>| if measured { ticks } else { vec![] };
    let mut context = ChartBuilder::on(area)
        .margin_left(px(10))
        .margin_right(right)
        .margin_top(top as u32)
        .margin_bottom(px(8))
        .x_label_area_size(px(42))
        .y_label_area_size(px(52))
        .build_cartesian_2d(x_range.clone(), y_range.clone())
        .map_err(failed)?;
    let origin = area.get_base_pixel();
    let place = |context: &Panel, x: f64, y: f64| {
        let (x, y) = context.backend_coord(&(x, y));
        (x - origin.0, y - origin.1)
    };
    let tick = style(13, QUIET, HPos::Right, VPos::Center);
    for y in ticks(y_ticks) {
        let line = [(x_range.start, y), (x_range.end, y)];
        context
            .draw_series(LineSeries::new(line, GRID.stroke_width(SCALE)))
            .map_err(failed)?;
        let (left, height) = place(&context, x_range.start, y);
        let text = match 10f64.powf(y) {
            value if chart.log_y => number(value, value, value),
            _ => number(y, y_step, y_range.start.abs().max(y_range.end.abs())),
        };
        area.draw_text(&text, &tick, (left - px(9) as i32, height))
            .map_err(failed)?;
    }
    let ends = [x_range.start, x_range.end].map(|x| place(&context, x, y_range.start));
    area.draw(&PathElement::new(ends.to_vec(), AXIS.stroke_width(SCALE)))
        .map_err(failed)?;
    let tick = style(13, QUIET, HPos::Center, VPos::Top);
    for x in ticks(x_ticks) {
        let (x, y) = (
            place(&context, x, y_range.start),
            number(x, x_step, x_range.end),
        );
        let mark = vec![x, (x.0, x.1 + px(4) as i32)];
        area.draw(&PathElement::new(mark, AXIS.stroke_width(SCALE)))
            .map_err(failed)?;
        area.draw_text(&y, &tick, (x.0, x.1 + px(8) as i32))
            .map_err(failed)?;
    }
    let [start, end] = ends;
    let label = style(14, QUIET, HPos::Right, VPos::Top);
    area.draw_text(&chart.x_label, &label, (end.0, start.1 + px(27) as i32))
        .map_err(failed)?;

    for (y, _) in &levels {
        let dash = [(x_range.start, *y), (x_range.end, *y)];
        let line = DashedLineSeries::new(dash, px(5), px(4), QUIET.stroke_width(px(1)));
        context.draw_series(line).map_err(failed)?;
    }
    // Piece by piece: a noisy curve drawn as one path grows spikes at its mitred corners.
    for (points, colour) in raw.iter().zip(PALETTE.iter().cycle()) {
        let line = faint(*colour).stroke_width(px(1));
        let piece = |p: &[(f64, f64)]| PathElement::new(p.to_vec(), line);
        context
            .draw_series(points.windows(2).map(piece))
            .map_err(failed)?;
    }
    for (points, colour) in smooth.iter().zip(PALETTE.iter().cycle()) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(px(2)));
        context.draw_series(line).map_err(failed)?;
        // Single measurements are seen as such; a long curve would become a chain of beads.
        if points.len() <= 24 {
            let dot = |p: &(f64, f64)| Circle::new(*p, px(3), colour.filled());
            context
                .draw_series(points.iter().map(dot))
                .map_err(failed)?;
        }
    }

    let height = |y: f64| place(&context, x_range.end, y).1;
    let mut names: Vec<(i32, &str)> = levels.iter().map(|(y, name)| (height(*y), *name)).collect();
    spread(&mut names, px(16) as i32);
    for (y, name) in names {
        area.draw_text(name, &small, (end.0 + px(8) as i32, y))
            .map_err(failed)?;
    }
    if !measured {
        let note = style(15, QUIET, HPos::Center, VPos::Center);
        let top = place(&context, x_range.start, y_range.end).1;
        let middle = ((start.0 + end.0) / 2, (start.1 + top) / 2);
        area.draw_text("nothing measured", &note, middle)
            .map_err(failed)?;
    }
    Ok(())
}

/// Y label and names of the lines from `start` on, wrapped at the right edge; returns where they end.
/// A single line needs no name beside its panel's title.
fn draw_legend(area: &Area, chart: &Chart, start: (i32, i32)) -> anyhow::Result<i32> {
    let px = |n: i32| n * SCALE as i32;
    let named = chart.series.len() > 1;
    if !named && chart.y_label.is_empty() {
        return Ok(start.1 + px(6));
    }
    let text = style(14, INK, HPos::Left, VPos::Center);
    let (width, _) = area.dim_in_pixel();
    let (mut x, mut y) = (start.0, start.1 + px(8));
    if !chart.y_label.is_empty() {
        let label = style(14, QUIET, HPos::Left, VPos::Center);
        area.draw_text(&chart.y_label, &label, (x, y))
            .map_err(failed)?;
        x += area
            .estimate_text_size(&chart.y_label, &label)
            .map_err(failed)?
            .0 as i32
            + px(22);
    }
    for (series, colour) in chart
        .series
        .iter()
        .zip(PALETTE.iter().cycle())
        .filter(|_| named)
    {
        let size = area
            .estimate_text_size(&series.name, &text)
            .map_err(failed)?
            .0 as i32;
        if x + px(26) + size > width as i32 - px(12) && x > start.0 {
            (x, y) = (start.0, y + px(21));
        }
        let swatch = Rectangle::new([(x, y - px(1)), (x + px(18), y + px(2))], colour.filled());
        area.draw(&swatch).map_err(failed)?;
        area.draw_text(&series.name, &text, (x + px(25), y))
            .map_err(failed)?;
        x += px(25) + size + px(18);
    }
    Ok(y + px(20))
}

/// The compiled-in font under its own name, once.
fn register_font() -> anyhow::Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let bytes = epaint_default_fonts::UBUNTU_LIGHT;
    let done =
        DONE.get_or_init(|| plotters::style::register_font(FONT, FontStyle::Normal, bytes).is_ok());
    done.then_some(())
        .ok_or_else(|| anyhow!("the built-in font for plots cannot be read"))
}

fn style(size: u32, colour: RGBColor, h: HPos, v: VPos) -> TextStyle<'static> {
    TextStyle {
        font: (FONT, size * SCALE).into_font(),
        color: colour.to_backend_color(),
        pos: Pos::new(h, v),
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the plot: {error}")
}

/// The colour at 28 % on paper; opaque, since overlapping segments of a see-through line show joints.
fn faint(colour: RGBColor) -> RGBColor {
    let mix = |c: u8| (255.0 - (255.0 - f32::from(c)) * 0.28).round() as u8;
    RGBColor(mix(colour.0), mix(colour.1), mix(colour.2))
}

fn axis_value(y: f64, log: bool) -> Option<f64> {
    let y = if log { y.log10() } else { y };
    y.is_finite().then_some(y)
}

/// Moves labels apart, top to bottom, so that neighbours are at least `gap` from each other.
fn spread(labels: &mut [(i32, &str)], gap: i32) {
    labels.sort_by_key(|l| l.0);
    let mut least = i32::MIN;
    for (y, _) in labels {
        *y = (*y).max(least);
        least = *y + gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_charts_are_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let empty = Chart::default();
        let series = |points: Vec<(f64, f64)>| Series {
            points,
            ..Default::default()
        };
        let odd = Chart {
            log_y: true,
            series: vec![
                series(vec![
                    (0.0, f64::NAN),
                    (f64::INFINITY, 1.0),
                    (1.0, 0.0),
                    (2.0, -3.0),
                ]),
                series(vec![(1.0, 1e300), (2.0, 1e-300)]),
                series(vec![]),
            ],
            h_lines: vec![
                (f64::NAN, "no level".into()),
                (2.0, "a".into()),
                (2.0, "b".into()),
            ],
            ..Default::default()
        };
        let flat = Chart {
            series: vec![series(vec![(5.0, 0.0)])],
            ..Default::default()
        };
        let path = folder.path().join("odd.png");
        draw_panels(&[empty, odd, flat], 2, &path, (640, 400)).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (640, 400));
        let inked = picture.pixels().filter(|p| p.0 != [255; 3]).count();
        assert!(inked > 1000, "text and axes are drawn: {inked}");
        draw_panels(&[], 3, &path, (10, 10)).unwrap();
        assert!(
            draw(
                &flat_line(),
                &folder.path().join("no/where.png"),
                (300, 200)
            )
            .is_err()
        );
    }

    fn flat_line() -> Chart {
        let points = vec![(0.0, 1.0), (9.0, 1.0)];
        Chart {
            series: vec![Series {
                points,
                ..Default::default()
            }],
            ..Default::default()
        }
    }
}
