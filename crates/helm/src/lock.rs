//! `Chart.lock`, and the older `requirements.lock`: which versions a chart's dependencies had when they were last resolved.
//!
//! Enters: its text. Leaves: the versions, and whether they are still those of what the chart says. Absent: getting the charts.
//!
//! Source: Helm v4.3, `internal/resolver` (the digest) and `pkg/downloader` (what is compared with it).

use crate::error::Error;
use crate::metadata::{Dependency, Metadata, Struct, first_map, read_dependencies};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// What a lock file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// The hash of what was asked for and what was found.
    pub digest: String,
    /// Each dependency with the version that it was given.
    pub dependencies: Vec<Dependency>,
}

impl Lock {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let Some(map) = first_map(text)? else { return Ok(Self::default()) };
        let map = Struct(&map);
        let mut lock = Self::default();
        map.text("digest", &mut lock.digest)?;
        lock.dependencies = read_dependencies(&map)?.unwrap_or_default();
        Ok(lock)
    }

    /// Checks that it is of what a chart asks for now.
    ///
    /// # Errors
    /// It is out of sync, with what to do.
    pub fn check(&self, metadata: &Metadata) -> Result<(), Error> {
        let wanted = metadata.dependencies.as_deref().unwrap_or_default();
        let is_v1 = metadata.api_version == "v1";
        let as_helm_2 = || digest(&format!("{{\"dependencies\":{}}}", all(wanted)));
        if self.digest == digest(&format!("[{},{}]", all(wanted), all(&self.dependencies)))
            || (is_v1 && self.digest == as_helm_2())
        {
            return Ok(());
        }
        let (lock, asks) =
            if is_v1 { ("requirements.lock", "requirements.yaml") } else { ("Chart.lock", "Chart.yaml") };
        let message = format!(
            "the lock file ({lock}) is out of sync with the dependencies file ({asks}): run `helm dependency update` and \
             commit {lock}"
        );
        Err(Error::file(&metadata.name, lock, message))
    }

    /// What a dependency was given: the entry in its place, or else the one of its name and repository.
    pub fn version_of(&self, place: usize, wanted: &Dependency) -> Option<&str> {
        let fits =
            |locked: &&Dependency| locked.name == wanted.name && locked.repository == wanted.repository;
        let in_place = self.dependencies.get(place).filter(fits);
        in_place.or_else(|| self.dependencies.iter().find(fits)).map(|locked| locked.version.as_str())
    }
}

/// Dependencies as Go's JSON writes them: the fields of a struct in the order of its declaration.
fn all(dependencies: &[Dependency]) -> String {
    let written: Vec<String> = dependencies.iter().map(go_json).collect();
    // A list that nobody made is none in Go.
    if written.is_empty() { "null".to_owned() } else { format!("[{}]", written.join(",")) }
}

fn go_json(dependency: &Dependency) -> String {
    let Dependency { name, version, repository, condition, tags, enabled, import_values, alias } = dependency;
    let fields: [(&str, Value, bool); 8] = [
        ("name", name.as_str().into(), true),
        ("version", version.as_str().into(), !version.is_empty()),
        ("repository", repository.as_str().into(), true),
        ("condition", condition.as_str().into(), !condition.is_empty()),
        ("tags", tags.as_slice().into(), !tags.is_empty()),
        ("enabled", (*enabled).into(), *enabled),
        ("import-values", import_values.as_slice().into(), !import_values.is_empty()),
        ("alias", alias.as_str().into(), !alias.is_empty()),
    ];
    let written = fields.iter().filter(|(.., is_written)| *is_written);
    let fields: Vec<String> = written.map(|(key, value, _)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The hash of a text of JSON, in which Go escapes what HTML would read.
fn digest(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    let hash = Sha256::digest(escaped);
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n\
        - {name: redis, version: '>=17.0.0 <18', repository: 'https://charts.example.com', condition: redis.enabled, tags: [a, b]}\n\
        - {name: common, version: ^2, repository: 'file://../common', alias: shared, import-values: [data, {parent: p, child: c}]}\n";

    fn metadata(text: &str) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.read(text).unwrap();
        metadata
    }

    fn lock(digest: &str) -> Lock {
        let text = format!(
            "dependencies:\n- {{name: redis, version: 17.1.2, repository: 'https://charts.example.com'}}\n\
             - {{name: common, version: 2.3.4, repository: 'file://../common'}}\ndigest: {digest}\ngenerated: \"2026-01-01T00:00:00Z\"\n"
        );
        Lock::read(&text).unwrap()
    }

    #[test]
    fn what_is_hashed_is_what_go_writes() {
        let redis = &metadata(CHART).dependencies.unwrap()[0];
        assert_eq!(
            go_json(redis),
            "{\"name\":\"redis\",\"version\":\">=17.0.0 <18\",\"repository\":\"https://charts.example.com\",\
             \"condition\":\"redis.enabled\",\"tags\":[\"a\",\"b\"]}"
        );
    }

    #[test]
    fn a_lock_is_of_what_the_chart_asked_for_when_it_was_written() {
        // As `helm dependency update` of Helm v4.3.1 hashes it.
        let same = lock("sha256:d46ed7ab51add882e504db7343c8b6c8572c1c2313476203ea3947931fc96abd");
        same.check(&metadata(CHART)).unwrap();
        let why = same.check(&metadata(&CHART.replace("^2", "^3"))).unwrap_err().to_string();
        assert!(why.contains("out of sync") && why.contains("helm dependency update"), "{why}");
        let redis = &metadata(CHART).dependencies.unwrap()[0];
        assert_eq!(same.version_of(0, redis), Some("17.1.2"));
        assert_eq!(same.version_of(1, redis), Some("17.1.2"));
        assert_eq!(same.version_of(0, &Dependency { name: "other".into(), ..redis.clone() }), None);
    }
}
