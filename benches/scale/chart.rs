//! The picture: CPU a target of each stage, by size. What is linear is level.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Size;
use crate::stages::{Measured, Stage};

const LEFT: f64 = 270.0;
const WIDTH: f64 = 360.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const COLORS: [&str; 3] = ["#8b949e", "#1f6feb", "#d29922"];
const STAGES: [Stage; 5] = [Stage::FirstSync, Stage::Bases, Stage::Elsewhere, Stage::Restart, Stage::Load];

/// An SVG with a bar a stage and size.
pub(crate) fn draw(measured: &[(Size, Measured)]) -> String {
    let each = |stage: Stage, size: Size, measured: &Measured| {
        let targets = u32::try_from(size.targets().max(1)).unwrap_or(u32::MAX);
        measured.stages.get(&stage).map_or(Duration::ZERO, |taken| taken.cpu) / targets
    };
    let (mut bars, mut y) = (String::new(), 44.0);
    for stage in STAGES {
        let longest = measured.iter().map(|(size, measured)| each(stage, *size, measured)).max();
        let longest = longest.unwrap_or_default().as_secs_f64().max(1e-9);
        // Writing to a String cannot fail.
        let _ =
            writeln!(bars, "<text x=\"16\" y=\"{}\" font-weight=\"600\">{}</text>", y + 11.0, stage.words());
        for ((size, measured), color) in measured.iter().zip(COLORS) {
            let each = each(stage, *size, measured);
            let width = each.as_secs_f64() / longest * WIDTH;
            let _ = writeln!(
                bars,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.0}\" height=\"{BAR}\" rx=\"2\" fill=\"{color}\"/>\n\
                 <text x=\"{:.0}\" y=\"{}\">{:.2} ms a target, {} targets</text>",
                LEFT + width + 8.0,
                y + 11.0,
                each.as_secs_f64() * 1000.0,
                size.targets(),
            );
            y += BAR + 3.0;
        }
        y += GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"14\">CPU a target, by stage and size: what is linear has bars of one length</text>\n{bars}</svg>\n"
    )
}
