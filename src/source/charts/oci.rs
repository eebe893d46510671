//! References of OCI registries, what their answers mean, and which parts of a manifest are a chart. Pure.

use std::fmt;

use serde::Deserialize;
use trueup_template::semver::Version;

use super::index::{self, Unfound};
use super::is_digest;

pub(super) const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const OLD_LAYER: &str = "application/tar+gzip";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const LIST: &str = "application/vnd.oci.image.index.v1+json";

/// A place in a registry: `host[:port]/path[:tag][@digest]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OciReference {
    /// With its port.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

impl OciReference {
    /// Reads what follows `oci://`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("the digest is not sha256: and 64 hex digits".to_owned());
        }
        let (host, rest) = rest.split_once('/').ok_or("a path after the host is missing")?;
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let path = path.trim_end_matches('/');
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b)) {
            return Err("the host is missing or holds what no host does".to_owned());
        }
        if !is_path(path) {
            return Err("the path must be lower-case names with slashes between".to_owned());
        }
        if tag.is_some_and(|tag| !is_tag(&to_tag(tag))) {
            return Err("the tag is not one that registries take".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The place of a chart below this one; this one itself where the name is empty.
    pub(super) fn join(&self, name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Ok(self.clone());
        }
        let path = format!("{}/{name}", self.path);
        if !is_path(&path) || self.tag.is_some() || self.digest.is_some() {
            return Err(format!("{name} cannot be a name below {self}"));
        }
        Ok(Self { path, ..self.clone() })
    }

    /// As a URL, for who compares servers.
    pub(super) fn web(&self) -> Option<reqwest::Url> {
        reqwest::Url::parse(&format!("https://{}/{}", self.host, self.path)).ok()
    }

    /// The host to speak to: Docker's registry has a name of its own for people.
    pub(super) fn server(&self) -> &str {
        match self.host.as_str() {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        }
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, path, tag, digest } = self;
        write!(f, "oci://{host}/{path}")?;
        if let Some(tag) = tag {
            write!(f, ":{tag}")?;
        }
        digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn is_path(path: &str) -> bool {
    path.len() <= 255
        && path.split('/').all(|name| {
            let letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let bytes = name.as_bytes();
            bytes.iter().all(|byte| letter(byte) || b"._-".contains(byte))
                && bytes.first().is_some_and(letter)
                && bytes.last().is_some_and(letter)
                && !name.contains("..")
        })
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && word(tag.as_bytes()[0])
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// The tag of a version: a tag cannot have a plus, so Helm writes an underscore.
pub(super) fn to_tag(version: &str) -> String {
    version.replace('+', "_")
}

/// How a chart is to be found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// By the tag of a version.
    Version(String),
    /// By the newest tag in a range.
    Range(String),
    /// By its digest; where there is a range too, the version must be in it.
    Digest(String, String),
}

/// What a reference and a range ask for, as Helm reads them.
pub(super) fn wanted(reference: &OciReference, range: &str) -> Result<Wanted, String> {
    if let Some(tag) = &reference.tag
        && !range.is_empty()
        && tag != range
    {
        return Err(format!("the reference asks for {tag}, and the version is {range}"));
    }
    let range = reference.tag.as_deref().unwrap_or(range);
    if let Some(digest) = &reference.digest {
        return Ok(Wanted::Digest(digest.clone(), range.to_owned()));
    }
    // What looks like a version is one: `1.2` is a tag, not a range.
    if Version::parse(range).is_ok() && is_tag(&to_tag(range)) {
        return Ok(Wanted::Version(range.to_owned()));
    }
    Ok(Wanted::Range(range.to_owned()))
}

/// The version that Helm takes of these tags. Those that are no whole versions do not count.
pub(super) fn pick(tags: &[String], range: &str) -> Result<String, Unfound> {
    let mut versions: Vec<(Version, String)> = tags
        .iter()
        .map(|tag| tag.replace('_', "+"))
        .filter(|version| is_whole(version))
        .filter_map(|version| Some((Version::parse(&version).ok()?, version)))
        .collect();
    versions.sort_by(|(left, _), (right, _)| index::newest_first(left, right));
    let texts: Vec<&str> = versions.iter().map(|(_, text)| text.as_str()).collect();
    index::pick(&texts, range).map(|at| texts[at].to_owned())
}

/// Whether a version has its three numbers, no `v`, and no zeros before them.
fn is_whole(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| {
            part.bytes().all(|byte| byte.is_ascii_digit()) && (*part == "0" || !part.starts_with('0'))
        })
}

/// A manifest, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// What is stored, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
}

/// What a manifest says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A chart: what describes it, and its archive.
    Chart { config: Descriptor, archive: Descriptor },
    /// Another manifest that may be one.
    Further(Descriptor),
}

/// Reads a manifest.
pub(super) fn content(manifest: &[u8]) -> Result<Content, String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| format!("the manifest is not understood: {error}"))?;
    if let Some(config) = manifest.config {
        if config.media_type != CONFIG {
            return Err(format!("it is no chart but {}", config.media_type));
        }
        let layer = |kind: &str| manifest.layers.iter().find(|layer| layer.media_type == kind).cloned();
        let archive = layer(LAYER).or_else(|| layer(OLD_LAYER)).ok_or("the manifest has no chart in it")?;
        for part in [&config, &archive] {
            if !is_digest(&part.digest) {
                return Err(format!("the digest {} is not understood", part.digest));
            }
        }
        return Ok(Content::Chart { config, archive });
    }
    let named = |one: &&Descriptor| one.artifact_type.as_deref() == Some(CONFIG);
    let further = manifest.manifests.iter().find(named);
    let further = further.or(if let [only] = &manifest.manifests[..] { Some(only) } else { None });
    match further {
        Some(further) if is_digest(&further.digest) => Ok(Content::Further(further.clone())),
        Some(_) | None => Err("the manifest has no chart in it".to_owned()),
    }
}

