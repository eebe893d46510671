//! Names of images, as far as the server looks at them: whether one means what was built last.
//!
//! Source: `SetDefaults_Container` of k8s.io/kubernetes `pkg/apis/core/v1`; github.com/distribution/reference.

use crate::rules::matches;

const PART: &str = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const DOMAIN: &str = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?";
const DIGEST: &str = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";

/// Whether an image is pulled anew each time: it says `latest`, or nothing. What is no image's name says neither.
pub(crate) fn is_latest(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let place = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[place..].split_once(':') {
        Some((last, tag)) => (&name[..place + last.len()], Some(tag)),
        None => (name, None),
    };
    let is_image = is_path(path)
        && tag.is_none_or(|tag| matches("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag))
        && digest.is_none_or(|digest| matches(DIGEST, digest));
    is_image
        && match tag {
            None => digest.is_none(),
            Some(tag) => tag == "latest",
        }
}

/// Whether a text is a path of images, with a registry before it or none.
fn is_path(path: &str) -> bool {
    let is_registry =
        |first: &str| first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first;
    let (registry, rest) = match path.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        Some(_) | None => (None, path),
    };
    registry.is_none_or(|registry| matches(DOMAIN, registry))
        && rest.split('/').all(|part| matches(PART, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_tag_is_the_latest_and_what_is_no_image_is_not() {
        let digest = format!("web@sha256:{}", "0".repeat(64));
        for (image, expected) in [
            ("web", true),
            ("web:latest", true),
            ("registry.example.com:5000/team/web", true),
            ("localhost/web", true),
            ("web:1", false),
            (digest.as_str(), false),
            ("Bad_Value!", false),
            ("WEB", false),
            ("Registry/web", true),
            ("", false),
            ("web:", false),
        ] {
            assert_eq!(is_latest(image), expected, "{image}");
        }
    }
}
