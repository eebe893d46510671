//! How scalars of a resource are written in its file, for the few rules that ask for it.
//!
//! kustomize keeps the text of each scalar until it prints: a replacement copies `1.10` as it is written, and a strategic merge
//! drops a field that has nothing behind its colon but keeps one with `null`. Values do not say that, so where
//! it matters the resource's file is read once more. A resource that came from elsewhere, or that went through JSON, is as
//! its values are.

use crate::load::Folder;
use crate::load::documents::RESOURCES;
use crate::resource::{Resource, Text};
use crate::shared::Part;
use crate::text;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use trueup_model::Value;
use trueup_model::yaml::{self, Content, Node};

/// Stands for null where nothing is written, while a strategic merge is at work.
const BARE: &str = "\0bare\0";
/// Stands before a text in quotes that a strategic merge may put something else in the place of.
const QUOTED: &str = "\0quoted\0";

/// The files that were read once more.
pub(crate) struct Spellings<'t> {
    folder: &'t Folder<'t>,
    files: RefCell<HashMap<String, Option<Rc<File>>>>,
}

struct File {
    lines: Vec<String>,
    documents: Vec<Node>,
}

impl<'t> Spellings<'t> {
    /// Of what the kustomization of a folder is built from.
    pub(crate) fn new(folder: &'t Folder<'t>) -> Self {
        Self { folder, files: RefCell::default() }
    }

    fn file(&self, path: &str) -> Option<Rc<File>> {
        self.files
            .borrow_mut()
            .entry(path.to_owned())
            .or_insert_with(|| {
                let text = self.folder.text_by_name(path)?;
                let documents = yaml::parse_as(&text, RESOURCES).ok()?;
                Some(Rc::new(File { lines: text.lines().map(str::to_owned).collect(), documents }))
            })
            .clone()
    }

    /// What is written for a scalar of the resource, where that is not the text that the value has by itself.
    pub(crate) fn of(&self, resource: &Resource, scalar: &Value) -> Option<String> {
        if !may_be_odd(scalar) || resource.text != Text::File {
            return None;
        }
        let file = self.file(&resource.origin.path)?;
        let document = file.document(resource)?;
        let node = find(&resource.value, document, scalar)?;
        let written = file.token(node)?;
        if node.content != Content::Scalar(scalar.clone()) || written.starts_with(['"', '\'']) {
            return None;
        }
        // A time may have spaces in it.
        let line = file.line_from(node).filter(|line| scalar.is_string() && text::plain(line) == *scalar);
        Some(line.unwrap_or(written))
    }

    /// The text of a scalar that is taken for one: as it is written, and empty where nothing is.
    pub(crate) fn text_of(&self, resource: &Resource, scalar: &Value) -> String {
        let written =
            if scalar.is_null() { self.of_null(resource, scalar) } else { self.of(resource, scalar) };
        written.unwrap_or_else(|| text::of(scalar).unwrap_or_default().into_owned())
    }

    fn of_null(&self, resource: &Resource, null: &Value) -> Option<String> {
        let file = (resource.text == Text::File).then(|| self.file(&resource.origin.path))??;
        let node = find(&resource.value, file.document(resource)?, null)?;
        let word = file.token(node).filter(|word| text::plain(word).is_null());
        Some(word.unwrap_or_default())
    }

    /// Annotations are texts: what is none becomes the text that it is written as.
    pub(crate) fn write_annotations(&self, resource: &mut Resource) {
        let entries = resource.value.get("metadata").and_then(|metadata| metadata.get("annotations"));
        let odd = entries.and_then(Value::as_object).into_iter().flatten();
        let odd = odd.filter(|(_, entry)| !entry.is_string() || may_be_odd(entry));
        let texts: Vec<(String, String)> =
            odd.map(|(key, entry)| (key.clone(), self.text_of(resource, entry))).collect();
        for (key, text) in texts {
            if let Some(entry) = resource.value["metadata"]["annotations"].get_mut(&key) {
                *entry = Value::String(text);
            }
        }
    }

    /// Whether the name of the resource is in quotes in its file.
    pub(crate) fn has_quoted_name(&self, resource: &Resource) -> bool {
        let is_quoted = |file: &File| {
            let name = file.document(resource)?.get("metadata")?.get("name")?;
            Some(file.is_quoted(name))
        };
        resource.text == Text::File
            && self.file(&resource.origin.path).is_some_and(|file| is_quoted(&file) == Some(true))
    }

    /// Marks the fields of the resource that nothing is written for; true when there are any.
    pub(crate) fn mark_bare(&self, resource: &mut Resource) -> bool {
        if resource.text != Text::File || !has_null(&resource.value) {
            return false;
        }
        let Some(file) = self.file(&resource.origin.path) else { return false };
        file.document(resource).is_some_and(|document| mark(&mut resource.value, document, &file))
    }

