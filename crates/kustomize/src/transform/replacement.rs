//! Replacements: a value of one resource, copied into fields of others.
//!
//! Source: kustomize 5.8, `api/filters/replacement`.

use super::complain;
use super::select::Matcher;
use crate::bounds;
use crate::error::{Error, Place};
use crate::id;
use crate::model::{FieldOptions, Replacement, ReplacementSource, ReplacementTarget, Selector};
use crate::path::{list_key, split_fields};
use crate::resmap::ResMap;
use crate::resource::{Name, Resource, Text};
use crate::shared::Written;
use crate::spelled::Spellings;
use crate::structured;
use crate::text;
use crate::transform::select_path::{Create, lookup, visit};
use trueup_model::Value;

/// Makes the replacements one after the other.
pub(crate) fn replace(
    resources: &mut ResMap,
    replacements: &[Replacement],
    spellings: &Spellings<'_>,
    place: &Place,
    errors: &mut Vec<Error>,
) {
    for replacement in replacements {
        let place =
            if replacement.file.is_empty() { place } else { &Place::new(replacement.file.clone(), 0) };
        let place = &place.at(replacement.line);
        let mut value = match source_value(resources, replacement, spellings, place) {
            Ok(value) => value,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for target in &replacement.targets {
            if let Err(error) = Target::new(target, place)
                .and_then(|target| target.write(resources, &mut value, spellings, place))
            {
                errors.push(error);
            }
        }
    }
}

/// A value on its way: a scalar that was written without a type takes that of where it goes to.
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    Untyped(String),
    Value(Value),
    /// A scalar whose text in its file is another than that of the value.
    Written(Value, String),
}

/// A value and the field that it is: kustomize hands on the field itself, so that a replacement which writes to its own
/// source goes on with what it wrote.
struct Live<'s> {
    value: Carried,
    source: Option<(usize, &'s [String])>,
}

impl Live<'_> {
    /// Looks again after the field at `path` of a resource was written.
    fn refresh(&mut self, resource: &Resource, position: usize, path: &[String]) {
        let Some((_, field)) = self.source.filter(|(source, _)| *source == position) else { return };
        if path.len() < field.len() {
            // A field further up took its place; the one that was read stays as it was.
            let above = path.iter().zip(field).all(|(written, own)| written == own);
            self.source = self.source.filter(|_| !above);
        } else if let Ok(Some(value)) = lookup(&resource.value, field)
            && !self.value.is(value)
        {
            self.value = Carried::Value(value.clone());
        }
    }
}

