//! Names, tags and digests of container images.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::model::ImageChange;
use crate::resmap::ResMap;
use crate::text;
use regex::Regex;
use trueup_model::Value;

/// A change with its name compiled: kustomize reads the name as a regular expression.
struct Change<'c> {
    change: &'c ImageChange,
    /// `None` for a name that is no expression; it matches nothing, as in kustomize.
    matcher: Option<Matcher<'c>>,
}

enum Matcher<'c> {
    /// A name without special characters, besides dots that stand between others.
    Name(&'c str),
    Expression(Regex),
}

const TAIL: &str = r"(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?$";

impl<'c> Change<'c> {
    fn new(change: &'c ImageChange) -> Self {
        let simple =
            change.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b':'));
        let matcher = if simple {
            Some(Matcher::Name(&change.name))
        } else {
            Regex::new(&format!("^{}{TAIL}", change.name)).ok().map(Matcher::Expression)
        };
        Self { change, matcher }
    }

    fn matches(&self, image: &str) -> bool {
        match &self.matcher {
            None => false,
            Some(Matcher::Expression(expression)) => expression.is_match(image),
            Some(Matcher::Name(name)) => image.strip_prefix(name).is_some_and(is_tail),
        }
    }

    fn apply(&self, value: &mut Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        let image = text::of(value).ok_or_else(|| "an image must be a text".to_owned())?;
        if self.matches(&image) {
            // What is written keeps no type: a name of digits alone becomes a number.
            *value = text::plain(&self.changed(&image));
        }
        Ok(())
    }

    fn changed(&self, image: &str) -> String {
        let (name, tag, digest) = split(image);
        let change = self.change;
        let mut name = if change.new_name.is_empty() { name.to_owned() } else { change.new_name.clone() };
        let (tag, digest) = match (change.new_tag.as_str(), change.digest.as_str()) {
            ("", "") if change.tag_suffix.is_empty() => (tag.to_owned(), digest),
            ("", "") => (format!("{tag}{}", change.tag_suffix), ""),
            (tag, digest) => (tag.to_owned(), digest),
        };
        if !tag.is_empty() {
            name = format!("{name}:{tag}");
        }
        if !digest.is_empty() {
            name = format!("{name}@{digest}");
        }
        name
    }
}

/// True for nothing, `:tag`, `@algorithm:digest` or both.
fn is_tail(text: &str) -> bool {
    let word = |text: &str| {
        text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'{' | b'}' | b'-'))
    };
    let (tag, digest) = match text.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (text, None),
    };
    let tag_holds = tag.is_empty() || tag.strip_prefix(':').is_some_and(word);
    let digest_holds = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(algorithm, value)| {
            word(value)
                && algorithm
                    .split(['.', '+', '_', '-'])
                    .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        })
    });
    tag_holds && digest_holds
}

/// Name, tag and digest; a colon before the first slash is a port.
fn split(image: &str) -> (&str, &str, &str) {
    let slash = image.find('/').unwrap_or(0);
    let after = &image[slash..];
    let (at, colon) = (after.find('@'), after.find(':'));
    match (colon, at) {
        (None, None) => (image, "", ""),
        (Some(colon), Some(at)) if colon < at => {
            (&image[..slash + colon], &image[slash + colon + 1..slash + at], &image[slash + at + 1..])
        }
        (_, Some(at)) => (&image[..slash + at], "", &image[slash + at + 1..]),
        (Some(colon), None) => (&image[..slash + colon], &image[slash + colon + 1..], ""),
    }
}

/// Changes the images in every list called `containers` or `initContainers`, then those of the specs.
pub(crate) fn change(
    resources: &mut ResMap,
    images: &[ImageChange],
    specs: &[FieldSpec],
    place: &Place,
    errors: &mut Vec<Error>,
) {
    let changes: Vec<Change<'_>> = images.iter().map(Change::new).collect();
    let mut selected = Selected::new(specs);
    for mut resource in resources.contents_mut() {
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        let fields = selected.of(&resource);
        for change in &changes {
            let mut result = in_containers(&mut resource.value, change);
            for spec in fields.iter() {
                let set = &mut |value: &mut Value| change.apply(value);
                result = result.and_then(|()| visit(&mut resource.value, spec, Make::Nothing, set));
            }
            if let Err(message) = result {
                errors.push(complain(place, &resource, message));
                break;
            }
        }
    }
}

fn in_containers(value: &mut Value, change: &Change<'_>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| in_containers(item, change)),
        Value::Object(object) => {
            for (key, field) in object.iter_mut() {
                in_containers(field, change)?;
                if (key == "containers" || key == "initContainers")
                    && let Value::Array(containers) = field
                {
                    for container in containers {
                        match container {
                            Value::Null => {}
                            Value::Object(container) => {
                                if let Some(image) = container.get_mut("image") {
                                    change.apply(image)?;
                                }
                            }
                            other => {
                                return Err(format!(
                                    "a container must be a mapping, not {}",
                                    text::kind_of(other)
                                ));
                            }
                        }
                    }
                }
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(image: &str, name: &str, tag: &str, digest: &str, wanted: &str) {
        let change = ImageChange {
            name: name.to_owned(),
            new_tag: tag.to_owned(),
            digest: digest.to_owned(),
            ..ImageChange::default()
        };
        let mut value = Value::String(image.to_owned());
        Change::new(&change).apply(&mut value).unwrap();
        assert_eq!(value, wanted, "{image}");
    }

    #[test]
    fn tag_and_digest_of_an_image_are_changed_where_its_name_fits() {
        check("nginx:1.7", "nginx", "1.8", "", "nginx:1.8");
        check("nginx", "nginx", "1.8", "", "nginx:1.8");
        check("nginx@sha256:abc", "nginx", "1.8", "", "nginx:1.8");
        check("nginx:1.7@sha256:abc", "nginx", "", "sha256:def", "nginx@sha256:def");
        check("reg.io:5000/nginx:1.7", "reg.io:5000/nginx", "2", "", "reg.io:5000/nginx:2");
        check("my-nginx:1.7", "nginx", "1.8", "", "my-nginx:1.7");
        check("nginx-proxy:1.7", "nginx", "1.8", "", "nginx-proxy:1.7");
        check("reg.io/a:1", ".*/a", "2", "", "reg.io/a:2");
        check("a:1", "a[", "2", "", "a:1");
    }
}
