//! Loading: from a folder of a tree, or from a packed chart, to a [`Chart`].
//!
//! Charts lie in one another, as folders or packed, below `charts/`; all of them share one set of bounds.

use crate::archive::{Bounds, Room, unpack};
use crate::beside::each;
use crate::chart::{Chart, File};
use crate::error::Error;
use crate::ignore::{Kind, Rules};
use crate::lock::Lock;
use crate::metadata::Metadata;
use crate::values::{Values, read_values};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::tree::{self, EntryKind, Tree, TreeError};

const MAX_FOLDERS: usize = 64;

/// Where charts lie within a chart.
const CHARTS: &str = "charts";

/// Which files of a folder are not of the chart.
const IGNORE: &str = ".helmignore";

impl Chart {
    /// Loads the chart in the folder `path` of a tree.
    ///
    /// # Errors
    /// What of the chart cannot be read, with its file and line.
    pub fn from_tree(tree: &dyn Tree, path: &str) -> Result<Self, Error> {
        let whole = |source| Error::Tree { chart: path.to_owned(), source };
        let entries = tree.kinds(path).map_err(whole)?;
        let mut rules = String::new();
        if entries.iter().any(|(name, _)| name == IGNORE) {
            let ignore = tree::join(path, IGNORE).map_err(whole)?;
            if tree::resolve(tree, &ignore).map_err(whole)?.is_some() {
                rules = tree::read_text(tree, &ignore).map_err(whole)?;
            }
        }
        let rules = Rules::parse(&rules).map_err(|error| Error::file(path, IGNORE, error.to_string()))?;
        let room = Mutex::new(Room::new(Bounds::default()));
        let mut files = Vec::new();
        Walk { tree, root: path, rules: &rules, room: &room }.entries("", path, entries, 0, &mut files)?;
        outermost(assemble(files, if path.is_empty() { "." } else { path }, &room, 0)?)
    }

    /// Loads a packed chart: the bytes of a `.tgz`. `name` is what errors call it until its own name is known.
    ///
    /// # Errors
    /// What of the chart cannot be read, with its file and line, and whatever is not safe or larger than the bounds.
    pub fn from_archive(packed: &[u8], name: &str) -> Result<Self, Error> {
        Self::from_archive_within(packed, name, Bounds::default())
    }

    /// As [`from_archive`](Self::from_archive), with bounds of one's own.
    ///
    /// # Errors
    /// As there.
    pub fn from_archive_within(packed: &[u8], name: &str, bounds: Bounds) -> Result<Self, Error> {
        let mut room = Room::new(bounds);
        let files = unpack(packed, &mut room).map_err(|message| Error::chart(name, message))?;
        outermost(assemble(files, name, &Mutex::new(room), 0)?)
    }
}

/// The files of a packed chart, by their paths below its folder: what `helm pull --untar` would leave there.
///
/// # Errors
/// What is not safe, or larger than the bounds.
pub fn unpacked(packed: &[u8], name: &str) -> Result<Vec<File>, Error> {
    unpack(packed, &mut Room::new(Bounds::default())).map_err(|message| Error::chart(name, message))
}

/// Refuses versions of charts that Helm does not install. Charts within others are not asked.
fn outermost(chart: Chart) -> Result<Chart, Error> {
    match chart.metadata.api_version.as_str() {
        "v1" | "v2" => Ok(chart),
        other => {
            let message =
                format!("apiVersion: {other} is no version of charts that Helm installs; v1 and v2 are");
            Err(Error::file(chart.name(), "Chart.yaml", message))
        }
    }
}

/// Charts within a chart are loaded side by side where there are as many.
const MANY: usize = 16;

/// A walk through a folder, in the order of names.
struct Walk<'w> {
    tree: &'w dyn Tree,
    root: &'w str,
    rules: &'w Rules,
    room: &'w Mutex<Room>,
}

