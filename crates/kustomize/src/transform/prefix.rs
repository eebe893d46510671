//! Name prefixes and suffixes. The names that refer to a changed one are brought in line at the end.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::id::GvkRef;
use crate::resmap::ResMap;
use crate::resource::Name;
use crate::shared::Written;
use crate::text;
use std::rc::Rc;
use trueup_model::Value;

/// What is added to a name.
#[derive(Clone, Debug)]
pub(crate) enum Affix {
    Before(Rc<str>),
    After(Rc<str>),
}

impl Affix {
    fn text(&self) -> &str {
        match self {
            Self::Before(text) | Self::After(text) => text,
        }
    }
}

/// Adds the affix to the fields of `specs`, in practice `metadata/name`.
pub(crate) fn add_affix(
    resources: &mut ResMap,
    affix: &Affix,
    specs: &[FieldSpec],
    place: &Place,
    errors: &mut Vec<Error>,
) {
    let mut selected = Selected::new(specs);
    let mut set = |value: &mut Value| {
        let old = text::of(value).ok_or_else(|| "it is not a text".to_owned())?;
        let old = if value.is_null() { "" } else { old.as_ref() };
        let new = match affix {
            Affix::Before(prefix) => format!("{prefix}{old}"),
            Affix::After(suffix) => format!("{old}{suffix}"),
        };
        *value = Value::String(new);
        Ok(())
    };
    for mut resource in resources.each_mut() {
        if keeps_its_name(resource.original_id().gvk) {
            continue;
        }
        for spec in selected.of(&resource).iter() {
            // The table's kinds are compared with the kind that the resource had at first.
            if !spec.gvk.selects(resource.original_id().gvk) {
                continue;
            }
            if spec.path == "metadata/name" && !affix.text().is_empty() {
                match affix {
                    Affix::Before(prefix) => resource.prefixes.push(Rc::clone(prefix)),
                    Affix::After(suffix) => resource.suffixes.push(Rc::clone(suffix)),
                }
                resource.remember();
            }
            if let Err(message) = resource.check_names() {
                errors.push(complain(place, &resource, message));
                break;
            }
            let quoted = resource.has_quoted_name();
            if let Err(message) = visit(&mut resource.value, spec, Make::Scalar, &mut set) {
                errors.push(complain(place, &resource, message));
            } else if spec.path == "metadata/name" {
                if !quoted {
                    resource.untyped.name = Name::Untyped;
                }
            } else {
                resource.settle_shared(Written::InPlace);
            }
        }
    }
}

/// Kinds whose name is given by what they describe.
fn keeps_its_name(gvk: GvkRef<'_>) -> bool {
    matches!(gvk.kind, "CustomResourceDefinition" | "Namespace")
        || (gvk.kind == "APIService" && gvk.group == "apiregistration.k8s.io")
}
