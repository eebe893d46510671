//! What a kustomization names outside of its tree: folders of other repositories, files behind a URL, and charts.
//!
//! Enters: a path as it is written. Leaves: the repository, reference and folder that are meant, split as kustomize
//! splits them. Nothing is fetched here: a build says which [`Remote`]s it lacks, and is run again with their trees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trueup_model::Tree;

/// Something outside of the tree that a kustomization names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remote {
    /// A commit of a Git repository.
    Repository {
        /// What `git clone` would be given: `https://host/org/repo`, `git@host:org/repo`, `ssh://…`, `file:///…`.
        url: String,
        /// A branch, a tag or a commit; empty for what the repository's HEAD names.
        reference: String,
    },
    /// A file behind an `http` or `https` URL.
    File {
        /// The URL in full.
        url: String,
    },
    /// A chart of a chart repository or of a registry.
    Chart {
        /// `https://…`, `http://…` or `oci://…`, without the chart's name.
        repository: String,
        /// The chart's name.
        name: String,
        /// A range of versions as Helm reads it; empty for any release.
        version: String,
    },
}

impl Remote {
    /// The name that the file has in the tree which stands for a [`Remote::File`].
    pub const FILE: &str = "content";
}

/// As it is shown: `https://host/org/repo@v1`, `https://host/charts/web@^1.2`. A file's query is left out, since some hold tokens.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { url, reference } if reference.is_empty() => f.write_str(url),
            Self::Repository { url, reference } => write!(f, "{url}@{reference}"),
            Self::File { url } => f.write_str(url.split(['?', '#']).next().unwrap_or(url)),
            Self::Chart { repository, name, version } if version.is_empty() => {
                write!(f, "{repository}/{name}")
            }
            Self::Chart { repository, name, version } => write!(f, "{repository}/{name}@{version}"),
        }
    }
}

/// A [`Remote`] that a build lacks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needed {
    /// What is needed.
    pub remote: Remote,
    /// How long one request for it may take, where its URL says so.
    pub timeout: Option<Duration>,
}

/// The trees of what was asked for before, or why there is none. The tree of a file has it under [`Remote::FILE`]; that of a
/// chart is the chart's folder.
#[derive(Clone, Default)]
pub struct Remotes(pub BTreeMap<Remote, Result<Arc<dyn Tree>, String>>);

/// A folder of another repository, as a kustomization names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteFolder {
    /// What `git clone` would be given.
    pub(crate) url: String,
    /// A branch, a tag or a commit; empty for the default.
    pub(crate) reference: String,
    /// The folder in the repository; empty for its root.
    pub(crate) path: String,
    /// Where the URL says how long a request may take.
    pub(crate) timeout: Option<Duration>,
    /// Whether submodules should be there too; they should where nothing is said.
    pub(crate) submodules: bool,
}

/// True for what kustomize reads over the network when it wants a file.
pub(crate) fn is_file_url(written: &str) -> bool {
    // `url.Parse` takes schemes in any case.
    starts_with(written, "http://") || starts_with(written, "https://")
}

/// True for a URL whose last part is the name of a manifest, and which says in no way that it is a repository.
pub(crate) fn is_manifest_url(written: &str) -> bool {
    let path = written.split('?').next().unwrap_or(written);
    may_be_file(written) && [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end))
}

/// True for a URL that says in no way that it is a repository, though it can be split as one.
pub(crate) fn may_be_file(written: &str) -> bool {
    let (address, query) = written.split_once('?').unwrap_or((written, ""));
    let path = address.split_once("://").map_or("", |(_, rest)| rest);
    is_file_url(written) && explicit_split(path).is_none() && self::query(query).reference.is_empty()
}

/// What is wrong with a URL that holds a password, without repeating it.
pub(crate) fn password(written: &str) -> Option<String> {
    let (scheme, rest) = written.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@')?;
    user.contains(':').then(|| {
        format!("{scheme}://…@{host}/… holds a password, which does not belong in a file; take it out, and give the credentials where the repositories are configured")
    })
}

/// Splits what names a folder of another repository; `None` for what names something in the same tree.
pub(crate) fn parse(written: &str) -> Option<RemoteFolder> {
    if written.starts_with('/') {
        return None;
    }
    let (address, text) = written.split_once('?').unwrap_or((written, ""));
    let Query { reference, timeout, submodules } = query(text);
    let (host, rest) = host(address)?;
    let is_folder = host.starts_with(FILE_SCHEME);
    let (repository, path) = explicit_split(rest).or_else(|| by_length(rest, is_folder))?;
    if repository.is_empty() || leaves(path) {
        return None;
    }
    let path = path.strip_prefix('/').unwrap_or(path).to_owned();
    Some(RemoteFolder { url: host + repository, reference, path, timeout, submodules })
}

