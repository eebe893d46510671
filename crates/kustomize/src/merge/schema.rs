//! Which lists of which objects merge by key: compiled in for the Kubernetes API, or read from the file
//! that `openapi.path` names.

use std::collections::HashMap;
use std::sync::OnceLock;
use trueup_model::Value;

const TABLE: &str = include_str!("schema.txt");

/// Stands for a place in the schema: the root of a kind, a field, or a list's items.
pub(crate) type ShapeId = usize;

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    fields: HashMap<String, ShapeId>,
    /// Of the values of a mapping with free keys.
    values: Option<ShapeId>,
    /// Of the items of a list.
    items: Option<ShapeId>,
    /// The keys that a list merges by; an empty list of keys is a set of plain values, `None` no merging.
    merge_keys: Option<Vec<String>>,
}

/// The shapes of all known kinds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    shapes: Vec<Shape>,
    /// By `apiVersion kind`.
    kinds: HashMap<String, ShapeId>,
    /// By the name of the definition, such as `io.k8s.api.core.v1.PodSpec`.
    definitions: HashMap<String, ShapeId>,
}

/// The Kubernetes API that kustomize carries; the only one that `openapi.version` may name.
pub(crate) const BUILTIN_VERSION: &str = "v1.21.2";

impl Schema {
    /// The compiled table.
    pub(crate) fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Schema> = OnceLock::new();
        BUILTIN.get_or_init(|| Table::default().read(TABLE))
    }

    /// The shape of a kind's objects.
    pub(crate) fn root(&self, api_version: &str, kind: &str) -> Option<ShapeId> {
        self.kinds.get(&format!("{api_version} {kind}")).copied()
    }

    /// The shape of a field of a mapping.
    pub(crate) fn field(&self, shape: Option<ShapeId>, field: &str) -> Option<ShapeId> {
        let shape = self.shapes.get(shape?)?;
        shape.fields.get(field).copied().or(shape.values)
    }

    /// How a list merges: its keys and the shape of its items. `None` when it is replaced as a whole.
    pub(crate) fn merge_list(&self, shape: Option<ShapeId>) -> Option<(&[String], Option<ShapeId>)> {
        let shape = self.shapes.get(shape?)?;
        Some((shape.merge_keys.as_deref()?, shape.items))
    }

    /// Reads an OpenAPI document (`definitions` with Kubernetes' extensions). What it does not define itself it
    /// may take from `base`.
    pub(crate) fn from_openapi(document: &Value, base: Option<&Self>) -> Self {
        let schema = base.cloned().unwrap_or_default();
        OpenApi { definitions: document.get("definitions"), known: HashMap::new(), schema }.read()
    }

    fn add(&mut self, shape: Shape) -> ShapeId {
        self.shapes.push(shape);
        self.shapes.len() - 1
    }
}

/// Reads the compiled table; its first lines say how it is written.
#[derive(Default)]
struct Table<'t> {
    schema: Schema,
    types: HashMap<&'t str, ShapeId>,
}

impl<'t> Table<'t> {
    fn read(mut self, text: &'t str) -> Schema {
        for line in text.lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("type"), Some(name)) => {
                    let id = self.named(name);
                    for (field, shape) in words.filter_map(|word| word.split_once('=')) {
                        let shape = self.shape(shape);
                        self.schema.shapes[id].fields.insert(field.to_owned(), shape);
                    }
                }
                (Some("kind"), Some(name)) => {
                    let id = self.named(name);
                    for (api_version, kind) in words.filter_map(|word| word.rsplit_once(':')) {
                        self.schema.kinds.insert(format!("{api_version} {kind}"), id);
                    }
                }
                (Some("name"), Some(name)) => {
                    let id = self.named(name);
                    self.schema.definitions.extend(words.map(|definition| (definition.to_owned(), id)));
                }
                _ => {}
            }
        }
        self.schema
    }

    fn named(&mut self, name: &'t str) -> ShapeId {
        let schema = &mut self.schema;
        *self.types.entry(name).or_insert_with(|| schema.add(Shape::default()))
    }

    fn shape(&mut self, written: &'t str) -> ShapeId {
        if let Some(list) = written.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (items, keys) = list.split_once(':').unwrap_or((list, ""));
            let items = (!items.is_empty()).then(|| self.named(items));
            let keys = keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect();
            return self.schema.add(Shape { items, merge_keys: Some(keys), ..Shape::default() });
        }
        if let Some(values) = written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let values = Some(self.named(values));
            return self.schema.add(Shape { values, ..Shape::default() });
        }
        self.named(written)
    }
}

