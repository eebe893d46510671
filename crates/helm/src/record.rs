//! Releases as Helm keeps them in a cluster.
//!
//! In comes what stands under `release` in a Secret or ConfigMap; out comes which revision it is and what it installed. Absent:
//! the values, and the chart's files.
//!
//! Source: `encodeRelease` and `decodeRelease` in Helm's pkg/storage/driver/util.go, which have not changed since Helm 3.

use crate::values::READING;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde_json::Value as Json;
use std::io::Read as _;
use trueup_model::yaml;

/// The most that a record may hold, unpacked. An object of Kubernetes has 1 MB at most.
const LARGEST: u64 = 64 << 20;
/// How gzip begins.
const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// One revision of a release, as Helm recorded it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseRecord {
    /// The release's name.
    pub name: String,
    /// The namespace that it was installed to.
    pub namespace: String,
    /// The revision: 1 for the installation.
    pub revision: u64,
    /// How it stands, in Helm's words: `deployed`, `failed`, `pending-upgrade`, ….
    pub status: String,
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The objects that it installed, hooks left out, as they were sent; lists are taken apart.
    pub objects: Vec<Json>,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// It is not in base64.
    #[error("the record of the release is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// It cannot be unpacked.
    #[error("the record of the release cannot be unpacked: {0}")]
    Gzip(#[from] std::io::Error),
    /// It is larger than a record can be.
    #[error("the record of the release has more than {0} bytes")]
    TooLarge(u64),
    /// It is no JSON.
    #[error("the record of the release is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Something is missing in it.
    #[error("the record of the release has no {0}")]
    Missing(&'static str),
    /// Its manifest is no YAML.
    #[error("the manifest of the release: {0}")]
    Manifest(#[from] yaml::YamlError),
}

impl ReleaseRecord {
    /// Reads what Helm stored.
    ///
    /// # Errors
    /// What is not in Helm's form, or too large.
    pub fn decode(stored: &[u8]) -> Result<Self, InvalidRecord> {
        Self::decode_within(stored, LARGEST)
    }

    fn decode_within(stored: &[u8], largest: u64) -> Result<Self, InvalidRecord> {
        let mut packed = STANDARD.decode(stored)?;
        if packed.starts_with(&GZIP) {
            let mut text = Vec::new();
            MultiGzDecoder::new(packed.as_slice()).take(largest + 1).read_to_end(&mut text)?;
            packed = text;
        }
        if packed.len() as u64 > largest {
            return Err(InvalidRecord::TooLarge(largest));
        }
        let record: Json = serde_json::from_slice(&packed)?;
        let text = |pointer: &str| record.pointer(pointer).and_then(Json::as_str);
        let needed = |pointer, name| text(pointer).map(str::to_owned).ok_or(InvalidRecord::Missing(name));
        Ok(Self {
            name: needed("/name", "name")?,
            namespace: text("/namespace").unwrap_or_default().to_owned(),
            revision: record
                .get("version")
                .and_then(Json::as_u64)
                .ok_or(InvalidRecord::Missing("version"))?,
            status: needed("/info/status", "status")?,
            chart: text("/chart/metadata/name").unwrap_or_default().to_owned(),
            version: text("/chart/metadata/version").unwrap_or_default().to_owned(),
            objects: objects(text("/manifest").unwrap_or_default())?,
        })
    }
}

/// The objects of a manifest, each by itself.
fn objects(manifest: &str) -> Result<Vec<Json>, InvalidRecord> {
    let mut objects = Vec::new();
    for document in yaml::documents_as(manifest, READING)? {
        let mut object = document.value;
        let is_list = object.get("kind").and_then(Json::as_str).is_some_and(|kind| kind.ends_with("List"));
        match object.get_mut("items").and_then(Json::as_array_mut) {
            Some(items) if is_list => objects.append(items),
            Some(_) | None => objects.push(object),
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;
    use std::io::Write as _;

    fn record(manifest: &str) -> Json {
        json!({"name": "web", "namespace": "shop", "version": 3, "info": {"status": "deployed"},
            "chart": {"metadata": {"name": "web-chart", "version": "1.2.3"}}, "manifest": manifest})
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        STANDARD.encode(encoder.finish().unwrap()).into_bytes()
    }

    #[test]
    fn a_record_says_which_revision_it_is_and_what_it_installed() {
        let manifest = "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: List\nitems:\n- kind: Secret\n";
        let text = record(manifest).to_string();
        for stored in [packed(text.as_bytes()), STANDARD.encode(&text).into_bytes()] {
            let read = ReleaseRecord::decode(&stored).unwrap();
            assert_eq!((read.name.as_str(), read.namespace.as_str(), read.revision), ("web", "shop", 3));
            assert_eq!((read.status.as_str(), read.chart.as_str()), ("deployed", "web-chart"));
            let kinds: Vec<&str> =
                read.objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
            assert_eq!(kinds, ["ConfigMap", "Secret"]);
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let check = |stored: &[u8], words: &str| {
            let error = ReleaseRecord::decode(stored).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check(b"$", "not base64");
        check(&packed(b"{"), "no JSON");
        check(&packed(b"{}"), "no name");
        check(&packed(record("a: [").to_string().as_bytes()), "manifest of the release: line 1");
        let mut torn = STANDARD.decode(packed(b"{\"name\": \"web\"}")).unwrap();
        torn.truncate(torn.len() - 8);
        check(STANDARD.encode(torn).as_bytes(), "unpacked");
    }

    #[test]
    fn a_record_that_unpacks_to_more_than_the_bound_is_refused() {
        let bomb = packed(&[b' '; 10_001]);
        assert!(bomb.len() < 1000);
        let error = ReleaseRecord::decode_within(&bomb, 10_000).unwrap_err();
        assert!(matches!(error, InvalidRecord::TooLarge(10_000)), "{error}");
        let all = ReleaseRecord::decode_within(&bomb, 10_001).unwrap_err();
        assert!(matches!(all, InvalidRecord::Json(_)), "{all}");
    }
}
