//! From files to declared objects, and from what is wrong with them to problems with file, line and column.

use super::check::check;
use super::nearest::suggestion;
use super::problem::{Findings, Place, Problem, Problems, Step};
use super::resolve::Declarations;
use super::resource::{API_VERSION, Declared, Kind, Metadata, Spec};
use super::schema::schema;
use super::{
    Config, app::AppSpec, app_set::AppSetSpec, cluster::ClusterSpec, environment::EnvironmentSpec,
    repository::RepositorySpec,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use trueup_model::Origin;
use trueup_model::yaml::{self, Node, Position};

/// Reads a configuration from a file (one or more documents), or from all `.yaml`, `.yml` and `.json` files in and
/// below a folder, hidden ones aside.
///
/// # Errors
/// All that is wrong in all files, not only the first.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let mut reader = Reader::default();
    for file in reader.files(path) {
        reader.file(&file);
    }
    reader.finish(path)
}

/// A document as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What it is.
    pub kind: Kind,
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What it says, without fields that have no value.
    pub spec: Value,
}

/// Reads a configuration as [`load`] does, and gives its documents as they were written: without what is meant where nothing
/// is said. By kind, in the order in which kinds build on each other, and by name.
///
/// # Errors
/// All that is wrong in all files: only what makes a configuration is given.
pub fn load_written(path: &Path) -> Result<Vec<Written>, Problems> {
    let mut reader = Reader::default();
    for file in reader.files(path) {
        reader.file(&file);
    }
    let nodes = std::mem::take(&mut reader.nodes);
    reader.finish(path)?;
    let written = |((kind, _), (_, node)): ((Kind, String), (PathBuf, Node))| {
        let metadata = part(&node, "metadata").ok()?;
        Some(Written { kind, metadata, spec: value(&node, "spec") })
    };
    Ok(nodes.into_iter().filter_map(written).collect())
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    /// Where each object stands, also those that are broken: a reference to one is no second problem.
    nodes: BTreeMap<(Kind, String), (PathBuf, Node)>,
    declarations: Declarations,
    /// A file or a document is so broken that its names are not known.
    incomplete: bool,
}

impl Reader {
    fn problem(&mut self, file: &Path, at: Position, message: impl Into<String>) {
        let Position { line, column } = at;
        self.problems.push(Problem { file: file.to_owned(), line, column, message: message.into() });
    }

    fn files(&mut self, path: &Path) -> BTreeSet<PathBuf> {
        if path.is_dir() {
            let mut files = BTreeSet::new();
            self.folder(path, &mut files, &mut BTreeSet::new());
            if files.is_empty() && self.problems.is_empty() {
                let message = "there is no .yaml, .yml or .json file in this folder";
                self.problem(path, Position::default(), message);
            }
            files
        } else {
            BTreeSet::from([path.to_owned()])
        }
    }