/// Reads an OpenAPI document; `known` holds the definitions that are being or have been read.
struct OpenApi<'d> {
    definitions: Option<&'d Value>,
    known: HashMap<&'d str, ShapeId>,
    schema: Schema,
}

impl<'d> OpenApi<'d> {
    fn read(mut self) -> Schema {
        let definitions = self.definitions.and_then(Value::as_object);
        for (name, definition) in definitions.into_iter().flatten() {
            let kinds = definition.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for gvk in kinds.into_iter().flatten() {
                let part = |key: &str| gvk.get(key).and_then(Value::as_str).unwrap_or_default();
                let group = part("group");
                let separator = if group.is_empty() { "" } else { "/" };
                let kind = format!("{group}{separator}{} {}", part("version"), part("kind"));
                let id = self.definition(name);
                self.schema.kinds.insert(kind, id);
            }
        }
        self.schema
    }

    fn definition(&mut self, name: &'d str) -> ShapeId {
        if let Some(id) = self.known.get(name) {
            return *id;
        }
        let own = self.definitions.and_then(|definitions| definitions.get(name));
        let Some(own) = own else {
            return match self.schema.definitions.get(name) {
                Some(id) => *id,
                None => self.schema.add(Shape::default()),
            };
        };
        let id = self.schema.add(Shape::default());
        self.known.insert(name, id);
        match reference(own) {
            // A definition that is another one's name; a chain of them ends because each is read once.
            Some(other) => {
                let other = self.definition(other);
                self.schema.shapes[id] = self.schema.shapes[other].clone();
            }
            None => self.fill(id, own),
        }
        id
    }

    fn shape(&mut self, node: &'d Value) -> ShapeId {
        if let Some(name) = reference(node) {
            return self.definition(name);
        }
        let id = self.schema.add(Shape::default());
        self.fill(id, node);
        id
    }

    fn fill(&mut self, id: ShapeId, node: &'d Value) {
        let mut shape = Shape::default();
        let properties = node.get("properties").and_then(Value::as_object);
        for (field, property) in properties.into_iter().flatten() {
            shape.fields.insert(field.clone(), self.shape(property));
        }
        shape.values = node.get("additionalProperties").filter(|v| v.is_object()).map(|v| self.shape(v));
        if node.get("type").and_then(Value::as_str) == Some("array") {
            shape.items = node.get("items").map(|items| self.shape(items));
        }
        shape.merge_keys = merge_keys(node);
        self.schema.shapes[id] = shape;
    }
}

fn reference(node: &Value) -> Option<&str> {
    node.get("$ref")?.as_str()?.strip_prefix("#/definitions/")
}

fn merge_keys(node: &Value) -> Option<Vec<String>> {
    let strategy = node.get("x-kubernetes-patch-strategy")?.as_str()?;
    if !strategy.split(',').any(|word| word == "merge") {
        return None;
    }
    let own = |value: &Value| value.as_str().map(str::to_owned);
    match node.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
        Some(keys) => Some(keys.iter().filter_map(own).collect()),
        None => Some(node.get("x-kubernetes-patch-merge-key").and_then(own).into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(schema: &Schema, root: Option<ShapeId>, path: &[&str]) -> Option<ShapeId> {
        path.iter().fold(root, |shape, part| match *part {
            "[]" => schema.merge_list(shape)?.1,
            field => schema.field(shape, field),
        })
    }

    #[test]
    fn containers_merge_by_name_and_their_ports_by_number_and_protocol() {
        let schema = Schema::builtin();
        let root = schema.root("apps/v1", "Deployment");
        let containers = at(schema, root, &["spec", "template", "spec", "containers"]);
        assert_eq!(schema.merge_list(containers).unwrap().0, ["name"]);
        let ports = at(schema, containers, &["[]", "ports"]);
        assert_eq!(schema.merge_list(ports).unwrap().0, ["containerPort", "protocol"]);
        let finalizers = at(schema, root, &["metadata", "finalizers"]);
        assert_eq!(schema.merge_list(finalizers).unwrap().0, [""; 0]);
        let args = at(schema, containers, &["[]", "args"]);
        assert!(schema.merge_list(args).is_none());
        assert!(schema.root("example.com/v1", "Deployment").is_none());
    }
}