    /// Marks the texts in quotes that the patch has a number or boolean for: the quotes stay, and make it a text. True when
    /// there are any.
    pub(crate) fn mark_quoted(
        &self,
        resource: &mut Resource,
        patch: &Value,
        written: &[(Value, String)],
    ) -> bool {
        if !has_conflict(&resource.value, patch, written) {
            return false;
        }
        let file = (resource.text == Text::File).then(|| self.file(&resource.origin.path)).flatten();
        let document = file.as_ref().and_then(|file| Some((file.document(resource)?, &**file)));
        let unread = match resource.text {
            Text::Json => |text: &str| yaml::to_yaml(&Value::from(text)).starts_with(['"', '\'', '|']),
            Text::Items => |_: &str| true,
            // A label that a transformer made stands in no file either.
            Text::File | Text::None => yaml::is_old_boolean,
        };
        let marks = Marks { quoted: &resource.quoted, plain: &resource.plain, written, unread };
        mark_conflicts(&mut resource.value, patch, document, &marks, &mut Vec::new());
        true
    }
}

/// Whether a scalar may be written otherwise than it prints.
fn may_be_odd(scalar: &Value) -> bool {
    match scalar {
        Value::Number(_) | Value::Bool(_) => true,
        // A date without quotes is an instant.
        Value::String(text) => text.ends_with('Z') && text.contains('T'),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The scalars of a text that are written otherwise than they print.
pub(crate) fn odd_scalars(text: &str) -> Vec<(Value, String)> {
    let mut odd = Vec::new();
    if text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'T' || byte == b'F')
        && let Ok(documents) = yaml::parse_as(text, RESOURCES)
    {
        let file = File { lines: text.lines().map(str::to_owned).collect(), documents: Vec::new() };
        for document in &documents {
            collect_odd(document, &file, &mut odd);
        }
    }
    odd
}

/// A text in quotes that a patch has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    /// The line that the patch's document starts on.
    line: usize,
    path: Vec<String>,
    /// It would not be a text without quotes.
    needed: bool,
}

impl Quoted {
    /// A label or annotation that is written anew.
    fn written_anew(field: &str, key: &str) -> Self {
        let path = ["metadata", field, key].map(str::to_owned).into();
        Self { line: 0, path, needed: true }
    }

    /// An entry of a mapping that has no list above it.
    pub(crate) fn entry(place: &[Part], key: &str) -> Option<Self> {
        let fields = place.iter().map(|part| match part {
            Part::Field(field) => Some(field.to_string()),
            Part::Item(_) => None,
        });
        let path = fields.chain([Some(key.to_owned())]).collect::<Option<_>>()?;
        Some(Self { line: 0, path, needed: true })
    }

    fn is_in_metadata(&self, field: &str) -> bool {
        matches!(self.path.as_slice(), [metadata, name, ..] if metadata == "metadata" && name == field)
    }

    /// What an object has in its place.
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.path.iter().try_fold(value, |value, part| value.get(part))
    }
}

/// The texts in quotes that one object of a patch brings.
pub(crate) struct Brought<'q>(Vec<Cow<'q, Quoted>>);

impl<'q> Brought<'q> {
    /// Those of the patch whose document starts on `line`; in the fields `anew` of its metadata all entries are texts.
    pub(crate) fn new(quoted: &'q [Quoted], line: usize, anew: &[&str], patch: &Value) -> Self {
        let read = quoted
            .iter()
            .filter(|text| text.line == line && !anew.iter().any(|field| text.is_in_metadata(field)));
        let mut all: Vec<Cow<'_, Quoted>> = read.map(Cow::Borrowed).collect();
        for field in anew {
            let entries = patch.get("metadata").and_then(|metadata| metadata.get(field));
            for (key, entry) in entries.and_then(Value::as_object).into_iter().flatten() {
                if entry.as_str().is_some_and(|text| needs_quotes(text, yaml::is_old_boolean)) {
                    all.push(Cow::Owned(Quoted::written_anew(field, key)));
                }
            }
        }
        Self(all)
    }

    /// Those for which there is nothing yet; they keep their quotes. The others take the quotes of what they meet.
    pub(crate) fn parted(&self, value: &Value) -> (Vec<Quoted>, Vec<Quoted>) {
        let all = self.0.iter().map(|text| Quoted::clone(text));
        let (new, met): (Vec<_>, Vec<_>) = all.partition(|text| text.of(value).is_none_or(Value::is_null));
        (new, met.into_iter().filter(|text| text.needed).collect())
    }
}

impl Resource {
    /// A merge that comes by puts quotes around each text that needs them.
    pub(crate) fn quote_bare(&mut self) {
        self.quoted.append(&mut self.bare);
    }

