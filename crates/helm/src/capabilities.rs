//! What a cluster can do, as charts ask for it.

use std::sync::{Arc, LazyLock};

/// The version of Helm that this crate renders as.
pub const HELM_VERSION: &str = "v4.3";

/// A version of Kubernetes and the API versions that it serves.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// The version of Kubernetes.
    pub kube_version: KubeVersion,
    /// API versions, and kinds with their API version before them, like `apps/v1/Deployment`.
    pub api_versions: Arc<[String]>,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// As it was given, with a `v` before it.
    pub version: String,
    /// Without what vendors put behind it.
    pub normalized: String,
    /// The first number.
    pub major: String,
    /// The second number.
    pub minor: String,
}

/// No version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kube version '{0}'")]
pub struct InvalidKubeVersion(String);

impl KubeVersion {
    /// Reads `1.36.3`, `v1.36` or `v1.33.4-gke.1245000`.
    ///
    /// # Errors
    /// Anything that does not begin with two or three numbers.
    pub fn parse(text: &str) -> Result<Self, InvalidKubeVersion> {
        let invalid = || InvalidKubeVersion(text.to_owned());
        let bare = text.trim().strip_prefix('v').unwrap_or(text.trim());
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        let numbers: Vec<&str> = bare[..end].split('.').collect();
        let valid =
            |number: &&str| number.parse::<u32>().is_ok() && (number.len() == 1 || !number.starts_with('0'));
        if numbers.len() < 2 || !numbers.iter().all(valid) {
            return Err(invalid());
        }
        let version = if text.starts_with('v') { text.to_owned() } else { format!("v{text}") };
        let normalized = match numbers.as_slice() {
            [major, minor] => format!("v{major}.{minor}.0"),
            numbers => format!("v{}", numbers.join(".")),
        };
        Ok(Self { version, normalized, major: numbers[0].to_owned(), minor: numbers[1].to_owned() })
    }
}

impl Default for KubeVersion {
    /// The version that Helm takes where it is not told: that of its client library.
    fn default() -> Self {
        let version = "v1.37.0".to_owned();
        Self { normalized: version.clone(), version, major: "1".into(), minor: "37".into() }
    }
}

/// What Kubernetes serves by itself.
static API_VERSIONS: LazyLock<Arc<[String]>> =
    LazyLock::new(|| include_str!("api_versions.txt").lines().map(str::to_owned).collect());

impl Default for Capabilities {
    fn default() -> Self {
        Self { kube_version: KubeVersion::default(), api_versions: Arc::clone(&API_VERSIONS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_s_version_is_known_with_and_without_its_suffix() {
        let read = KubeVersion::parse("v1.33.4-gke.1245000").unwrap();
        assert_eq!((read.version.as_str(), read.normalized.as_str()), ("v1.33.4-gke.1245000", "v1.33.4"));
        assert_eq!((read.major.as_str(), read.minor.as_str()), ("1", "33"));
        assert_eq!(KubeVersion::parse("1.36").unwrap().normalized, "v1.36.0");
        assert!(KubeVersion::parse("latest").is_err() && KubeVersion::parse("1").is_err());
    }
}
