//! Diagrams as inline SVG. Colours and dashes are named here and in `style.css`, which turns black into the colour of
//! the text, so that they are readable on dark and on paper too.

use plotters::prelude::*;
use plotters::style::RGBAColor;

use super::html::escaped;
use crate::statistics::Refusal;

/// Colours of the first models, readers or networks; later ones begin again (Okabe and Ito 2008, told apart by
/// most people, in grey by their dashes).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Number of colours, each with a dash of its own.
pub const STYLES: usize = COLOURS.len();

/// What a diagram shows; sizes in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Axes<'a> {
    /// For those who cannot see it.
    pub label: &'a str,
    /// Below.
    pub x: &'a str,
    /// To the left.
    pub y: &'a str,
    /// From, to.
    pub x_range: [f64; 2],
    /// From, to.
    pub y_range: [f64; 2],
    /// Width, height.
    pub size: (u32, u32),
    /// Whether x counts something.
    pub whole_x: bool,
}

impl<'a> Axes<'a> {
    /// Both from 0 to 1.
    pub fn unit(label: &'a str, x: &'a str, y: &'a str) -> Self {
        Self {
            label,
            x,
            y,
            x_range: [0.0, 1.0],
            y_range: [0.0, 1.0],
            size: (440, 440),
            whole_x: false,
        }
    }
}

/// One thing in a diagram, by the number of its colour.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// The grey line of chance, or of perfect calibration.
    Reference([(f64, f64); 2]),
    /// Between (x, low, high).
    Band(usize, Vec<(f64, f64, f64)>),
    /// Through (x, y).
    Line(usize, Vec<(f64, f64)>),
    /// At (x, y).
    Marks(usize, Vec<(f64, f64)>),
    /// From (x, low) to (x, high).
    Bars(usize, Vec<(f64, f64, f64)>),
}

fn colour(number: usize) -> RGBColor {
    COLOURS[number % STYLES]
}

/// The diagram as an `svg` element.
///
/// # Errors
/// The drawing library refuses, for example a range without length.
pub fn draw(axes: &Axes, layers: &[Layer]) -> Result<String, Refusal> {
    let mut svg = String::new();
    onto(axes, layers, &mut svg).map_err(|e| Refusal(format!("diagram “{}”: {e}", axes.label)))?;
    let labelled = format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(axes.label));
    Ok(svg.replacen("<svg ", &labelled, 1))
}

fn onto(axes: &Axes, layers: &[Layer], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, axes.size).into_drawing_area();
    let ([x0, x1], [y0, y1]) = (axes.x_range, axes.y_range);
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .margin_right(20)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(x0..x1, y0..y1)?;
    let plain = |v: &f64| {
        if v.abs() < 1e-9 {
            "0".to_owned()
        } else {
            format!("{v:.1}")
        }
    };
    let fine = |v: &f64| {
        if v.abs() < 1e-9 {
            "0".to_owned()
        } else {
            format!("{v:.2}")
        }
    };
    let whole = |v: &f64| format!("{v:.0}");
    let by_size: &dyn Fn(&f64) -> String = if y1 - y0 < 0.5 { &fine } else { &plain };
    chart
        .configure_mesh()
        .x_labels(if axes.whole_x {
            8.min((x1 - x0) as usize + 1)
        } else {
            6
        })
        .y_labels(6)
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(BLACK.mix(0.6))
        .x_desc(axes.x)
        .y_desc(axes.y)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .x_label_formatter(if axes.whole_x { &whole } else { &plain })
        .y_label_formatter(by_size)
        .draw()?;
    for layer in layers {
        match layer {
            Layer::Reference(ends) => {
                chart.draw_series(LineSeries::new(*ends, BLACK.mix(0.45).stroke_width(1)))?;
            }
            Layer::Band(number, edges) => {
                let high = edges.iter().map(|(x, _, high)| (*x, *high));
                let low = edges.iter().rev().map(|(x, low, _)| (*x, *low));
                let filled: RGBAColor = colour(*number).mix(0.16);
                let outline: Vec<(f64, f64)> = high.chain(low).collect();
                chart.draw_series(std::iter::once(Polygon::new(outline, filled.filled())))?;
            }
            Layer::Line(number, points) => {
                let style = colour(*number).stroke_width(2);
                chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            }
            Layer::Marks(number, points) => {
                let mark = |p: &(f64, f64)| Circle::new(*p, 4, colour(*number).filled());
                chart.draw_series(points.iter().map(mark))?;
            }
            Layer::Bars(number, bars) => {
                let style = colour(*number).stroke_width(1);
                let bar =
                    |(x, low, high): &(f64, f64, f64)| PathElement::new(vec![(*x, *low), (*x, *high)], style);
                chart.draw_series(bars.iter().map(bar))?;
            }
        }
    }
    area.present()?;
    Ok(())
}