    /// Notes how the texts are written that a patch brought.
    pub(crate) fn note_quotes(&mut self, (new, met): (Vec<Quoted>, Vec<Quoted>)) {
        let value = &self.value;
        self.quoted.extend(new);
        self.bare.extend(met);
        for texts in [&mut self.quoted, &mut self.bare] {
            texts.retain(|text| text.of(value).is_some_and(Value::is_string));
        }
    }
}

/// The texts of a patch that are in quotes; the text begins on `first` of its file.
pub(crate) fn quoted_texts(text: &str, first: usize) -> Vec<Quoted> {
    let mut quoted = Vec::new();
    if text.contains(['"', '\'', '|', '>'])
        && let Ok(documents) = yaml::parse_as(text, RESOURCES)
    {
        let file = File { lines: text.lines().map(str::to_owned).collect(), documents: Vec::new() };
        for document in &documents {
            let line = document.at.line + first.saturating_sub(1);
            collect_quoted(document, &file, line, &mut Vec::new(), &mut quoted);
        }
    }
    quoted
}

fn collect_quoted<'n>(
    node: &'n Node,
    file: &File,
    line: usize,
    path: &mut Vec<&'n str>,
    quoted: &mut Vec<Quoted>,
) {
    match &node.content {
        Content::Map(entries) => {
            for (key, _, node) in entries {
                path.push(key);
                collect_quoted(node, file, line, path, quoted);
                path.pop();
            }
        }
        Content::Scalar(Value::String(text)) => {
            if file.is_quoted(node) {
                let path = path.iter().map(|part| (*part).to_owned()).collect();
                quoted.push(Quoted { line, path, needed: needs_quotes(text, yaml::is_old_boolean) });
            }
        }
        Content::List(_) | Content::Scalar(_) => {}
    }
}

/// Whether a text is in quotes where nothing is known of how it was written.
pub(crate) fn needs_quotes(text: &str, unread: fn(&str) -> bool) -> bool {
    // What would not be a text without quotes has them, and so have lines.
    unread(text) || (!text.is_empty() && (text.contains('\n') || !text::plain(text).is_string()))
}

fn collect_odd(node: &Node, file: &File, odd: &mut Vec<(Value, String)>) {
    match &node.content {
        Content::List(items) => items.iter().for_each(|item| collect_odd(item, file, odd)),
        Content::Map(entries) => entries.iter().for_each(|(_, _, node)| collect_odd(node, file, odd)),
        Content::Scalar(value) => {
            if may_be_odd(value)
                && let Some(written) = file.token(node)
                && !written.starts_with(['"', '\'', '|', '>', '!', '&', '*'])
                && written != text::or_empty(Some(value))
            {
                odd.push((value.clone(), written));
            }
        }
    }
}

/// A patch's scalar that is no text.
fn is_no_text(patch: &Value, written: &[(Value, String)]) -> bool {
    patch.is_number() || patch.is_boolean() || written.iter().any(|(value, _)| value == patch)
}

/// Whether the patch has something else where the object has a text.
fn has_conflict(value: &Value, patch: &Value, written: &[(Value, String)]) -> bool {
    match (value, patch) {
        (Value::Object(fields), Value::Object(changes)) => changes
            .iter()
            .any(|(name, change)| fields.get(name).is_some_and(|field| has_conflict(field, change, written))),
        (Value::Array(items), Value::Array(changes)) => {
            items.iter().any(|item| changes.iter().any(|change| has_conflict(item, change, written)))
        }
        (Value::String(_), change) => is_no_text(change, written),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_), _) => false,
    }
}

struct Marks<'m> {
    quoted: &'m [Quoted],
    plain: &'m [Quoted],
    written: &'m [(Value, String)],
    /// Whether a text that stands in no file is in quotes.
    unread: fn(&str) -> bool,
}

fn mark_conflicts<'p>(
    value: &mut Value,
    patch: &'p Value,
    document: Option<(&Node, &File)>,
    marks: &Marks<'_>,
    way: &mut Vec<&'p str>,
) {
    match (value, patch) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if let Some(field) = fields.get_mut(name) {
                    let node = document.and_then(|(node, file)| Some((node.get(name)?, file)));
                    way.push(name);
                    mark_conflicts(field, change, node, marks, way);
                    way.pop();
                }
            }
        }
        (Value::Array(items), Value::Array(changes)) => {
            // No text in a list has a path.
            way.push("-");
            for (index, item) in items.iter_mut().enumerate() {
                let node = document.and_then(|(node, file)| Some((node.as_list()?.get(index)?, file)));
                for change in changes {
                    mark_conflicts(item, change, node, marks, way);
                }
            }
            way.pop();
        }
        (Value::String(text), change) => {
            let quoted = match document {
                _ if marks.quoted.iter().any(|quoted| quoted.path == *way) => true,
                Some((node, file)) => text.contains('\n') || file.is_quoted(node),
                None if marks.plain.iter().any(|plain| plain.path == *way) => {
                    needs_quotes(text, yaml::is_old_boolean)
                }
                None => needs_quotes(text, marks.unread),
            };
            if quoted && is_no_text(change, marks.written) && !text.starts_with(QUOTED) {
                text.insert_str(0, QUOTED);
            }
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) | Value::Array(_), _) => {}
    }
}