impl Walk<'_> {
    /// Adds the files of a folder. `inner` is its path within the chart, `real` the one in the tree, links followed.
    fn folder(&self, inner: &str, real: &str, depth: usize, files: &mut Vec<File>) -> Result<(), Error> {
        if depth > MAX_FOLDERS {
            let message = format!("folders lie more than {MAX_FOLDERS} deep");
            return Err(Error::file(self.root, inner, message));
        }
        let entries = self.tree.kinds(real).map_err(|source| self.whole(source))?;
        self.entries(inner, real, entries, depth, files)
    }

    fn entries(
        &self,
        inner: &str,
        real: &str,
        entries: Vec<(String, EntryKind)>,
        depth: usize,
        files: &mut Vec<File>,
    ) -> Result<(), Error> {
        if inner != CHARTS || entries.len() < MANY {
            return entries.into_iter().try_for_each(|entry| self.entry(inner, real, entry, depth, files));
        }
        for found in each(entries, MANY, |entry| {
            let mut files = Vec::new();
            self.entry(inner, real, entry, depth, &mut files).map(|()| files)
        }) {
            files.extend(found?);
        }
        Ok(())
    }

    fn entry(
        &self,
        inner: &str,
        real: &str,
        (name, kind): (String, EntryKind),
        depth: usize,
        files: &mut Vec<File>,
    ) -> Result<(), Error> {
        let root = self.root;
        let path = if inner.is_empty() { name.clone() } else { format!("{inner}/{name}") };
        let own = tree::join(real, &name).map_err(|source| self.whole(source))?;
        let (own, kind) = match kind {
            EntryKind::Link | EntryKind::Submodule => {
                let missing = || Error::file(root, &path, "is a link that leads nowhere");
                let found = tree::resolve(self.tree, &own).map_err(|source| self.whole(source))?;
                let (real, entry) = found.ok_or_else(missing)?;
                (real, entry.kind)
            }
            EntryKind::File | EntryKind::Folder => (own, kind),
        };
        let ignored = if kind == EntryKind::Folder { Kind::Folder } else { Kind::File };
        if self.rules.ignores(&path, ignored) {
            return Ok(());
        }
        if kind == EntryKind::Folder {
            return self.folder(&path, &own, depth + 1, files);
        }
        let data = self.tree.read(&own).map_err(|source| self.whole(source))?;
        lock(self.room).take(data.len() as u64).map_err(|message| Error::chart(root, message))?;
        let data = data.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| Arc::clone(&data), Arc::from);
        files.push(File { name: path, data });
        Ok(())
    }

    fn whole(&self, source: TreeError) -> Error {
        Error::Tree { chart: self.root.to_owned(), source }
    }
}

fn lock(room: &Mutex<Room>) -> MutexGuard<'_, Room> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts the files of a chart in their places.
fn assemble(files: Vec<File>, called: &str, room: &Mutex<Room>, depth: usize) -> Result<Chart, Error> {
    let deepest = lock(room).bounds.depth;
    if depth > deepest {
        return Err(Error::chart(called, format!("charts lie more than {deepest} deep")));
    }
    let (metadata, warnings) = read_metadata(&files, called)?;
    let mut chart = Chart {
        metadata,
        lock: None,
        values: Values::new(),
        schema: None,
        templates: Vec::new(),
        files: Vec::new(),
        dependencies: Vec::new(),
        warnings,
    };
    let mut inner: BTreeMap<String, Vec<File>> = BTreeMap::new();
    let is_v1 = chart.metadata.api_version == "v1";
    for file in files {
        match file.name.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => chart.lock = Some(read_lock(&file, chart.name())?),
            "requirements.yaml" | "requirements.lock" if !is_v1 => {}
            "requirements.lock" => {
                chart.lock = Some(read_lock(&file, chart.name())?);
                chart.files.push(file);
            }
            "values.yaml" => {
                let values = read_values(text(&file, chart.name())?);
                chart.values =
                    values.map_err(|error| Error::file(chart.name(), "values.yaml", error.to_string()))?;
            }
            "values.schema.json" => chart.schema = Some(file.data),
            name if name.starts_with("templates/") => chart.templates.push(file),
            name if name.starts_with("charts/") && !has_extension(name, ".prov") => {
                let rest = name["charts/".len()..].to_owned();
                let key = rest.split('/').next().unwrap_or_default().to_owned();
                inner.entry(key).or_default().push(File { name: rest, data: file.data });
            }
            _ => chart.files.push(file),
        }
    }
    let inner: Vec<_> = inner.into_iter().filter(|(name, _)| !name.starts_with(['_', '.'])).collect();
    // Those further down have a thread of this already.
    let least = if depth == 0 { MANY } else { usize::MAX };
    let load = |(name, files): (String, Vec<File>)| inner_chart(&name, files, &chart, room, depth);
    let loaded: Result<Vec<_>, Error> = each(inner, least, load).into_iter().collect();
    chart.dependencies = loaded?.into_iter().flatten().collect();
    Ok(chart)
}

