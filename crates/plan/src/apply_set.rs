//! Membership of objects in a target, as the `ApplySet` of KEP-3659 has it.
//!
//! Source: <https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/3659-kubectl-apply-prune>.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

/// The label on each member that names its set.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// The label on the parent that holds the set's id.
pub const ID: &str = "applyset.kubernetes.io/id";
/// The parent's annotation that names the tool that keeps the set.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// The parent's annotation that lists the members' kinds as `Kind.group`, comma-separated and sorted.
pub const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// The parent's annotation that lists the members' namespaces other than the parent's own.
pub const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// Where the parents of environments without a namespace live.
pub const SYSTEM_NAMESPACE: &str = "trueup-system";

/// The name of the parent `ConfigMap` of an app in an environment.
pub fn parent_name(app: &str, environment: &str) -> String {
    format!("trueup.{app}.{environment}")
}

/// The id of the set whose parent is the `ConfigMap` of this name and namespace.
pub fn id(parent: &str, namespace: &str) -> String {
    let hash = Sha256::digest(format!("{parent}.{namespace}.ConfigMap."));
    format!("applyset-{}-v1", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_valid_label_value_and_differs_by_namespace() {
        let id_here = id("trueup.web.production", "shop");
        assert_eq!(id_here.len(), "applyset--v1".len() + 43);
        assert!(id_here.len() <= 63);
        assert_ne!(id_here, id("trueup.web.production", "other"));
    }
}