/// How a server wants to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// With a token from there.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// Reads a `WWW-Authenticate` header.
pub(super) fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameter = |wanted: &str| parameters(rest).find(|(name, _)| name == wanted).map(|(_, value)| value);
    Some(Challenge::Bearer {
        realm: parameter("realm")?,
        service: parameter("service"),
        scope: parameter("scope"),
    })
}

/// `name="value"` pairs with commas between; a value may have commas within its quotes.
fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', ',']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        rest = after;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_host_a_path_and_perhaps_a_tag_and_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in
            ["h/a", "h:5000/a/b-c/d_e", "h/a:1.2.3", "h/a:1.2.3+x", "[::1]:5000/a", "docker.io/library/a"]
        {
            assert_eq!(OciReference::parse(text).unwrap().to_string(), format!("oci://{text}"));
        }
        assert_eq!(OciReference::parse(&format!("h/a:1@{digest}")).unwrap().digest, Some(digest));
        for text in [
            "",
            "h",
            "/a",
            "h/",
            "h/A",
            "h/a//b",
            "h/a..b",
            "h/-a",
            "h/a:",
            "h/a: x",
            "h/a@sha256:1",
            "me:p@h/a",
        ] {
            assert!(OciReference::parse(text).is_err(), "{text}");
        }
        let charts = OciReference::parse("h/charts").unwrap();
        assert_eq!(charts.join("web").unwrap().to_string(), "oci://h/charts/web");
        assert!(charts.join("../web").is_err() && charts.join("Web").is_err());
        assert!(OciReference::parse("h/charts:1").unwrap().join("web").is_err());
    }

    #[test]
    fn what_is_a_version_is_a_tag_and_all_else_a_range() {
        let plain = OciReference::parse("h/a").unwrap();
        let tagged = OciReference::parse("h/a:1.2.3").unwrap();
        assert_eq!(wanted(&plain, "1.2.3"), Ok(Wanted::Version("1.2.3".into())));
        assert_eq!(wanted(&plain, "1.2.3+x"), Ok(Wanted::Version("1.2.3+x".into())));
        assert_eq!(wanted(&plain, "1.2"), Ok(Wanted::Version("1.2".into())));
        assert_eq!(wanted(&plain, ""), Ok(Wanted::Range(String::new())));
        assert_eq!(wanted(&plain, "^1"), Ok(Wanted::Range("^1".into())));
        assert_eq!(wanted(&tagged, ""), Ok(Wanted::Version("1.2.3".into())));
        assert!(wanted(&tagged, "1.2.4").is_err());
    }

    #[test]
    fn of_tags_the_newest_whole_version_in_the_range_is_taken() {
        let tags: Vec<String> =
            ["latest", "1.2.0", "v9.0.0", "1.10.0", "1.10", "2.0.0-rc1", "1.10.1_build.2", "01.2.3"]
                .map(str::to_owned)
                .into();
        assert_eq!(pick(&tags, "").unwrap(), "1.10.1+build.2");
        assert_eq!(pick(&tags, "~1.2").unwrap(), "1.2.0");
        assert_eq!(pick(&tags, ">=2.0.0-0").unwrap(), "2.0.0-rc1");
        assert_eq!(
            pick(&tags, "^3"),
            Err(Unfound::Version(["2.0.0-rc1", "1.10.1+build.2", "1.10.0"].map(str::to_owned).into()))
        );
    }

    #[test]
    fn a_manifest_that_is_no_chart_is_refused() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let part = |kind: &str| format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":5}}"#);
        let manifest = |config: &str, layer: &str| {
            content(format!(r#"{{"config":{},"layers":[{}]}}"#, part(config), part(layer)).as_bytes())
        };
        assert!(matches!(manifest(CONFIG, LAYER), Ok(Content::Chart { archive, .. }) if archive.size == 5));
        assert!(manifest(CONFIG, OLD_LAYER).is_ok());
        assert!(manifest(CONFIG, "application/x").is_err());
        assert!(manifest("application/vnd.oci.image.config.v1+json", LAYER).is_err());
        let list = format!(r#"{{"manifests":[{}]}}"#, part(MANIFEST));
        assert!(matches!(content(list.as_bytes()), Ok(Content::Further(_))));
        for text in ["", "[]", "{}", r#"{"manifests":[]}"#] {
            assert!(content(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_challenge_says_where_to_ask_for_a_token() {
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Basic));
        let header = r#"Bearer realm="https://auth.example.com/token",service="r.example.com",scope="repository:a/b:pull,push""#;
        assert_eq!(
            challenge(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example.com/token".into(),
                service: Some("r.example.com".into()),
                scope: Some("repository:a/b:pull,push".into()),
            })
        );
        assert_eq!(challenge("Bearer"), None);
        assert_eq!(challenge("Negotiate"), None);
    }
}
