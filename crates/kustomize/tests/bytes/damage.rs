//! An input from its number: a tree, and what is done to its files.

use super::corpus::{Corpus, Input};
use super::grow::{self, Numbers};
use std::collections::BTreeMap;

/// What is put into a file, besides what its neighbours have.
const PIECES: &[&str] = &[
    "- ",
    ": ",
    "? ",
    "null",
    "~",
    "[]",
    "{}",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "  ",
    "'",
    "\"",
    "..",
    "/",
    "\\",
    "#",
    "|",
    "|2-",
    ">",
    ">+\n",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "--- ",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\0",
    "é",
    "日本",
    "😀",
    "*a",
    "&a ",
    "<<: *a\n",
    "<<: ",
    "!!binary ",
    "!!float ",
    "!!int ",
    "! ",
    "!<x> ",
    "$patch: delete\n",
    "$patch: replace\n",
    "$patch: merge\n",
    "$retainKeys: [name]\n",
    "$setElementOrder/containers: [{name: x}]\n",
    "$deleteFromPrimitiveList/args: [a]\n",
    "$(A)",
    "$(",
    "${",
    "-1",
    "0",
    "-0",
    "1e999",
    "1e-999",
    ".nan",
    "-.inf",
    "0x",
    "0o8",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1_0",
    "190:20:30",
    "2001-02-30",
    "0001-01-01T00:00:00Z",
    "2024-12-31 23:59:60 +25:00",
    "kind: List\nitems:\n",
    "items: 3\n",
    "metadata: {name: }\n",
    "metadata: []\n",
    "apiVersion: a/b/c\n",
    "resources: [..]\n",
    "resources: [.]\n",
    "resources: ['', /, a//b, https://x/y?ref=z]\n",
    "(",
    ")*",
    "[^",
    "(?i)",
    "{999999}",
    ".*",
    "^$",
    "fieldPath: a.[b=c].-1.*\n",
    "fieldPaths: ['']\n",
    "index: -99999999999\n",
    "delimiter: é\n",
    "options: {create: true}\n",
    "op: move\n",
    "op: copy\n",
    "op: test\n",
    "from: ''\n",
    "path: /-\n",
    "path: /~2~\n",
    "path: ''\n",
    "path: a/[]/b[]/\n",
    "path: a\\/b\n",
    "create: true\n",
    "behavior: merge\n",
    "envs: [a.yaml]\n",
    "literals: [=, a, 'a=b=c', \"a='\"]\n",
    "files: [=a, a=, ../a]\n",
    "count: -1\n",
    "newTag: ''\n",
    "sortOptions: {order: legacy, legacySortOptions: {orderFirst: [a, a], orderLast: [a]}}\n",
    "openapi: {path: a.yaml}\n",
    "crds: [a.yaml]\n",
    "configurations: [a.yaml]\n",
    "transformers: [a.yaml]\n",
    "generators: [.]\n",
    "validators: ['a: b']\n",
    "vars: [{name: a}]\n",
    "config.kubernetes.io/local-config: 'true'\n",
    "x-kubernetes-patch-merge-key: name\n",
    "$ref: '#/definitions/x'\n",
    "labels: [{pairs: {a: b}, includeSelectors: true, fields: [{path: a, create: true}]}]\n",
];

pub(crate) fn input(corpus: &Corpus, seed: u64) -> Input {
    let mut numbers = Numbers::new(seed);
    let variant = numbers.below(48);
    let (root, files) = match usize::try_from(seed).unwrap_or(0) {
        // The first ones are what the corpus begins with, without damage.
        at if at < corpus.trees.len() => {
            let (root, files) = &corpus.trees[at];
            let files = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect();
            return Input { root: root.clone(), files, variant };
        }
        _ if numbers.below(3) == 0 => ("top".to_owned(), grow::tree(&mut numbers)),
        _ => corpus.trees[numbers.below(corpus.trees.len())].clone(),
    };
    let mut files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    for _ in 0..=numbers.below(2) {
        damage_tree(&mut files, corpus, &mut numbers);
    }
    Input { root, files, variant }
}