/// A chart below `charts/`, a folder or packed; none for a file that is neither.
fn inner_chart(
    name: &str,
    files: Vec<File>,
    chart: &Chart,
    room: &Mutex<Room>,
    depth: usize,
) -> Result<Option<Chart>, Error> {
    let called = format!("{}/charts/{name}", chart.name());
    if has_extension(name, ".tgz") {
        let [file, ..] = files.as_slice() else { return Ok(None) };
        if file.name != name {
            let message = format!(
                "error unpacking subchart tar in {}: expected {name}, got {}",
                chart.name(),
                file.name
            );
            return Err(Error::chart(chart.name(), message));
        }
        let files = unpack(&file.data, &mut lock(room)).map_err(|message| Error::chart(&called, message))?;
        return assemble(files, &called, room, depth + 1).map(Some);
    }
    let files = files.into_iter().filter_map(|file| {
        let (_, rest) = file.name.split_once('/')?;
        Some(File { name: rest.to_owned(), data: file.data })
    });
    assemble(files.collect(), &called, room, depth + 1).map(Some)
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.rfind('.').is_some_and(|dot| &name[dot..] == extension)
}

fn text<'f>(file: &'f File, chart: &str) -> Result<&'f str, Error> {
    std::str::from_utf8(&file.data).map_err(|_| Error::file(chart, &file.name, "is not UTF-8 text"))
}

fn read_lock(file: &File, chart: &str) -> Result<Lock, Error> {
    Lock::read(text(file, chart)?).map_err(|message| Error::file(chart, &file.name, message))
}

fn read_metadata(files: &[File], called: &str) -> Result<(Metadata, Vec<String>), Error> {
    let mut metadata = Metadata::default();
    let mut warnings = Vec::new();
    let mut found = false;
    for file in files.iter().filter(|file| file.name == "Chart.yaml") {
        found = true;
        let read = metadata.read(text(file, called)?);
        read.map_err(|message| Error::file(called, "Chart.yaml", message))?;
    }
    if !found {
        return Err(Error::chart(called, "Chart.yaml file is missing"));
    }
    if metadata.api_version.is_empty() {
        "v1".clone_into(&mut metadata.api_version);
    }
    for file in files.iter().filter(|file| file.name == "requirements.yaml") {
        if metadata.api_version != "v1" {
            warnings.push(format!(
                "chart {called}: Dependencies are handled in Chart.yaml since apiVersion \"v2\". \
                 We recommend migrating dependencies to Chart.yaml."
            ));
        }
        let read = metadata.read(text(file, called)?);
        read.map_err(|message| Error::file(called, "requirements.yaml", message))?;
    }
    metadata.check().map_err(|message| Error::file(called, "Chart.yaml", message))?;
    if metadata.deprecated {
        warnings.push(format!("chart {}: this chart is deprecated", metadata.name));
    }
    Ok((metadata, warnings))
}