    fn folder(&mut self, folder: &Path, files: &mut BTreeSet<PathBuf>, seen: &mut BTreeSet<PathBuf>) {
        // Links can lead in circles.
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_owned())) {
            return;
        }
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                return self.problem(folder, Position::default(), format!("cannot be read: {error}"));
            }
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            // Hidden entries are no configuration; a mounted ConfigMap keeps its versions in them.
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                self.folder(&path, files, seen);
            } else if matches!(extension, Some("yaml" | "yml" | "json")) {
                files.insert(path);
            }
        }
    }

    fn file(&mut self, file: &Path) {
        let text = match std::fs::read(file).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => {
                self.incomplete = true;
                return self.problem(file, Position::default(), "is not UTF-8 text");
            }
            Err(error) => {
                self.incomplete = true;
                return self.problem(file, Position::default(), format!("cannot be read: {error}"));
            }
        };
        match yaml::parse(&text) {
            Ok(documents) => documents.into_iter().for_each(|node| self.document(file, node)),
            Err(error) => {
                self.incomplete = true;
                self.problem(file, error.at, error.message);
            }
        }
    }

    fn document(&mut self, file: &Path, node: Node) {
        let Some(kind) = self.kind(file, &node) else {
            self.incomplete = true;
            return;
        };
        let found = check(&node, schema(), kind.as_str());
        let fits = found.is_empty();
        for (at, message) in found {
            self.problem(file, at, message);
        }
        let name = node.get("metadata").and_then(|metadata| metadata.get("name"));
        let Some((name_at, name)) = name.and_then(|node| Some((node.at, node.as_str()?.to_owned()))) else {
            self.incomplete = true;
            return;
        };
        if let Some((first_file, first)) = self.nodes.get(&(kind, name.clone())) {
            let first = format!("{}:{}", first_file.display(), first.at.line);
            let message = format!("there is already a {kind} `{name}`, at {first}");
            return self.problem(file, name_at, message);
        }
        if fits {
            match kind {
                Kind::Repository => self.declare::<RepositorySpec>(file, &node),
                Kind::Cluster => self.declare::<ClusterSpec>(file, &node),
                Kind::Environment => self.declare::<EnvironmentSpec>(file, &node),
                Kind::App => self.declare::<AppSpec>(file, &node),
                Kind::AppSet => self.declare::<AppSetSpec>(file, &node),
            }
        }
        self.declarations.known.insert((kind, name.clone()));
        self.nodes.insert((kind, name), (file.to_owned(), node));
    }

    /// The kind of a document, or a problem.
    fn kind(&mut self, file: &Path, node: &Node) -> Option<Kind> {
        if node.as_map().is_none() {
            self.problem(
                file,
                node.at,
                "a document has to be a mapping with apiVersion, kind, metadata and spec",
            );
            return None;
        }
        let text = |field: &str| node.get(field).and_then(|node| Some((node.at, node.as_str()?)));
        match text("apiVersion") {
            Some((_, API_VERSION)) => {}
            Some((at, other)) => {
                let message = format!("apiVersion `{other}` is not trueup's: it has to be `{API_VERSION}`");
                self.problem(file, at, message);
                return None;
            }
            None => {
                self.problem(
                    file,
                    node.at,
                    format!("missing field `apiVersion`: it has to be `{API_VERSION}`"),
                );
                return None;
            }
        }
        let names = Kind::ALL.map(Kind::as_str);
        let Some((at, name)) = text("kind") else {
            self.problem(file, node.at, format!("missing field `kind`: one of {}", names.join(", ")));
            return None;
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
        if kind.is_none() {
            self.problem(file, at, format!("unknown kind `{name}`{}", suggestion(name, names, "")));
        }
        kind
    }

    fn declare<S: Spec>(&mut self, file: &Path, node: &Node)
    where
        Declarations: Declare<S>,
    {
        let (metadata, spec) = match (part::<Metadata>(node, "metadata"), part::<S>(node, "spec")) {
            (Ok(metadata), Ok(spec)) => (metadata, spec),
            (Err(error), _) | (_, Err(error)) => return self.problem(file, node.at, error.to_string()),
        };
        let origin = Origin { path: file.to_string_lossy().into_owned(), line: node.at.line };
        let mut declared = Declared { metadata, spec, origin };
        let mut findings = Findings::default();
        declared.check(&mut findings);
        for (place, message) in findings.0 {
            self.problem(file, locate(node, &place), message);
        }
        declared.spec.resolve_paths(file.parent().unwrap_or(Path::new("")));
        self.declarations.declare(declared);
    }

    /// Connects what was declared, unless names are missing because of other problems.
    fn finish(mut self, path: &Path) -> Result<Config, Problems> {
        self.declarations.incomplete = self.incomplete;
        let resolved = std::mem::take(&mut self.declarations).resolve();
        match resolved {
            Ok(config) if self.problems.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(findings) => {
                for finding in findings {
                    let node = self.nodes.get(&(finding.kind, finding.name.clone()));
                    let (file, at) = node.map_or((path.to_owned(), Position::default()), |(file, node)| {
                        (file.clone(), locate(node, &finding.place))
                    });
                    self.problem(&file, at, finding.message);
                }
            }
        }
        self.problems.sort();
        self.problems.dedup();
        Err(Problems(self.problems))
    }
}

/// Where a declared object goes.
pub(super) trait Declare<S> {
    /// Takes the object in.
    fn declare(&mut self, declared: Declared<S>);
}

/// A part of a document as its type; fields without a value count as left out.
fn part<T: DeserializeOwned>(node: &Node, field: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(value(node, field))
}

fn value(node: &Node, field: &str) -> Value {
    let mut value = node.get(field).map(Node::to_value).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        for (_, value) in fields.iter_mut().filter(|(name, _)| name.as_str() != "values") {
            without_nulls(value);
        }
        fields.retain(|_, value| !value.is_null());
    }
    value
}

fn without_nulls(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        // A null among values takes a value away.
        fields
            .iter_mut()
            .filter(|(name, _)| name.as_str() != "values")
            .for_each(|(_, value)| without_nulls(value));
    }
}

/// The position of a place, or of the nearest thing around it that is written.
fn locate(node: &Node, place: &Place) -> Position {
    let mut here = node;
    for step in &place.0 {
        let inner = match step {
            Step::Field(name) => here.get(name),
            Step::Item(index) => here.as_list().and_then(|items| items.get(*index)),
        };
        match inner {
            Some(inner) => here = inner,
            None => break,
        }
    }
    here.at
}
