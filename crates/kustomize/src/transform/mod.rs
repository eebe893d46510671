//! The builtin transformers. Each takes the resources of a folder and changes them in place.

pub(crate) mod images;
pub(crate) mod metadata;
pub(crate) mod namespace;
pub(crate) mod patch;
pub(crate) mod prefix;
pub(crate) mod replacement;
pub(crate) mod replicas;
pub(crate) mod select;
pub(crate) mod select_path;
pub(crate) mod value_add;
pub(crate) mod walk;

use crate::error::{Error, Place};
use crate::resource::Resource;
use std::fmt::Display;

/// A transformer's complaint about a resource, at the place that configured the transformer.
pub(crate) fn complain(place: &Place, resource: &Resource, message: impl Display) -> Error {
    let origin = &resource.origin;
    let from = if origin.path.is_empty() { String::new() } else { format!(" ({origin})") };
    Error::new(place, format!("{}{from}", resource.id()), message.to_string())
}