impl File {
    /// The document that a resource was read from, or the item of it.
    fn document(&self, resource: &Resource) -> Option<&Node> {
        let document = self.documents.iter().find(|node| node.at.line == resource.origin.line)?;
        let part = |node: &'_ Node, field: &str| node.get(field).and_then(Node::as_str).map(str::to_owned);
        if part(document, "kind").as_deref() != Some("List") {
            return Some(document);
        }
        let id = resource.original_id();
        document.get("items")?.as_list()?.iter().find(|item| {
            part(item, "kind").as_deref() == Some(id.gvk.kind)
                && item.get("metadata").and_then(|metadata| part(metadata, "name")).as_deref()
                    == Some(id.name)
        })
    }

    /// Whether a text is in quotes or a block of lines.
    fn is_quoted(&self, node: &Node) -> bool {
        let Some(line) = node.at.line.checked_sub(1).and_then(|line| self.lines.get(line)) else {
            return false;
        };
        let mut before = line.chars().take(node.at.column.saturating_sub(1));
        before.all(char::is_whitespace)
            || self.token(node).is_some_and(|word| word.starts_with(['"', '\'', '|', '>']))
    }

    /// What may be one word with spaces at a node's place.
    fn line_from(&self, node: &Node) -> Option<String> {
        let line = self.lines.get(node.at.line.checked_sub(1)?)?;
        let rest: String = line.chars().skip(node.at.column.saturating_sub(1)).collect();
        let end = rest.find([',', ']', '}', '#']).unwrap_or(rest.len());
        Some(rest[..end].trim_end().to_owned())
    }

    /// The word at a node's place.
    fn token(&self, node: &Node) -> Option<String> {
        let line = self.lines.get(node.at.line.checked_sub(1)?)?;
        let rest: String = line.chars().skip(node.at.column.saturating_sub(1)).collect();
        let end = rest.find([',', ']', '}', ' ', '\t']).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    }
}

/// The node of the very value.
fn find<'n>(value: &Value, node: &'n Node, wanted: &Value) -> Option<&'n Node> {
    if std::ptr::eq(value, wanted) {
        return Some(node);
    }
    match (value, &node.content) {
        (Value::Array(items), Content::List(nodes)) => {
            items.iter().zip(nodes).find_map(|(item, node)| find(item, node, wanted))
        }
        (Value::Object(fields), Content::Map(_)) => {
            fields.iter().find_map(|(key, field)| find(field, node.get(key)?, wanted))
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _)
        | (Value::Array(_), Content::Map(_) | Content::Scalar(_))
        | (Value::Object(_), Content::List(_) | Content::Scalar(_)) => None,
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn mark(value: &mut Value, node: &Node, file: &File) -> bool {
    match (value, &node.content) {
        (Value::Array(items), Content::List(nodes)) => {
            items.iter_mut().zip(nodes).fold(false, |any, (item, node)| mark(item, node, file) || any)
        }
        (Value::Object(fields), Content::Map(_)) => fields.iter_mut().fold(false, |any, (key, field)| {
            let Some(node) = node.get(key) else { return any };
            if field.is_null() && node.is_null() {
                let explicit =
                    file.token(node).is_some_and(|word| !word.is_empty() && text::plain(&word).is_null());
                if !explicit {
                    *field = Value::from(BARE);
                }
                return any || !explicit;
            }
            mark(field, node, file) || any
        }),
        (_, Content::Scalar(_) | Content::List(_) | Content::Map(_)) => false,
    }
}

/// True for the mark of a field that nothing is written for.
pub(crate) fn is_bare(value: &Value) -> bool {
    value.as_str() == Some(BARE)
}

/// True for a text that is marked to be in quotes.
pub(crate) fn is_quoted(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(QUOTED))
}

/// The text without such a mark.
pub(crate) fn unquoted(text: &str) -> &str {
    text.strip_prefix(QUOTED).unwrap_or(text)
}

/// Takes away the marks that are left.
pub(crate) fn unmark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unmark),
        Value::Object(fields) => fields.values_mut().for_each(unmark),
        Value::String(text) if text == BARE => *value = Value::Null,
        Value::String(text) if text.starts_with(QUOTED) => {
            text.drain(..QUOTED.len());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