/// Damages one file in several places, or mixes files up.
fn damage_tree(files: &mut BTreeMap<String, Vec<u8>>, corpus: &Corpus, numbers: &mut Numbers) {
    let paths: Vec<String> = files.keys().cloned().collect();
    if paths.is_empty() {
        return;
    }
    let path = &paths[numbers.below(paths.len())];
    let other = &paths[numbers.below(paths.len())];
    match numbers.below(24) {
        0 => {
            files.remove(path);
        }
        1 => {
            let bytes = files[other].clone();
            files.insert(path.clone(), bytes);
        }
        2 => {
            let more = files[other].clone();
            if let Some(bytes) = files.get_mut(path) {
                bytes.extend(b"\n---\n");
                bytes.extend(more);
            }
        }
        _ => {
            if let Some(bytes) = files.get_mut(path) {
                for _ in 0..[1, 1, 1, 2, 4][numbers.below(5)] {
                    damage(bytes, corpus, numbers);
                }
            }
        }
    }
}

fn damage(bytes: &mut Vec<u8>, corpus: &Corpus, numbers: &mut Numbers) {
    let at = numbers.below(bytes.len() + 1);
    // Three of four damages leave most lines what they are, so that many trees are still built.
    let kind = if numbers.below(4) == 0 { numbers.below(18) } else { 6 + numbers.below(9) };
    match kind {
        0 => bytes.truncate(at),
        1 => {
            let end = (at + 1 + numbers.below(12)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        2 => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap_or_default()),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        4 => repeat(bytes, at, numbers),
        5 => nest(bytes, at, numbers),
        6 => {
            let line = line_at(bytes, at);
            bytes.drain(line);
        }
        7 => {
            let line = line_at(bytes, at);
            let moved: Vec<u8> = bytes.drain(line).collect();
            let to = line_at(bytes, numbers.below(bytes.len() + 1)).start;
            bytes.splice(to..to, moved);
        }
        8 => {
            let line = line_at(bytes, at).start;
            bytes.splice(line..line, std::iter::repeat_n(b' ', 1 + numbers.below(4)));
        }
        9 => {
            let line = line_at(bytes, at);
            let indent = bytes[line.clone()].iter().take_while(|byte| **byte == b' ').count();
            let mut text = " ".repeat(indent);
            text.push_str(corpus.lines[numbers.below(corpus.lines.len())].trim_start());
            text.push('\n');
            bytes.splice(line.start..line.start, text.into_bytes());
        }
        10 => {
            let piece = format!(" {}", numbers.pick(PIECES));
            set_value(bytes, at, piece.as_bytes());
        }
        11..=14 => {
            let line = &corpus.lines[numbers.below(corpus.lines.len())];
            if let Some((_, value)) = line.split_once(':') {
                set_value(bytes, at, value.as_bytes());
            }
        }
        _ => {
            let piece = numbers.pick(PIECES);
            bytes.splice(at..at, piece.bytes());
        }
    }
}

/// Puts another value behind the key in the line around a place.
fn set_value(bytes: &mut Vec<u8>, at: usize, value: &[u8]) {
    let line = line_at(bytes, at);
    let end = line.end - usize::from(bytes[line.clone()].ends_with(b"\n"));
    if let Some(colon) = bytes[line.start..end].iter().position(|byte| *byte == b':') {
        bytes.splice(line.start + colon + 1..end, value.iter().copied());
    }
}

/// The line around a place, with its break.
fn line_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |found| found + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |found| at + found + 1);
    start..end
}

/// A part again and again, but not beyond what a test can read.
fn repeat(bytes: &mut Vec<u8>, at: usize, numbers: &mut Numbers) {
    let line = if numbers.below(2) == 0 {
        line_at(bytes, at)
    } else {
        at..(at + 1 + numbers.below(8)).min(bytes.len())
    };
    let part = bytes[line.clone()].to_vec();
    let times = [1, 2, 30, 3000][numbers.below(4)];
    if part.len() * times < 1 << 18 {
        bytes.splice(line.start..line.start, part.repeat(times));
    }
}

/// Opens many collections in one place, and closes some of them.
fn nest(bytes: &mut Vec<u8>, at: usize, numbers: &mut Numbers) {
    let (open, close) =
        [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", ""), ("a:\n ", ""), ("&a [", ", *a]"), ("(", ")")]
            [numbers.below(7)];
    let depth = [3, 70, 260, 5000, 40_000][numbers.below(5)];
    let mut text = open.repeat(depth);
    if numbers.below(2) == 0 {
        text.push('x');
        text.push_str(&close.repeat(depth));
    }
    bytes.splice(at..at, text.into_bytes());
}