/// What is a folder of the machine.
pub(crate) const FILE_SCHEME: &str = "file://";
/// `ssh://` stands before `https://` and that before `http://`, as kustomize tries them.
const SCHEMES: [&str; 4] = ["ssh://", "https://", "http://", FILE_SCHEME];
const GITHUB: &str = "github.com";

/// The part that names the host, put in order as kustomize does, and the rest.
fn host(address: &str) -> Option<(String, &str)> {
    let address = if starts_with(address, "git::") { &address["git::".len()..] } else { address };
    let scheme = SCHEMES.into_iter().find(|scheme| starts_with(address, scheme)).unwrap_or_default();
    let after = &address[scheme.len()..];
    let user = user(after);
    if scheme == FILE_SCHEME {
        return Some((scheme.to_owned(), after));
    }
    let rest = &after[user.len()..];
    let is_github = starts_with(rest, "github.com/") || starts_with(rest, "github.com:");
    let may_be_scp = scheme.is_empty() && (!user.is_empty() || is_github);
    if scheme.is_empty() && !may_be_scp {
        return None;
    }
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|_| may_be_scp);
    let end = match (slash, colon) {
        (Some(slash), Some(colon)) if colon > 0 && colon < slash => Some(colon),
        (None, colon) => colon,
        (slash, _) => slash,
    };
    let (host, rest) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
    if is_github {
        let host = if scheme == "ssh://" || !user.is_empty() {
            format!("{user}{GITHUB}:")
        } else {
            format!("https://{GITHUB}/")
        };
        return Some((host, rest));
    }
    (!host.is_empty()).then(|| (format!("{scheme}{user}{host}"), rest))
}

/// `name@` at the beginning: a letter, then letters, digits and `-`.
fn user(text: &str) -> &str {
    let Some(end) = text.find('@') else { return "" };
    let name = &text[..end];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name { &text[..=end] } else { "" }
}

/// Repository and folder where the path says which is which: by `_git/`, `//` or `.git`, in this order.
fn explicit_split(path: &str) -> Option<(&str, &str)> {
    const ABOVE_ROOT: &str = "_git/";
    const SUFFIX: &str = ".git";
    if let Some(at) = path.find(ABOVE_ROOT) {
        let name = at + ABOVE_ROOT.len();
        let end = path[name..].find('/').map_or(path.len(), |slash| name + slash);
        return Some((&path[..end], path.get(end + 1..).unwrap_or_default()));
    }
    if let Some(split) = path.split_once("//") {
        return Some(split);
    }
    let end = path.find(SUFFIX)? + SUFFIX.len();
    Some(path.split_at(end))
}

/// Where nothing says so: two parts of the path are the repository, and all of a `file://` path is.
fn by_length(path: &str, is_folder: bool) -> Option<(&str, &str)> {
    if is_folder {
        return Some((path, ""));
    }
    let first = path.find('/')?;
    let end = path[first + 1..].find('/').map(|second| first + 1 + second);
    Some(end.map_or((path, ""), |end| (&path[..end], &path[end + 1..])))
}

/// Whether a folder's path climbs out of its repository.
fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

struct Query {
    reference: String,
    timeout: Option<Duration>,
    submodules: bool,
}

/// What follows the `?`. A query that cannot be read counts for nothing, as in kustomize.
fn query(text: &str) -> Query {
    let values = values(text).unwrap_or_default();
    let first = |wanted: &str| {
        values.iter().find(|(key, value)| key == wanted && !value.is_empty()).map(|(_, value)| value.as_str())
    };
    Query {
        reference: first("ref").or_else(|| first("version")).unwrap_or_default().to_owned(),
        timeout: first("timeout").and_then(timeout),
        submodules: !matches!(first("submodules"), Some("0" | "f" | "F" | "false" | "False" | "FALSE")),
    }
}

fn values(text: &str) -> Option<Vec<(String, String)>> {
    let mut values: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return None;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        // Of several values the first counts, also when it is empty.
        if !values.iter().any(|(known, _)| *known == key) {
            values.push((key, value));
        }
    }
    Some(values)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Seconds, or a duration as Go writes it: `61`, `61s`, `1m30s`, `1.5h`. Nothing else counts, nor do zero and less.
fn timeout(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return (seconds > 0).then(|| Duration::from_secs(seconds));
    }
    let mut total = 0.0;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let (unit, seconds) =
            UNITS.into_iter().find(|(unit, _)| rest.strip_prefix(unit).is_some_and(starts_number))?;
        total += number * seconds;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(total).ok().filter(|duration| !duration.is_zero())
}

const UNITS: [(&str, f64); 7] =
    [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

fn starts_number(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// As `strip_prefix` would, with letters of either case.
fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests;
