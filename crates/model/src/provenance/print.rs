//! An object as YAML with the source of each line beside it.

use super::Provenance;
use crate::Value;
use crate::path::Segment;
use crate::yaml::{self, Content, Node};
use std::fmt::Write;

/// Sources stand in one column, up to here.
const COLUMN: usize = 64;

/// The layout of [`yaml::to_yaml`], with the source of each leaf as a comment on its line: on the first line of a text
/// in a block, on the last one of a text that was wrapped. What is read back is the value.
pub fn annotated(value: &Value, provenance: &Provenance) -> String {
    let text = yaml::to_yaml(value);
    let lines: Vec<&str> = text.lines().collect();
    let mut notes: Vec<Option<String>> = vec![None; lines.len()];
    if let Some(node) = yaml::parse(&text).unwrap_or_default().first() {
        let mut leaves = Leaves { lines: &lines, starts: vec![false; lines.len() + 2], found: Vec::new() };
        leaves.collect(node, None, &mut Vec::new());
        for (path, line, style) in &leaves.found {
            let line = match style {
                Style::Block => *line,
                Style::Flow => leaves.last_line(*line),
            };
            if let (Some(source), Some(note)) = (provenance.leaf(path), notes.get_mut(line.wrapping_sub(1))) {
                *note = Some(source.to_string());
            }
        }
    }
    let beside = lines.iter().zip(&notes).filter(|(_, note)| note.is_some());
    let width = beside.map(|(line, _)| line.chars().count()).filter(|width| *width <= COLUMN).max();
    let width = width.unwrap_or_default();
    let mut out = String::with_capacity(text.len() * 2);
    for (line, note) in lines.iter().zip(notes) {
        // Writing to a String cannot fail.
        let _ = match note {
            Some(note) => writeln!(out, "{line:width$}  # {note}"),
            None => writeln!(out, "{line}"),
        };
    }
    out
}

/// Whether the text of a block follows this line, which counts from 1.
fn is_block_header(lines: &[&str], line: usize) -> bool {
    let line = lines.get(line.wrapping_sub(1)).copied().unwrap_or_default();
    let header = line.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    header.ends_with(" |")
}

struct Leaves<'t> {
    lines: &'t [&'t str],
    /// Whether an entry or an item starts on the line.
    starts: Vec<bool>,
    found: Vec<(Vec<Segment>, usize, Style)>,
}

/// Where a comment may stand: behind a block's header, or behind the last line of everything else.
#[derive(Clone, Copy)]
enum Style {
    Block,
    Flow,
}

impl Leaves<'_> {
    fn start(&mut self, line: usize) {
        if let Some(start) = self.starts.get_mut(line) {
            *start = true;
        }
    }

    /// `key` is the line of the key that the node belongs to.
    fn collect(&mut self, node: &Node, key: Option<usize>, path: &mut Vec<Segment>) {
        let line = key.unwrap_or_else(|| self.line_of(node));
        self.start(line);
        match &node.content {
            Content::List(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    path.push(Segment::Index(index));
                    self.collect(item, None, path);
                    path.pop();
                }
            }
            Content::Map(entries) if !entries.is_empty() => {
                for (key, at, value) in entries {
                    path.push(Segment::Field(key.clone()));
                    self.collect(value, Some(at.line), path);
                    path.pop();
                }
            }
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                let style = if node.at.line > line { Style::Block } else { Style::Flow };
                self.found.push((path.clone(), line, style));
            }
        }
    }

    /// The line that an item starts on: the text of a block has its position where it begins, below the dash.
    fn line_of(&self, node: &Node) -> usize {
        let line = self.lines.get(node.at.line.wrapping_sub(1)).copied().unwrap_or_default();
        let is_first = line.chars().take(node.at.column.saturating_sub(1)).all(|c| c == ' ');
        let above = node.at.line.saturating_sub(1);
        if is_first && is_block_header(self.lines, above) { above } else { node.at.line }
    }

    /// The line before the next entry.
    fn last_line(&self, line: usize) -> usize {
        let lines = self.lines.len();
        (line + 1..=lines).find(|next| self.starts.get(*next) == Some(&true)).map_or(lines, |next| next - 1)
    }
}
