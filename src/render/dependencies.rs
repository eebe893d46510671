//! Charts that a chart asks for and does not hold: taken from beside it, or from where they were fetched to.
//!
//! Enters: a chart as it was loaded, the tree around it, and what is known of charts elsewhere. Leaves: the chart with its
//! dependencies in their places; or which have to be fetched first; or what is wrong. A lock that is there decides on
//! versions, and must be of what the chart asks for. Absent: fetching, and which of them take part in a rendering, which
//! conditions and tags decide later, as in Helm.

use super::helm::touch;
use super::{Base, Needed, Remote};
use std::collections::BTreeSet;
use std::sync::Arc;
use trueup_helm::{Chart, Dependency, is_compatible};
use trueup_model::tree::EntryKind;
use trueup_model::{Tree, tree};

/// Dependencies of dependencies, that many deep.
const DEEPEST: usize = 8;
/// Charts that one chart may bring with it.
const MOST: usize = 200;

/// What stands around a chart.
#[derive(Clone, Copy)]
pub enum Around<'t> {
    /// The tree that its folder is in, and its path there.
    Folder(&'t dyn Tree, &'t str),
    /// Nothing: it is packed, or from elsewhere.
    Nothing,
}

/// What is known of a chart elsewhere.
pub enum Elsewhere {
    /// Its archive.
    Here(Arc<[u8]>),
    /// Nobody asked for it yet.
    Unread,
    /// Why it cannot be had.
    Refused(String),
}

/// Why a chart is not complete.
#[derive(Debug)]
pub enum Incomplete {
    /// These have to be fetched first.
    Missing(BTreeSet<Needed>),
    /// What is wrong.
    Refused(Vec<String>),
}

impl Elsewhere {
    /// What is known of a chart, of a base.
    pub fn of(base: Option<&Result<Base, String>>) -> Self {
        match base {
            None => Self::Unread,
            Some(Err(why)) => Self::Refused(why.clone()),
            Some(Ok(base)) => Self::read(&*base.tree),
        }
    }

    pub(super) fn read(tree: &dyn Tree) -> Self {
        match tree.read(Remote::FILE) {
            Ok(packed) => Self::Here(packed),
            Err(error) => Self::Refused(super::with_causes(&error)),
        }
    }
}

/// Puts the charts in their places that `chart` asks for and does not hold. `shown` is what its folder is called.
pub fn complete(
    chart: &mut Chart,
    around: Around<'_>,
    shown: &str,
    elsewhere: &dyn Fn(&Remote) -> Elsewhere,
) -> Result<(), Incomplete> {
    let mut completing = Completing { elsewhere, missing: BTreeSet::new(), problems: Vec::new(), left: MOST };
    completing.chart(chart, around, shown, 0);
    let Completing { missing, problems, .. } = completing;
    match (missing.is_empty(), problems.is_empty()) {
        (true, true) => Ok(()),
        (false, true) => Err(Incomplete::Missing(missing)),
        (_, false) => Err(Incomplete::Refused(problems)),
    }
}

struct Completing<'c> {
    elsewhere: &'c dyn Fn(&Remote) -> Elsewhere,
    missing: BTreeSet<Needed>,
    problems: Vec<String>,
    left: usize,
}

