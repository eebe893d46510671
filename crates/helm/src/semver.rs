//! Versions and constraints, as Masterminds semver reads them.

use trueup_template::semver::{Constraints, Version};

/// Whether a version fits a constraint; false where either cannot be read.
pub fn is_compatible(constraint: &str, version: &str) -> bool {
    let (Ok(constraint), Ok(version)) = (Constraints::parse(constraint), Version::parse(version)) else {
        return false;
    };
    constraint.check(&version)
}

/// Whether a text is a version.
pub(crate) fn is_version(text: &str) -> bool {
    Version::parse(text).is_ok()
}
