//! The index of a chart repository: read, and asked for a version. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, StrInput};
use reqwest::Url;
use trueup_template::semver::{self, Constraints, Version};

/// What an index says of each chart, the newest version first.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<String, Vec<Entry>>);

/// One version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: String,
    /// The archive's hash in hex, as it is promised.
    pub(super) digest: Option<String>,
    /// The first address of the archive.
    pub(super) url: Option<String>,
}

/// Why there is no version to take.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfound {
    /// No chart of that name; these are close to it.
    Chart(Vec<String>),
    /// The range cannot be read.
    Range(semver::Error),
    /// No version in the range; these are the newest.
    Version(Vec<String>),
}

impl Index {
    /// Reads an index: YAML, or JSON. What is not needed here is passed over.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        let mut reader = Reader(Parser::new_from_str_with_options(text, options));
        let (mut charts, mut api_version) = (BTreeMap::new(), None);
        reader.document(|key, reader| {
            match key {
                "apiVersion" => api_version = reader.text()?,
                "entries" => {
                    reader.mapping(|name, reader| {
                        let mut entries = Vec::new();
                        reader.list(|reader| {
                            entries.extend(reader.entry()?);
                            Ok(())
                        })?;
                        charts.insert(name.to_owned(), sorted(entries));
                        Ok(())
                    })?;
                }
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        match api_version {
            Some(_) => Ok(Self(charts)),
            None => Err("no apiVersion: it is no index of charts".to_owned()),
        }
    }

    /// The version that Helm takes: the one that is written just so, else the newest in the range.
    pub(super) fn pick(&self, name: &str, range: &str) -> Result<&Entry, Unfound> {
        let Some(entries) = self.0.get(name) else { return Err(Unfound::Chart(self.near(name))) };
        let versions: Vec<&str> = entries.iter().map(|entry| entry.version.as_str()).collect();
        pick(&versions, range).map(|at| &entries[at])
    }

    /// Up to three names that the missing one may have been meant to be.
    fn near(&self, name: &str) -> Vec<String> {
        let mut scored: Vec<_> = self
            .0
            .keys()
            .map(|known| (strsim::levenshtein(name, known), known))
            .filter(|(distance, known)| *distance <= 2.max(name.len() / 3) || known.contains(name))
            .collect();
        scored.sort_unstable();
        scored.into_iter().take(3).map(|(_, known)| known.clone()).collect()
    }
}

/// Which of these versions, the newest first, Helm takes for a range.
pub(super) fn pick(versions: &[&str], range: &str) -> Result<usize, Unfound> {
    let constraints =
        Constraints::parse(if range.is_empty() { "*" } else { range }).map_err(Unfound::Range)?;
    if let Some(exact) = versions.iter().position(|version| *version == range) {
        return Ok(exact);
    }
    let within = |version: &&str| Version::parse(version).is_ok_and(|version| constraints.check(&version));
    let newest = || versions.iter().take(3).map(|version| (*version).to_owned()).collect();
    versions.iter().position(within).ok_or_else(|| Unfound::Version(newest()))
}

/// Versions in the order in which they are tried: the newest first.
pub(super) fn newest_first(left: &Version, right: &Version) -> Ordering {
    right.precedence(left)
}

fn sorted(entries: Vec<Entry>) -> Vec<Entry> {
    // A version that cannot be read is no version to Helm either.
    let mut read: Vec<_> =
        entries.into_iter().filter_map(|entry| Some((Version::parse(&entry.version).ok()?, entry))).collect();
    read.sort_by(|(left, _), (right, _)| newest_first(left, right));
    read.into_iter().map(|(_, entry)| entry).collect()
}

/// The address of an archive: as it is written, or below the repository.
pub(super) fn resolve(repository: &Url, written: &str) -> Result<Url, String> {
    let mut base = repository.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", repository.path()));
    }
    let url = base.join(written).map_err(|error| format!("the address of the archive is no URL: {error}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("the archive is at {other}://, and only http and https are read")),
    }
}

/// YAML as events: an index may have tens of thousands of entries with all that is in a Chart.yaml, of which little is
/// wanted.
struct Reader<'t>(Parser<'t, StrInput<'t>>);

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.0.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it ends too early".to_owned()),
        }
    }

    /// The mapping of the first document.
    fn document(&mut self, entry: impl FnMut(&str, &mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            match self.next()? {
                Event::DocumentStart(..) => return self.mapping(entry),
                Event::StreamEnd => return Err("it is empty".to_owned()),
                _ => {}
            }
        }
    }

    /// A mapping, whose keys are texts; anything else is passed over.
    fn mapping(
        &mut self,
        mut entry: impl FnMut(&str, &mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        match self.next()? {
            Event::MappingStart(..) => loop {
                match self.next()? {
                    Event::MappingEnd => return Ok(()),
                    Event::Scalar(key, ..) => entry(&key, self)?,
                    other => {
                        self.rest(&other)?;
                        self.skip()?;
                    }
                }
            },
            other => self.rest(&other),
        }
    }

    /// A list; anything else is passed over. `item` reads one whole value.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        match self.next()? {
            Event::SequenceStart(..) => loop {
                // The parser can be asked what comes without taking it.
                match self.0.peek() {
                    Some(Ok((Event::SequenceEnd, _))) => {
                        self.next()?;
                        return Ok(());
                    }
                    Some(Ok(_)) => item(self)?,
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("it ends too early".to_owned()),
                }
            },
            other => self.rest(&other),
        }
    }

    fn text(&mut self) -> Result<Option<String>, String> {
        match self.next()? {
            Event::Scalar(text, ..) => Ok(Some(text.into_owned())),
            other => self.rest(&other).map(|()| None),
        }
    }

    fn skip(&mut self) -> Result<(), String> {
        let first = self.next()?;
        self.rest(&first)
    }

    /// What follows of a value that began with `event`.
    fn rest(&mut self, event: &Event<'_>) -> Result<(), String> {
        let mut depth = depth_after(0, event);
        while depth > 0 {
            depth = depth_after(depth, &self.next()?);
        }
        Ok(())
    }

    /// One version of a chart; nothing where it lacks its name or its version.
    fn entry(&mut self) -> Result<Option<Entry>, String> {
        let (mut name, mut version, mut digest, mut url) = (None, None, None, None);
        self.mapping(|key, reader| {
            match key {
                "name" => name = reader.text()?,
                "version" => version = reader.text()?,
                "digest" => digest = reader.text()?,
                "urls" => reader.list(|reader| {
                    let text = reader.text()?;
                    if url.is_none() {
                        url = text;
                    }
                    Ok(())
                })?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let named = name.is_some_and(|name| !name.is_empty());
        Ok(version.filter(|_| named).map(|version| Entry {
            version,
            digest: digest.as_deref().and_then(hash),
            url,
        }))
    }
}

/// A hash in hex, with or without its algorithm.
fn hash(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hex)
}

fn depth_after(depth: usize, event: &Event<'_>) -> usize {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => depth + 1,
        Event::MappingEnd | Event::SequenceEnd => depth.saturating_sub(1),
        _ => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"
apiVersion: v1
generated: "2026-01-01T00:00:00Z"
entries:
  web:
  - {name: web, version: 1.2.0, urls: [web-1.2.0.tgz], digest: 00}
  - name: web
    version: 1.10.0
    description: |
      entries: not here
    maintainers: [{name: x}, {name: y}]
    dependencies:
    - {name: other, version: 9.9.9, urls: [wrong]}
    urls:
    - https://elsewhere.example.com/web-1.10.0.tgz
    - https://mirror.example.com/web-1.10.0.tgz
    digest: sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
  - {name: web, version: 2.0.0-rc.1, urls: [a/web-2.0.0-rc.1.tgz]}
  - {name: web, version: v1.9.9, urls: [web-v1.9.9.tgz]}
  - {name: web, version: "1.10.0+build.5", urls: [built.tgz]}
  - {name: web, version: not-a-version, urls: [x.tgz]}
  - {version: 99.0.0, urls: [nameless.tgz]}
  -
  empty: []
  nothing:
serverInfo: {contextPath: /x}
"#;

    fn picked(name: &str, range: &str) -> String {
        match Index::parse(INDEX).unwrap().pick(name, range) {
            Ok(entry) => entry.version.clone(),
            Err(Unfound::Chart(near)) => format!("no chart {near:?}"),
            Err(Unfound::Range(error)) => format!("range: {error}"),
            Err(Unfound::Version(newest)) => format!("no version {newest:?}"),
        }
    }

    #[test]
    fn the_newest_version_in_the_range_is_taken_and_pre_releases_only_when_asked_for() {
        for (range, expected) in [
            ("", "1.10.0"),
            ("*", "1.10.0"),
            ("^1.2", "1.10.0"),
            ("~1.9", "v1.9.9"),
            ("1.2", "1.2.0"),
            ("1.2.0", "1.2.0"),
            ("1.9.9", "v1.9.9"),
            ("v1.9.9", "v1.9.9"),
            ("1.10.0+build.5", "1.10.0+build.5"),
            (">=2.0.0-0", "2.0.0-rc.1"),
            ("<1.10 || >3", "v1.9.9"),
            ("2.x", "no version [\"2.0.0-rc.1\", \"1.10.0\", \"1.10.0+build.5\"]"),
            ("not-a-version", "range: improper constraint: \"not-a-version\""),
        ] {
            assert_eq!(picked("web", range), expected, "{range}");
        }
        assert_eq!(picked("wbe", ""), "no chart [\"web\"]");
        assert_eq!(picked("empty", ""), "no version []");
        assert_eq!(picked("nothing", ""), "no version []");
    }

    #[test]
    fn of_an_entry_only_its_own_first_address_and_a_whole_digest_count() {
        let index = Index::parse(INDEX).unwrap();
        let entry = index.pick("web", "1.10.0").unwrap();
        assert_eq!(entry.url.as_deref(), Some("https://elsewhere.example.com/web-1.10.0.tgz"));
        assert_eq!(entry.digest, Some("a".repeat(64)));
        assert_eq!(index.pick("web", "1.2.0").unwrap().digest, None);
    }

    #[test]
    fn an_index_may_be_json_and_must_be_an_index() {
        let json = r#"{"apiVersion":"v1","entries":{"a":[{"name":"a","version":"1.0.0","urls":["a.tgz"]}]}}"#;
        assert_eq!(Index::parse(json).unwrap().pick("a", "").unwrap().url.as_deref(), Some("a.tgz"));
        for text in ["", "<html>", "entries: {}", "[1, 2]", "apiVersion: [", "a: b: c"] {
            assert!(Index::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_taken_below_the_repository_unless_it_is_whole() {
        for (repository, written, expected) in [
            ("https://h/charts", "a-1.tgz", "https://h/charts/a-1.tgz"),
            ("https://h/charts/", "a/b.tgz", "https://h/charts/a/b.tgz"),
            ("https://h", "a.tgz", "https://h/a.tgz"),
            ("https://h/charts", "/a.tgz", "https://h/a.tgz"),
            ("https://h/charts", "../a.tgz", "https://h/a.tgz"),
            ("https://h/charts", "https://other/a.tgz", "https://other/a.tgz"),
            ("https://h/charts", "//other/a.tgz", "https://other/a.tgz"),
        ] {
            let repository = Url::parse(repository).unwrap();
            assert_eq!(resolve(&repository, written).unwrap().as_str(), expected);
        }
        let repository = Url::parse("https://h/charts").unwrap();
        assert!(resolve(&repository, "file:///etc/passwd").is_err());
        assert!(resolve(&repository, "oci://h/a").is_err());
    }
}