impl Completing<'_> {
    fn chart(&mut self, chart: &mut Chart, around: Around<'_>, shown: &str, depth: usize) {
        let lacking: Vec<(usize, Dependency)> =
            chart.lacking().map(|(place, wanted)| (place, wanted.clone())).collect();
        if lacking.is_empty() {
            return;
        }
        let file = if chart.metadata.api_version == "v1" { "requirements.yaml" } else { "Chart.yaml" };
        if depth >= DEEPEST {
            self.problems.push(format!("{shown}/{file}: dependencies lie more than {DEEPEST} deep"));
            return;
        }
        if let Some(Err(error)) = chart.lock.as_ref().map(|lock| lock.check(&chart.metadata)) {
            self.problems.push(format!("{shown}: {error}"));
            return;
        }
        for (place, wanted) in lacking {
            let locked = chart.lock.as_ref().and_then(|lock| lock.version_of(place, &wanted));
            let version = locked.unwrap_or(&wanted.version).to_owned();
            let Some(left) = self.left.checked_sub(1) else {
                self.problems.push(format!("{shown}/{file}: it brings more than {MOST} charts with it"));
                return;
            };
            self.left = left;
            match self.dependency(&wanted, &version, around, shown, depth) {
                Ok(inner) => chart.dependencies.extend(inner),
                Err(why) => self.problems.push(told(shown, file, &wanted, &version, &why)),
            }
        }
    }

    /// The chart that is asked for; none where it has to be fetched first.
    fn dependency(
        &mut self,
        wanted: &Dependency,
        version: &str,
        around: Around<'_>,
        shown: &str,
        depth: usize,
    ) -> Result<Option<Chart>, String> {
        let repository = wanted.repository.as_str();
        if let Some(path) = repository.strip_prefix("file://") {
            return self.beside(path, wanted, version, around, depth).map(Some);
        }
        if repository.is_empty() {
            return Err("it is not in charts/, and names no repository".to_owned());
        }
        if repository.starts_with('@') || repository.starts_with("alias:") {
            return Err(
                "its repository is an alias that only a machine's own Helm knows; write the URL".to_owned()
            );
        }
        let is_read = ["https://", "http://", "oci://"].iter().any(|scheme| repository.starts_with(scheme));
        if !is_read {
            return Err("charts are read from https, http, oci and file".to_owned());
        }
        if holds_password(repository) {
            return Err(
                "its URL holds a password, which does not belong in a file; give the credentials where the repositories are configured"
                    .to_owned(),
            );
        }
        let remote = Remote::Chart {
            repository: repository.trim_end_matches('/').to_owned(),
            name: wanted.name.clone(),
            version: version.to_owned(),
        };
        let packed = match (self.elsewhere)(&remote) {
            Elsewhere::Here(packed) => packed,
            Elsewhere::Refused(why) => return Err(why),
            Elsewhere::Unread => {
                self.missing.insert(Needed { remote, timeout: None });
                return Ok(None);
            }
        };
        let inner = Chart::from_archive(&packed, &wanted.name).map_err(|error| super::with_causes(&error))?;
        self.checked(inner, wanted, Around::Nothing, &format!("{shown}/charts/{}", wanted.name), depth)
            .map(Some)
    }

    /// A chart at a path from this one.
    fn beside(
        &mut self,
        path: &str,
        wanted: &Dependency,
        version: &str,
        around: Around<'_>,
        depth: usize,
    ) -> Result<Chart, String> {
        let Around::Folder(tree, folder) = around else {
            return Err("it lies beside a chart that is not in this repository".to_owned());
        };
        if path.starts_with('/') {
            return Err("its path is one of a machine; write it from the chart's folder on".to_owned());
        }
        let path = tree::join(folder, path).map_err(|error| super::with_causes(&error))?;
        let found = tree::resolve(tree, &path).map_err(|error| super::with_causes(&error))?;
        let real = match found {
            Some((real, entry)) if entry.kind == EntryKind::Folder => real,
            Some(_) | None => return Err(format!("there is no folder {path}")),
        };
        let inner = Chart::from_tree(tree, &real).map_err(|error| {
            // All files that have to be fetched are told at once.
            touch(tree, &real);
            super::with_causes(&error)
        })?;
        let found = &inner.metadata.version;
        let range = if version.is_empty() { "*" } else { version };
        if !is_compatible(range, found) {
            return Err(format!("the chart in {path} has the version {found}"));
        }
        self.checked(inner, wanted, Around::Folder(tree, &real), &path, depth)
    }

    fn checked(
        &mut self,
        mut inner: Chart,
        wanted: &Dependency,
        around: Around<'_>,
        shown: &str,
        depth: usize,
    ) -> Result<Chart, String> {
        if inner.name() != wanted.name {
            return Err(format!("the chart there is called {}", inner.name()));
        }
        self.chart(&mut inner, around, shown, depth + 1);
        Ok(inner)
    }
}

fn told(shown: &str, file: &str, wanted: &Dependency, version: &str, why: &str) -> String {
    let place = if shown.is_empty() { file.to_owned() } else { format!("{shown}/{file}") };
    let space = if version.is_empty() { "" } else { " " };
    let from = match wanted.repository.as_str() {
        "" => String::new(),
        repository if holds_password(repository) => String::new(),
        repository => format!(" of {repository}"),
    };
    format!("{place}: dependency {}{space}{version}{from}: {why}", wanted.name)
}

