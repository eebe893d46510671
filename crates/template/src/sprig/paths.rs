//! Slash-separated paths (Go's path), also under the names of the operating system's.

use super::Entry;
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    (&["base", "osBase"], "func(string) string", |_, arguments| Ok(base(arguments.text(0)?).into())),
    (&["dir", "osDir"], "func(string) string", |_, arguments| Ok(dir(arguments.text(0)?).into())),
    (&["clean", "osClean"], "func(string) string", |_, arguments| Ok(clean(arguments.text(0)?).into())),
    (&["ext", "osExt"], "func(string) string", |_, arguments| Ok(ext(arguments.text(0)?).into())),
    (&["isAbs", "osIsAbs"], "func(string) bool", |_, arguments| {
        Ok(Value::Bool(arguments.text(0)?.first() == Some(&b'/')))
    }),
];

fn base(path: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return b".".to_vec();
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let name = path[..end].rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if name.is_empty() { b"/".to_vec() } else { name.to_vec() }
}

fn dir(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    clean(&path[..end])
}

fn ext(path: &[u8]) -> Vec<u8> {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    name.iter().rposition(|&byte| byte == b'.').map_or_else(Vec::new, |dot| name[dot..].to_vec())
}

fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => drop(kept.pop()),
                _ if rooted => {}
                _ => kept.push(part),
            },
            part => kept.push(part),
        }
    }
    let joined = kept.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
