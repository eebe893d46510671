//! The picture: first syncs of each shape, as multiples of bare requests.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use crate::Shape;
use crate::figures::{Contender, Work};
use crate::report::times_the_ceiling;

const LEFT: f64 = 330.0;
const RIGHT: f64 = 640.0;
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;
/// What is longer is cut off and says how long it is.
const LONGEST: f64 = 2.0;
const COLORS: [&str; 3] = ["#8b949e", "#1f6feb", "#d29922"];

/// An SVG with a bar a contender and shape.
pub(crate) fn draw(measured: &[(Shape, Vec<Contender>)]) -> Result<String> {
    let mut bars = String::new();
    let mut y = 40.0;
    for (shape, contenders) in measured {
        let ceiling = contenders.first().context("nothing was measured")?;
        // Writing to a String cannot fail.
        let _ = writeln!(bars, "<text x=\"16\" y=\"{}\" font-weight=\"600\">{shape}</text>", y + 13.0);
        for (contender, color) in contenders.iter().zip(COLORS) {
            let Some(first) = contender.measured.get(&Work::FirstSync) else { continue };
            let ratio = times_the_ceiling(ceiling, first)?;
            let width = (ratio.min(LONGEST) / LONGEST) * (RIGHT - LEFT);
            let peak = first.peak * 1024 / 1_000_000;
            let memory = if peak == 0 { String::new() } else { format!(", {peak} MB") };
            let _ = writeln!(
                bars,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.0}\" height=\"{BAR}\" rx=\"2\" fill=\"{color}\"/>\n\
                 <text x=\"{:.0}\" y=\"{}\">{ratio:.2} × {}{memory}</text>",
                LEFT + width + 8.0,
                y + 13.0,
                contender.name,
            );
            y += BAR + 4.0;
        }
        y += GAP;
    }
    let one = LEFT + (RIGHT - LEFT) / LONGEST;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1000\" height=\"{y:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"14\">First sync, as a multiple of bare requests; peak memory</text>\n\
         <line x1=\"{one:.0}\" y1=\"30\" x2=\"{one:.0}\" y2=\"{y:.0}\" stroke=\"#d0d7de\"/>\n{bars}</svg>\n"
    ))
}
