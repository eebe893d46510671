//! A resource on its way through the build: its value, what it was called before, and what is to be
//! done with it at the end. Notes of the build never stand in the value itself.

use crate::id::{self, GvkRef, Id};
use crate::provenance::Kept;
use crate::shared::Shared;
use crate::spelled::Quoted;
use crate::text;
use crate::trace::TraceNote;
use serde_json::Map;
use std::borrow::Cow;
use std::rc::Rc;
use trueup_model::{Folding, Manifest, Origin, Value};

/// What a generated resource does with one of the same name that is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Nothing was said: there must be none.
    #[default]
    Unspecified,
    /// There must be none.
    Create,
    /// Takes the place of the one that is there.
    Replace,
    /// Adds its data to the one that is there.
    Merge,
}

/// Kind, name and namespace that a resource had before a change; group and version are never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// The namespace that counted then.
    pub(crate) namespace: String,
}

/// The text that the values were read from, for rules that ask how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// The file of the origin; what steps changed since is as its values are.
    File,
    /// JSON, as after a JSON patch.
    Json,
    /// JSON that is kept as it is, as the items of a list: all texts are in quotes.
    Items,
    /// None: a generator made them.
    None,
}

/// Parts of an identity that are words without a type and without quotes: kustomize sets a name so that `80` is a number
/// afterwards, even if it was a text before. They stand in the value as text until it is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Untyped {
    pub(crate) kind: bool,
    pub(crate) name: Name,
    pub(crate) namespace: bool,
}

/// What is known of a name besides its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Name {
    /// It is as it was read: in quotes where it would not be a text without them.
    #[default]
    Read,
    /// It has no quotes, and is a text until it is set anew.
    Text,
    /// It has neither quotes nor a type.
    Untyped,
}

/// One object between being read and being printed.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) value: Folding,
    /// The file and line that it was read from.
    pub(crate) origin: Origin,
    /// Earlier identities, oldest first.
    pub(crate) previous: Vec<Previous>,
    pub(crate) prefixes: Vec<Rc<str>>,
    pub(crate) suffixes: Vec<Rc<str>>,
    pub(crate) behavior: Behavior,
    pub(crate) needs_hash: bool,
    /// Which parts of the identity are printed as what they would be read as, see [`Untyped`].
    pub(crate) untyped: Untyped,
    pub(crate) text: Text,
    /// Fields that replacements made, with what was written to them; they have no type yet.
    pub(crate) made: Vec<(Vec<String>, String)>,
    /// Texts that patches brought in quotes.
    pub(crate) quoted: Vec<Quoted>,
    /// Entries that a transformer made where the texts around them are in quotes; these are not.
    pub(crate) plain: Vec<Quoted>,
    /// Texts that are in quotes no more since a patch put them where none were, until another one comes by.
    pub(crate) bare: Vec<Quoted>,
    /// Entries that are one in several places.
    pub(crate) shared: Vec<Shared>,
    /// Names of the vars that take their value from here.
    pub(crate) variables: Vec<String>,
    /// Where it came from, for `buildMetadata: [originAnnotations]`.
    pub(crate) source: Option<Rc<TraceNote>>,
    /// What changed it, for `buildMetadata: [transformerAnnotations]`.
    pub(crate) transformations: Vec<Rc<TraceNote>>,
    /// Where its fields were written, in a build that keeps it.
    pub(crate) kept: Option<Box<Kept>>,
}

impl Resource {
    pub(crate) fn new(value: Value, origin: Origin) -> Self {
        let mut resource = Self {
            value: value.into(),
            origin,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            behavior: Behavior::Unspecified,
            needs_hash: false,
            untyped: Untyped::default(),
            text: Text::File,
            made: Vec::new(),
            quoted: Vec::new(),
            plain: Vec::new(),
            bare: Vec::new(),
            shared: Vec::new(),
            variables: Vec::new(),
            source: None,
            transformations: Vec::new(),
            kept: None,
        };
        resource.write_identity_as_text();
        resource
    }