fn holds_password(url: &str) -> bool {
    let authority =
        url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::helm::tests::helm;
    use crate::render::{Bases, Helm, Parsed, Rendered, Request, Unrendered, build_from};
    use flate2::{Compression, write::GzEncoder};
    use std::collections::BTreeMap;
    use trueup_model::MemoryTree;

    /// A packed chart of these files.
    pub(in crate::render) fn packed(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("chart/{path}"), text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// A chart elsewhere, as it is asked for.
    pub(in crate::render) fn at(repository: &str, name: &str, version: &str) -> Remote {
        let [repository, name, version] = [repository, name, version].map(str::to_owned);
        Remote::Chart { repository, name, version }
    }

    /// What was fetched of it.
    pub(in crate::render) fn base(version: &str, files: &[(&str, &str)]) -> Base {
        let tree = MemoryTree::from_iter([(Remote::FILE, packed(files))]);
        Base { revision: format!("{version}@sha256:{version}"), tree: Arc::new(tree) }
    }

    const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Chart.Name }}-{{ .Chart.Version }}'}\n\
        data: {v: '{{ .Values.v }}'}\n";

    fn inner(name: &str, version: &str) -> Vec<(&'static str, String)> {
        vec![
            ("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: {version}\n")),
            ("values.yaml", "v: own\n".to_owned()),
            ("templates/a.yaml", SETTINGS.to_owned()),
        ]
    }

    fn base_of(name: &str, version: &str) -> Base {
        let files = inner(name, version);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        base(version, &files)
    }

    fn tree(dependencies: &str, more: &[(&str, &str)]) -> MemoryTree {
        let chart = format!("apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: {dependencies}\n");
        let mut tree = more.iter().copied().collect::<MemoryTree>();
        tree.insert("web/Chart.yaml", chart);
        for (path, text) in inner("common", "2.1.0") {
            tree.insert(&format!("common/{path}"), text);
        }
        tree
    }

    fn render(tree: &MemoryTree, bases: &Bases) -> Result<Rendered, Unrendered> {
        let helm = Helm { values_files: Vec::new(), ..helm() };
        let request = Request { helm: Some(Arc::new(helm)), ..Request::default() };
        build_from(Arc::new(tree.clone()), &request, &Parsed::default(), bases)
    }

    fn missing(result: Result<Rendered, Unrendered>) -> Vec<String> {
        match result {
            Err(Unrendered::Missing(missing)) => missing.iter().map(|one| one.remote.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(result: Result<Rendered, Unrendered>) -> String {
        match result {
            Err(Unrendered::Broken(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    const REDIS: &str = "[{name: redis, version: ^17, repository: 'https://charts.example.com/', alias: cache, condition: cache.enabled}, \
          {name: queue, version: 1.2.3, repository: 'oci://registry.example.com/charts', tags: [slow]}, \
          {name: common, version: '>=2', repository: 'file://../common'}]";

    #[test]
    fn what_a_chart_lacks_is_asked_for_and_takes_its_place_as_if_it_had_always_been_there() {
        let tree = tree(REDIS, &[]);
        let all = ["https://charts.example.com/redis@^17", "oci://registry.example.com/charts/queue@1.2.3"];
        assert_eq!(missing(render(&tree, &Bases::new())), all);
        let mut bases =
            Bases::from([(at("https://charts.example.com", "redis", "^17"), Ok(base_of("redis", "17.9.0")))]);
        assert_eq!(missing(render(&tree, &bases)), all[1..]);
        bases
            .insert(at("oci://registry.example.com/charts", "queue", "1.2.3"), Ok(base_of("queue", "1.2.3")));

        let objects = |values: &str| {
            let mut tree = tree.clone();
            tree.insert("web/values.yaml", values);
            let rendered = render(&tree, &bases).unwrap();
            let mut objects: Vec<String> = rendered
                .manifests
                .iter()
                .map(|one| format!("{} {}", one.name(), one.value["data"]["v"].as_str().unwrap()))
                .collect();
            objects.sort();
            (objects, rendered)
        };
        let (found, rendered) = objects("cache: {v: given}\n");
        assert_eq!(found, ["cache-17.9.0 given", "common-2.1.0 own", "queue-1.2.3 own"]);
        let used: BTreeMap<String, String> =
            rendered.bases.iter().map(|(remote, used)| (remote.to_string(), used.revision.clone())).collect();
        assert_eq!(used[all[0]], "17.9.0@sha256:17.9.0");
        assert_eq!(used.len(), 2);
        assert_eq!(objects("cache: {enabled: false}\ntags: {slow: false}\n").0, ["common-2.1.0 own"]);

        for (path, holds) in [("common/templates/a.yaml", false), ("web/Chart.lock", false), ("other", true)]
        {
            let mut changed = tree.clone();
            changed.insert("web/values.yaml", "cache: {v: given}\n");
            changed.insert(path, "changed: 1\n");
            assert_eq!(rendered.trace.holds_in(&changed), holds, "{path}");
        }
    }

    #[test]
    fn what_is_vendored_is_not_asked_for() {
        let files = inner("redis", "1.0.0");
        let files: Vec<(String, &str)> =
            files.iter().map(|(path, text)| (format!("web/charts/redis/{path}"), text.as_str())).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let rendered =
            render(&tree("[{name: redis, version: ^1, repository: 'https://h'}]", &files), &Bases::new());
        assert_eq!(rendered.unwrap().manifests[0].name(), "redis-1.0.0");
    }

    #[test]
    fn a_lock_says_which_version_and_must_be_of_what_the_chart_asks_for() {
        let dependencies = "[{name: redis, version: ^17, repository: 'https://charts.example.com'}]";
        // As `helm dependency update` writes it.
        let digest = "sha256:539d7e4eb043765641b91a9c7949da22ae74f5d015a7cd03c741aecaaecd9008";
        let lock = format!(
            "dependencies:\n- {{name: redis, repository: 'https://charts.example.com', version: 17.3.2}}\ndigest: {digest}\n"
        );
        let locked = |dependencies: &str| tree(dependencies, &[("web/Chart.lock", lock.as_str())]);
        assert_eq!(
            missing(render(&locked(dependencies), &Bases::new())),
            ["https://charts.example.com/redis@17.3.2"]
        );
        let why = refused(render(&locked(&dependencies.replace("^17", "^18")), &Bases::new()));
        assert!(
            why.contains("Chart.lock")
                && why.contains("out of sync")
                && why.contains("helm dependency update"),
            "{why}"
        );
    }

    #[test]
    fn what_is_wrong_names_chart_dependency_repository_and_range() {
        let away =
            || Err("https://h has no chart redis with a version in ^9; near matches: 17.9.0".to_owned());
        let bases = Bases::from([
            (at("https://h", "redis", "^9"), away()),
            (at("https://h", "mistaken", ""), Ok(base_of("other", "1.0.0"))),
            (at("https://h", "broken", ""), Ok(base("1", &[("x", "y")]))),
        ]);
        for (dependency, expected) in [
            (
                "{name: redis, version: ^9, repository: 'https://h'}",
                "web/Chart.yaml: dependency redis ^9 of https://h: https://h has no chart redis with a version in ^9; near matches: 17.9.0",
            ),
            (
                "{name: a, version: 1, repository: ''}",
                "web/Chart.yaml: dependency a 1: it is not in charts/, and names no repository",
            ),
            (
                "{name: a, repository: '@stable'}",
                "web/Chart.yaml: dependency a of @stable: its repository is an alias that only a machine's own Helm knows; write the URL",
            ),
            (
                "{name: a, repository: 's3://bucket'}",
                "web/Chart.yaml: dependency a of s3://bucket: charts are read from https, http, oci and file",
            ),
            (
                "{name: mistaken, repository: 'https://h'}",
                "web/Chart.yaml: dependency mistaken of https://h: the chart there is called other",
            ),
            (
                "{name: a, repository: 'file://../nowhere'}",
                "web/Chart.yaml: dependency a of file://../nowhere: there is no folder nowhere",
            ),
            (
                "{name: common, version: ^3, repository: 'file://../common'}",
                "web/Chart.yaml: dependency common ^3 of file://../common: the chart in common has the version 2.1.0",
            ),
            (
                "{name: a, repository: 'file:///srv/a'}",
                "web/Chart.yaml: dependency a of file:///srv/a: its path is one of a machine; write it from the chart's folder on",
            ),
        ] {
            assert_eq!(refused(render(&tree(&format!("[{dependency}]"), &[]), &bases)), expected);
        }
        for (dependency, words) in [
            ("{name: a, repository: 'file://../../a'}", "outside the repository"),
            ("{name: broken, repository: 'https://h'}", "Chart.yaml file is missing"),
            ("{name: a, repository: 'https://me:pw@h'}", "holds a password"),
        ] {
            let why = refused(render(&tree(&format!("[{dependency}]"), &[]), &bases));
            assert!(why.contains(words) && !why.contains("pw"), "{why}");
        }
    }

    #[test]
    fn charts_that_bring_each_other_come_to_an_end() {
        let looped = [(
            "common/Chart.yaml",
            "apiVersion: v2\nname: common\nversion: 2.1.0\ndependencies: [{name: common, repository: 'file://../common'}]\n",
        )];
        let mut tree = tree("[{name: common, repository: 'file://../common'}]", &[]);
        for (path, text) in looped {
            tree.insert(path, text);
        }
        let why = refused(render(&tree, &Bases::new()));
        assert!(why.contains("more than 8 deep"), "{why}");
    }
}
