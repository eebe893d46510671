//! PEM as Go's encoding/pem reads and writes it.

use crate::sprig::encoding::{base64, decode64};

/// What stands between the lines of a kind.
pub(super) struct Block {
    pub(super) kind: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

const LINE: usize = 64;

pub(super) fn encode(kind: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("-----BEGIN {kind}-----\n").into_bytes();
    for line in base64(bytes).chunks(LINE) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {kind}-----\n").as_bytes());
    out
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// The first block of a text. What is no block is passed over.
pub(super) fn decode(text: &[u8]) -> Option<Block> {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let mut from = 0;
    loop {
        let end = from + lines[from..].iter().position(|line| line.starts_with(END))?;
        // Of several beginnings the last counts.
        let begin = lines[from..end].iter().rposition(|line| line.starts_with(BEGIN));
        if let Some(block) = begin.and_then(|begin| block(&lines[from + begin..=end])) {
            return Some(block);
        }
        from = end + 1;
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(&[][..], |last| &line[..=last])
}

/// The block of these lines, its first and its last included. Headers are passed over.
fn block(lines: &[&[u8]]) -> Option<Block> {
    let [first, body @ .., last] = lines else { return None };
    let kind = trimmed(first).strip_prefix(BEGIN)?.strip_suffix(DASHES)?;
    let ended = trimmed(last).strip_prefix(END)?.strip_suffix(DASHES)?;
    if kind != ended {
        return None;
    }
    let headers = body.iter().take_while(|line| line.contains(&b':')).count();
    let digits: Vec<u8> =
        body[headers..].concat().into_iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')).collect();
    Some(Block { kind: kind.to_vec(), bytes: decode64(&digits).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Vec<u8>)> {
        decode(text.as_bytes()).map(|block| (String::from_utf8(block.kind).unwrap(), block.bytes))
    }

    #[test]
    fn a_block_is_found_among_other_lines() {
        let bytes: Vec<u8> = (0..100).collect();
        let written = String::from_utf8(encode("A KEY", &bytes)).unwrap();
        assert_eq!(read(&written), Some(("A KEY".into(), bytes.clone())));
        let carried = format!("words\n-----BEGIN A KEY-----\n{}", written.replace('\n', " \r\n"));
        assert_eq!(read(&carried), Some(("A KEY".into(), bytes)));
        assert_eq!(read("-----BEGIN X-----\nA: b\n\nAA==\n-----END X-----"), Some(("X".into(), vec![0])));
        assert_eq!(read("-----BEGIN X-----\n-----END X-----"), Some(("X".into(), vec![])));
        for none in ["", "text", "-----BEGIN X-----\nAA==\n", "-----BEGIN X-----\nAA==\n-----END Y-----\n"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