    /// Numbers and booleans as kind, name or namespace are taken as text, so that they can be compared.
    pub(crate) fn write_identity_as_text(&mut self) {
        let Value::Object(object) = &mut *self.value else { return };
        for field in ["apiVersion", "kind"] {
            self.untyped.kind |= make_text(object, field) && field == "kind";
        }
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            if make_text(metadata, "name") {
                self.untyped.name = Name::Untyped;
            }
            self.untyped.namespace |= make_text(metadata, "namespace");
        }
    }

    /// Whether the name is in quotes: what would not be a text without them has them.
    pub(crate) fn has_quoted_name(&self) -> bool {
        let name = self.name();
        match self.untyped.name {
            Name::Read if self.text == Text::Items => true,
            Name::Read => !name.is_empty() && !text::plain(name).is_string(),
            Name::Text | Name::Untyped => false,
        }
    }

    /// Name and namespace were set as words without a type; quotes that were there stay.
    pub(crate) fn untype(&mut self) {
        if !self.has_quoted_name() {
            self.untyped.name = Name::Untyped;
        }
        self.untyped.namespace |= text::plain(self.namespace()).is_string();
    }

    /// Fields without a type become texts in quotes where a strategic merge comes by.
    pub(crate) fn quote_made(&mut self) {
        for (path, written) in std::mem::take(&mut self.made) {
            let field = path.iter().try_fold(&mut *self.value, |value, part| value.get_mut(part));
            if let Some(field) = field.filter(|field| **field == text::plain(&written)) {
                *field = Value::String(written);
            }
        }
    }

    /// The value as it is printed: a name that has no type is a number where it looks like one.
    pub(crate) fn into_manifest(mut self) -> Manifest {
        let was_folded = self.value.is_folded();
        self.show_untyped();
        if was_folded {
            self.value.fold();
        }
        Manifest { value: self.value, origin: self.origin }
    }

    /// Puts into the value what has no type as what it looks like; [`Self::write_identity_as_text`] takes it out again.
    pub(crate) fn show_untyped(&mut self) {
        let Untyped { kind, name, namespace } = self.untyped;
        if !kind && !namespace && name != Name::Untyped {
            self.untyped = Untyped::default();
            return;
        }
        if let Some(kind @ Value::String(_)) = self.value.get_mut("kind").filter(|_| self.untyped.kind) {
            *kind = text::plain(kind.as_str().unwrap_or_default());
        }
        if let Some(Value::Object(metadata)) = self.value.get_mut("metadata") {
            for (field, untyped) in
                [("name", self.untyped.name == Name::Untyped), ("namespace", self.untyped.namespace)]
            {
                if let Some(value @ Value::String(_)) = metadata.get_mut(field).filter(|_| untyped) {
                    *value = text::plain(value.as_str().unwrap_or_default());
                }
            }
        }
        self.untyped = Untyped::default();
    }

    pub(crate) fn api_version(&self) -> &str {
        self.value.text(&["apiVersion"]).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.value.text(&["kind"]).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.metadata("name")
    }

    /// `metadata.namespace` as written; empty when there is none.
    pub(crate) fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    fn metadata(&self, field: &str) -> &str {
        self.value.text(&["metadata", field]).unwrap_or_default()
    }

    pub(crate) fn gvk(&self) -> GvkRef<'_> {
        let (group, version) = id::group_version(self.api_version());
        GvkRef { group, version, kind: self.kind() }
    }

    /// What it is called now.
    pub(crate) fn id(&self) -> Id<'_> {
        let gvk = self.gvk();
        let namespace =
            if gvk.is_cluster_scoped() { id::NO_NAMESPACE } else { id::or_default(self.namespace()) };
        Id { gvk, name: self.name(), namespace }
    }

    /// What it was called earlier, oldest first.
    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id<'_>> {
        let (group, version) = id::group_version(self.api_version());
        self.previous.iter().map(move |was| Id {
            gvk: GvkRef { group, version, kind: &was.kind },
            name: &was.name,
            namespace: &was.namespace,
        })
    }

    /// What it was called in the file that it came from.
    pub(crate) fn original_id(&self) -> Id<'_> {
        self.previous_ids().next().unwrap_or_else(|| self.id())
    }

    /// Keeps the present identity before it changes.
    pub(crate) fn remember(&mut self) {
        let now = self.id();
        let was = Previous {
            kind: now.gvk.kind.to_owned(),
            name: now.name.to_owned(),
            namespace: now.namespace.to_owned(),
        };
        // Most have one or none: a vector that grows by itself begins with four.
        self.previous.reserve_exact(1);
        self.previous.push(was);
    }

    /// Refuses what had no name when another one was given to it: kustomize cannot tell its identities apart then.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn check_names(&self) -> Result<(), String> {
        let named = self.previous.iter().filter(|was| !was.name.is_empty()).count();
        if named > 0 && named < self.previous.len() {
            return Err("had no name when another one was given to it".to_owned());
        }
        Ok(())
    }

    pub(crate) fn object_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.value.as_object_mut()
    }

    /// `metadata`, made when it is missing.
    pub(crate) fn metadata_mut(&mut self) -> Option<&mut Map<String, Value>> {
        let metadata =
            self.value.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if metadata.is_null() {
            *metadata = Value::Object(Map::new());
        }
        metadata.as_object_mut()
    }

    pub(crate) fn set_name(&mut self, name: &str) {
        if let Some(metadata) = self.metadata_mut() {
            metadata.insert("name".to_owned(), Value::String(name.to_owned()));
        }
    }

    /// Sets `metadata.namespace`; an empty one takes the field away.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if let Some(metadata) = self.metadata_mut() {
            if namespace.is_empty() {
                metadata.remove("namespace");
            } else {
                metadata.insert("namespace".to_owned(), Value::String(namespace.to_owned()));
            }
        }
    }

    pub(crate) fn set_kind(&mut self, kind: &str) {
        if let Some(object) = self.object_mut() {
            object.insert("kind".to_owned(), Value::String(kind.to_owned()));
        }
    }

    /// A label or annotation as text.
    pub(crate) fn metadata_entry(&self, map: &str, key: &str) -> Option<Cow<'_, str>> {
        let path = ["metadata", map, key];
        match self.value.text(&path) {
            Some(text) => Some(text.into()),
            None if self.value.has(&path) => text::of(self.value.get("metadata")?.get(map)?.get(key)?),
            None => None,
        }
    }

    /// True when the two were made under the same names: the one's prefixes and suffixes end the other's.
    pub(crate) fn shares_affixes(&self, other: &Self) -> bool {
        same_ending(&self.prefixes, &other.prefixes) && same_ending(&self.suffixes, &other.suffixes)
    }

    /// As [`Self::shares_affixes`], but one without any agrees with all.
    pub(crate) fn may_share_affixes(&self, other: &Self) -> bool {
        let agree = |a: &[Rc<str>], b: &[Rc<str>]| a.is_empty() || b.is_empty() || same_ending(a, b);
        agree(&self.prefixes, &other.prefixes) && agree(&self.suffixes, &other.suffixes)
    }
}

/// Whether the field was a number or a boolean.
fn make_text(object: &mut Map<String, Value>, field: &str) -> bool {
    if let Some(value @ (Value::Number(_) | Value::Bool(_))) = object.get_mut(field)
        && let Some(written) = text::of(value)
    {
        *value = Value::String(written.into_owned());
        return true;
    }
    false
}

fn same_ending(a: &[Rc<str>], b: &[Rc<str>]) -> bool {
    let (short, long) = if a.len() > b.len() { (b, a) } else { (a, b) };
    if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
}