impl Live<'_> {
    fn write(
        &self,
        resource: &mut Resource,
        path: &[String],
        options: &FieldOptions,
        spellings: &Spellings<'_>,
    ) -> Result<(), String> {
        let named = path == ["metadata", "name"];
        let untyped = resource.untyped.name == Name::Untyped && named && !spellings.has_quoted_name(resource);
        let before = lookup(&resource.value, path);
        let is_new = matches!(before, Ok(None));
        let before = text::or_empty(before.ok().flatten()).into_owned();
        let plain_name = text::plain(resource.name()).is_string();
        set_path(&mut resource.value, path, &self.value, options, untyped)?;
        if named && !untyped && plain_name && resource.text != Text::Items {
            resource.untyped.name = Name::Text;
        }
        if !self.value.is_scalar() {
            return Ok(());
        }
        let written = if options.delimiter.is_empty() {
            self.value.text()
        } else {
            spliced(&before, &self.value.text(), options)
        };
        if named && !resource.value["metadata"]["name"].is_string() {
            // What became the name is the text that it is written with, though it prints as a number.
            resource.set_name(&written);
            resource.untyped.name = Name::Untyped;
        }
        match path {
            // Annotations are texts, whatever they look like.
            [metadata, annotations, key] if metadata == "metadata" && annotations == "annotations" => {
                if let Some(entry) = resource.value["metadata"]["annotations"].get_mut(key) {
                    *entry = Value::String(written);
                }
            }
            path if is_new && !text::plain(&written).is_string() => {
                resource.made.push((path.to_vec(), written));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Carried {
    fn text(&self) -> String {
        match self {
            Self::Untyped(text) | Self::Written(_, text) => text.clone(),
            Self::Value(value) => text::or_empty(Some(value)).into_owned(),
        }
    }

    fn is(&self, value: &Value) -> bool {
        match self {
            Self::Untyped(_) => false,
            Self::Value(own) | Self::Written(own, _) => own == value,
        }
    }

    fn is_scalar(&self) -> bool {
        match self {
            Self::Untyped(_) | Self::Written(..) => true,
            Self::Value(value) => !value.is_object() && !value.is_array(),
        }
    }

    fn create(&self, options: &FieldOptions) -> Create {
        match self {
            _ if !options.create => Create::Never,
            Self::Value(Value::Object(_)) => Create::Map,
            Self::Value(Value::Array(_)) => Create::List,
            Self::Value(_) | Self::Untyped(_) | Self::Written(..) => Create::Scalar,
        }
    }
}

fn source_value<'s>(
    resources: &mut ResMap,
    replacement: &'s Replacement,
    spellings: &Spellings<'_>,
    place: &Place,
) -> Result<Live<'s>, Error> {
    let subject = if replacement.field.is_empty() { "replacements" } else { &replacement.field };
    let fail = |message: String| Error::new(place, subject, message);
    let (selector, path, options) = match &replacement.source {
        ReplacementSource::Invalid(message) => return Err(fail((*message).to_owned())),
        ReplacementSource::Value(text) => {
            return Ok(Live { value: Carried::Untyped(text.clone()), source: None });
        }
        ReplacementSource::Field { selector, path, options } => (selector, path, options),
    };
    let position = source_resource(resources, selector).map_err(fail)?;
    let resource = resources.get(position);
    let missing = || {
        fail(format!(
            "the source {} ({}) has no field {}; correct fieldPath, or give the field a value",
            resource.id(),
            resource.origin,
            path.join(".")
        ))
    };
    let value = lookup(&resource.value, path)
        .map_err(|message| complain(place, resource, format!("the source {}: {message}", path.join("."))))?
        .filter(|value| !is_nothing(value))
        .ok_or_else(missing)?;
    if options.delimiter.is_empty() {
        let carried = match spellings.of(resource, value) {
            Some(written) => Carried::Written(value.clone(), written),
            None => Carried::Value(value.clone()),
        };
        return Ok(Live { value: carried, source: Some((position, path)) });
    }
    if value.is_object() || value.is_array() {
        return Err(complain(place, resource, "a delimiter cuts texts only, not lists or mappings"));
    }
    let written = spellings.of(resource, value);
    let text = written.unwrap_or_else(|| text::or_empty(Some(value)).into_owned());
    let parts: Vec<&str> = text.split(&options.delimiter).collect();
    let part = usize::try_from(options.index).ok().and_then(|index| parts.get(index)).ok_or_else(|| {
        fail(format!(
            "cut at {:?}, the source {} ({}) has {} parts, and there is no index {}; it counts from 0",
            options.delimiter,
            resource.id(),
            resource.origin,
            parts.len(),
            options.index
        ))
    })?;
    let part = match value {
        Value::String(_) => Carried::Value(Value::from(*part)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Carried::Written(text::plain(part), (*part).to_owned())
        }
    };
    Ok(Live { value: part, source: None })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The one resource that a source means.
pub(crate) fn source_resource(resources: &mut ResMap, selector: &Selector) -> Result<usize, String> {
    let candidates = if selector.name.is_empty() {
        (0..resources.len()).collect()
    } else {
        resources.with_name(&selector.name)
    };
    let mut found = candidates.into_iter().filter(|position| is_source(resources.get(*position), selector));
    let named = || {
        let name = if selector.name.is_empty() { "any name" } else { &selector.name };
        format!("{} {name}", selector.gvk)
    };
    let Some(first) = found.next() else {
        let other = resources.with_name(&selector.name).first().map(|at| resources.get(*at).id().to_string());
        let near = other.map_or_else(String::new, |other| format!(" (there is {other})"));
        return Err(format!("the source {} is not there{near}; correct it, or add the resource", named()));
    };
    match found.next() {
        None => Ok(first),
        Some(second) => Err(format!(
            "the source {} may be {} or {}; say more of it",
            named(),
            resources.get(first).id(),
            resources.get(second).id()
        )),
    }
}

/// True when the resource is or was what the selector says; nothing in it is an expression.
fn is_source(resource: &Resource, selector: &Selector) -> bool {
    let now = (resource.gvk(), resource.name(), resource.namespace());
    let earlier = resource.previous_ids().map(|id| (id.gvk, id.name, id.namespace));
    std::iter::once(now).chain(earlier).any(|(gvk, name, namespace)| {
        (selector.name.is_empty() || selector.name == name)
            && (selector.namespace.is_empty() || selector.namespace == id::or_default(namespace))
            && selector.gvk.selects(gvk)
    })
}

/// A target with its expressions compiled.
struct Target<'t> {
    select: Matcher,
    name: &'t str,
    reject: Vec<(&'t Selector, Matcher)>,
    paths: Vec<Vec<String>>,
    options: &'t FieldOptions,
}

impl<'t> Target<'t> {
    fn new(target: &'t ReplacementTarget, place: &Place) -> Result<Self, Error> {
        let selector = target.select.as_ref().ok_or_else(|| {
            Error::new(
                place,
                "replacements.targets",
                "a target needs a select that says which resources are meant",
            )
        })?;
        let reject = target.reject.iter().map(|selector| Ok((selector, Matcher::new(selector, place)?)));
        Ok(Self {
            select: Matcher::new(selector, place)?,
            name: &selector.name,
            reject: reject.collect::<Result<_, _>>()?,
            paths: target.paths.iter().map(|path| split_fields(path)).collect(),
            options: &target.options,
        })
    }

    fn write(
        &self,
        resources: &mut ResMap,
        live: &mut Live<'_>,
        spellings: &Spellings<'_>,
        place: &Place,
    ) -> Result<(), Error> {
        let plain = !self.name.is_empty()
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let candidates = if plain { resources.with_name(self.name) } else { (0..resources.len()).collect() };
        for position in candidates {
            if !self.means(resources.get(position)) {
                continue;
            }
            for path in &self.paths {
                resources
                    .change(position, |resource| {
                        let was_scalar = lookup(&resource.value, path)
                            .is_ok_and(|old| old.is_some_and(|old| !old.is_object() && !old.is_array()));
                        live.write(resource, path, self.options, spellings)?;
                        resource.write_identity_as_text();
                        let scalar = was_scalar || live.value.is_scalar();
                        resource.settle_shared(if scalar { Written::InPlace } else { Written::Anew });
                        live.refresh(resource, position, path);
                        Ok(())
                    })
                    .map_err(|message: String| complain(place, resources.get(position), message))?;
            }
        }
        Ok(())
    }

    fn means(&self, resource: &Resource) -> bool {
        let rejected_by_metadata = self.reject.iter().any(|(selector, matcher)| {
            (!selector.labels.is_empty() || !selector.annotations.is_empty())
                && matcher.matches_metadata(resource)
        });
        let rejected_by_identity = self
            .reject
            .iter()
            .filter(|(selector, _)| names_something(selector))
            .any(|(_, matcher)| was_ever(resource, matcher));
        self.select.matches_metadata(resource)
            && !rejected_by_metadata
            && !rejected_by_identity
            && was_ever(resource, &self.select)
    }
}

fn names_something(selector: &Selector) -> bool {
    let gvk = &selector.gvk;
    [&gvk.group, &gvk.version, &gvk.kind, &selector.name, &selector.namespace]
        .iter()
        .any(|part| !part.is_empty())
}

fn was_ever(resource: &Resource, matcher: &Matcher) -> bool {
    matcher.matches_identity(resource.gvk(), resource.name(), resource.namespace())
        || resource.previous_ids().any(|id| matcher.matches_identity(id.gvk, id.name, id.namespace))
}

fn set_path(
    object: &mut Value,
    path: &[String],
    value: &Carried,
    options: &FieldOptions,
    untyped: bool,
) -> Result<(), String> {
    match value {
        Carried::Untyped(_) => bounds::check_depth(path.len())?,
        Carried::Value(value) | Carried::Written(value, _) => bounds::check(value, path.len())?,
    }
    if set_inside_text(object, path, value, options) {
        return Ok(());
    }
    let mut set = |field: &mut Value, made: bool| set_field(field, made || untyped, value, options);
    let written = visit(object, path, value.create(options), &mut set)
        .map_err(|message| format!("the field {} cannot be replaced: {message}", path.join(".")))?;
    if written == 0 {
        return Err(format!(
            "there is no field {} to replace; add options.create to make it",
            path.join(".")
        ));
    }
    Ok(())
}

/// Sets a field of the document that a text on the path holds; false when there is no such text or field.
fn set_inside_text(object: &mut Value, path: &[String], value: &Carried, options: &FieldOptions) -> bool {
    let inner = (1..path.len()).find(|length| {
        matches!(lookup(object, &path[..*length]), Ok(Some(found)) if !found.is_object() && !found.is_array())
    });
    let Some(inner) = inner else { return false };
    let (outer, inner) = path.split_at(inner);
    let Ok(Some(Value::String(text))) = lookup(object, outer) else { return false };
    let edited = structured::edit(text, &mut |document| {
        let mut set = |field: &mut Value, made: bool| {
            let misfit = structured::tagged(field, &new_text(field, value, options))
                .filter(|_| !made && !text.trim_start().starts_with(['{', '[']));
            set_field(field, made, value, options).or_else(|error| {
                *field = misfit.ok_or(error)?;
                Ok(())
            })
        };
        visit(document, inner, value.create(options), &mut set)
    });
    let Some(edited) = edited else { return false };
    let mut set = |field: &mut Value, _: bool| {
        *field = Value::String(edited.clone());
        Ok(())
    };
    // The lookup takes a list item by its exact key, so no expression is at work here.
    let exact: Vec<String> = outer
        .iter()
        .map(|part| match list_key(part) {
            Some((field, wanted)) => format!("[{field}=^{}$]", regex::escape(wanted)),
            None => part.clone(),
        })
        .collect();
    matches!(visit(object, &exact, Create::Never, &mut set), Ok(1))
}

/// Puts the value into a field: a scalar keeps its type, everything else is replaced.
fn set_field(field: &mut Value, made: bool, value: &Carried, options: &FieldOptions) -> Result<(), String> {
    let is_scalar = !field.is_object() && !field.is_array();
    // A null that is written keeps its type as every other value does, so that nothing can take its place.
    if !options.delimiter.is_empty() && !is_scalar {
        return Err("a delimiter cuts texts only, not lists or mappings".to_owned());
    }
    let text = new_text(field, value, options);
    if !is_scalar || (made && !value.is_scalar()) {
        *field = match value {
            Carried::Value(value) if options.delimiter.is_empty() => value.clone(),
            Carried::Written(value, written) if *written == text => value.clone(),
            Carried::Value(_) | Carried::Untyped(_) | Carried::Written(..) => text::plain(&text),
        };
        return Ok(());
    }
    let new = match field {
        Value::String(_) if !made => Value::String(text),
        Value::String(_) => match value {
            Carried::Written(value, written) if *written == text => value.clone(),
            Carried::Value(_) | Carried::Untyped(_) | Carried::Written(..) => text::plain(&text),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let new = text::plain(&text);
            let cut = field.is_i64() && new.is_f64();
            if cut || std::mem::discriminant(&new) != std::mem::discriminant(field) {
                return Err(format!(
                    "{} cannot take the place of {}",
                    text::kind_of(&new),
                    text::kind_of(field)
                ));
            }
            new
        }
        Value::Array(_) | Value::Object(_) => return Ok(()),
    };
    *field = new;
    Ok(())
}

/// The text that a field has afterwards.
fn new_text(field: &Value, value: &Carried, options: &FieldOptions) -> String {
    if options.delimiter.is_empty() {
        return value.text();
    }
    spliced(&text::or_empty(Some(field)), &value.text(), options)
}

/// The old text with the part at the index replaced; before or behind it where the index is outside.
fn spliced(old: &str, new: &str, options: &FieldOptions) -> String {
    let mut parts: Vec<&str> = old.split(&options.delimiter).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, new),
        Ok(index) if index >= parts.len() => parts.push(new),
        Ok(index) => parts[index] = new,
    }
    parts.join(&options.delimiter)
}
