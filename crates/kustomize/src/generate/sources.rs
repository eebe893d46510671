//! The keys and values of a generator.

use crate::error::{Error, Place};
use crate::fields::Text;
use crate::load::Folder;
use crate::model::KeyValueSources;
use std::collections::BTreeMap;

/// Reads all sources: environment files, then literals, then files.
pub(crate) fn read(
    sources: &KeyValueSources,
    folder: &Folder<'_>,
    place: &Place,
    subject: &str,
) -> Result<BTreeMap<String, Vec<u8>>, Vec<Error>> {
    let mut pairs = Pairs { read: BTreeMap::new(), errors: Vec::new(), place, subject };
    for env in &sources.envs {
        match content(folder, &env.value) {
            Ok((path, bytes)) => pairs.add_env_file(&path, &bytes, env.line),
            Err(message) => pairs.complain(env.line, message),
        }
    }
    for (index, literal) in sources.literals.iter().enumerate() {
        pairs.add_literal(index, literal);
    }
    for file in &sources.files {
        match key_and_path(&file.value).and_then(|(key, path)| Ok((key, content(folder, path)?.1))) {
            Ok((key, bytes)) => pairs.add(key, bytes, file.line),
            Err(message) => pairs.complain(file.line, message),
        }
    }
    if pairs.errors.is_empty() { Ok(pairs.read) } else { Err(pairs.errors) }
}

fn content(folder: &Folder<'_>, written: &str) -> Result<(String, Vec<u8>), String> {
    let file = folder.file(written)?;
    let bytes = file.bytes()?.to_vec();
    Ok((file.name, bytes))
}

/// `key=path`, or a path whose last part is the key.
pub(crate) fn key_and_path(source: &str) -> Result<(&str, &str), String> {
    match source.split_once('=') {
        None => {
            let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
            Ok((name, source))
        }
        Some((_, path)) if path.contains('=') => {
            Err(format!("{source:?} has more than one =; neither key nor path may contain it"))
        }
        Some(("", _)) => Err(format!("{source:?} has no key before the =")),
        Some((_, "")) => Err(format!("{source:?} has no path after the =")),
        Some(pair) => Ok(pair),
    }
}

struct Pairs<'p> {
    read: BTreeMap<String, Vec<u8>>,
    errors: Vec<Error>,
    place: &'p Place,
    subject: &'p str,
}

impl Pairs<'_> {
    fn complain(&mut self, line: usize, message: String) {
        let line = if line == 0 { self.place.line } else { line };
        self.errors.push(Error::new(&self.place.at(line), self.subject, message));
    }

    fn add(&mut self, key: &str, value: Vec<u8>, line: usize) {
        if self.read.insert(key.to_owned(), value).is_some() {
            self.complain(line, format!("the key {key} is given twice; keep one"));
        }
    }

    fn add_literal(&mut self, index: usize, literal: &Text) {
        match literal.value.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                self.add(key, unquoted(value).as_bytes().to_vec(), literal.line);
            }
            Some(_) | None => {
                // It may be a secret, so it is not repeated.
                self.complain(literal.line, format!("literals[{index}] must be key=value"));
            }
        }
    }

    fn add_env_file(&mut self, path: &str, bytes: &[u8], line: usize) {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.complain(line, format!("{path} is not UTF-8 text"));
            return;
        };
        for (_, key, value) in env_entries(text) {
            self.add(key, value.as_bytes().to_vec(), line);
        }
    }
}

/// The entries of an environment file: line, key, value.
pub(crate) fn env_entries(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    text.split('\n').enumerate().filter_map(|(index, entry)| {
        let entry = entry.strip_suffix('\r').unwrap_or(entry).trim_start();
        if entry.is_empty() || entry.starts_with('#') {
            return None;
        }
        let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
        (!key.is_empty()).then_some((index + 1, key, value))
    })
}

/// Without the quotes around it.
fn unquoted(value: &str) -> &str {
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first @ (b'"' | b'\'')), Some(last)) if bytes.len() >= 2 && first == last => {
            &value[1..value.len() - 1]
        }
        _ => value,
    }
}
