//! The charts of kustomizations: rendered for the engine of kustomize, which knows nothing of Helm.
//!
//! Enters: what the engine says of a chart, the charts that were fetched, a seed of chance. Leaves: what `helm template`
//! would print, document by document. Absent: which values count and where a chart is looked for, which the engine
//! decides.

use super::chance::{Called, Chance, Seed};
use super::dependencies::{Around, Elsewhere, Incomplete, complete};
use super::helm::{DEFAULT_NAMESPACE, touch};
use super::{Remote, Traced, TracedTree, chart, with_causes};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use trueup_helm::{
    Chart, HookEvent, KubeVersion, Options, Release, Rendered, Values, merge_values, read_values,
    release_name, render, unpacked,
};
use trueup_kustomize::{Inflated, Inflation, ReleaseName, Uninflated};
use trueup_model::{Entry, MemoryTree, Tree, TreeError};

/// Renders the charts of one rendering.
pub(super) struct Charts<'r> {
    chance: Chance,
    seed: &'r Seed,
    bases: &'r BTreeMap<Remote, Result<Traced, String>>,
}

impl<'r> Charts<'r> {
    pub(super) fn new(seed: &'r Seed, bases: &'r BTreeMap<Remote, Result<Traced, String>>) -> Self {
        Self { chance: Chance::new(seed), seed, bases }
    }

    /// The functions of chance that were called.
    pub(super) fn called(&self) -> Vec<Called> {
        self.chance.called()
    }

    /// What a chart makes.
    pub(super) fn inflate(&self, inflation: &Inflation<'_>) -> Result<Vec<Inflated>, Uninflated> {
        let refused = |error: &dyn std::error::Error| Uninflated::Refused(with_causes(error));
        let (tree, path) = (inflation.tree, inflation.path);
        let mut chart = Chart::from_tree(tree, path).map_err(|error| {
            // All files that have to be fetched are told at once.
            touch(tree, path);
            refused(&error)
        })?;
        let elsewhere = |remote: &Remote| elsewhere(self.bases, remote);
        complete(&mut chart, Around::Folder(tree, path), inflation.shown, &elsewhere).map_err(
            |why| match why {
                Incomplete::Missing(missing) => Uninflated::Missing(missing),
                Incomplete::Refused(problems) => Uninflated::Refused(problems.join("\n")),
            },
        )?;
        let mut values = Values::new();
        for text in &inflation.values {
            merge_values(&mut values, read_values(text).map_err(|error| refused(&error))?);
        }
        let options = self.options(inflation)?;
        let made = render(&chart, &values, &options).map_err(|error| refused(&error))?;
        Ok(printed(made, inflation))
    }

    fn options(&self, inflation: &Inflation<'_>) -> Result<Options, Uninflated> {
        let refused = |error: &dyn std::error::Error| Uninflated::Refused(with_causes(error));
        let namespace = if inflation.namespace.is_empty() { DEFAULT_NAMESPACE } else { inflation.namespace };
        let release = Release::install("", namespace);
        let mut options = Options::new(release, self.seed.time, self.chance.random());
        options.calls = Some(self.chance.calls());
        options.stop = Some(chart::deadline());
        let capabilities = &mut options.capabilities;
        if !inflation.kube_version.is_empty() {
            capabilities.kube_version =
                KubeVersion::parse(inflation.kube_version).map_err(|error| refused(&error))?;
        }
        let known = capabilities.api_versions.iter().chain(inflation.api_versions);
        capabilities.api_versions = known.cloned().collect();
        options.release.name = match inflation.release {
            ReleaseName::Given(name) => name.to_owned(),
            ReleaseName::Template(template) => {
                release_name(template, &options).map_err(|error| refused(&error))?
            }
        };
        Ok(options)
    }
}

/// The documents in the order in which Helm prints them.
fn printed(made: Rendered, inflation: &Inflation<'_>) -> Vec<Inflated> {
    let crds = made.crds.into_iter().filter(|_| inflation.include_crds);
    let crds = crds.map(|crd| Inflated { template: crd.file, text: crd.text });
    let hooks = made.hooks.into_iter().filter(|hook| {
        let is_test = hook.events.contains(&HookEvent::Test);
        !(inflation.skip_hooks || inflation.skip_tests && is_test)
    });
    let manifests = made.manifests.into_iter().chain(hooks.map(|hook| hook.manifest));
    let manifests = manifests.map(|manifest| Inflated { template: manifest.template, text: manifest.text });
    crds.chain(manifests).collect()
}

/// What is known of a chart that is not in the tree.
pub(super) fn elsewhere(bases: &BTreeMap<Remote, Result<Traced, String>>, remote: &Remote) -> Elsewhere {
    match bases.get(remote) {
        None => Elsewhere::Unread,
        Some(Err(why)) => Elsewhere::Refused(why.clone()),
        Some(Ok(base)) => Elsewhere::read(&*base.tree),
    }
}

/// The trees of other repositories as the engine of kustomize takes them: charts unpacked.
pub(super) fn remotes(bases: &BTreeMap<Remote, Result<Traced, String>>) -> trueup_kustomize::Remotes {
    let tree = |remote: &Remote, base: &Traced| -> Arc<dyn Tree> {
        match remote {
            Remote::Chart { .. } => Arc::new(Unpacked {
                packed: base.tree.clone(),
                shown: remote.to_string(),
                files: OnceLock::new(),
            }),
            Remote::Repository { .. } | Remote::File { .. } => base.tree.clone(),
        }
    };
    let trees = bases.iter().map(|(remote, base)| {
        (remote.clone(), base.as_ref().map(|base| tree(remote, base)).map_err(Clone::clone))
    });
    trueup_kustomize::Remotes(trees.collect())
}

/// The folder of a packed chart; unpacked when somebody looks into it.
struct Unpacked {
    packed: Arc<TracedTree>,
    shown: String,
    files: OnceLock<Result<MemoryTree, String>>,
}

impl Unpacked {
    fn files(&self) -> Result<&MemoryTree, TreeError> {
        let files = self.files.get_or_init(|| {
            let packed = self.packed.read(Remote::FILE).map_err(|error| with_causes(&error))?;
            let files = unpacked(&packed, &self.shown).map_err(|error| with_causes(&error))?;
            let mut tree = MemoryTree::new();
            for file in files {
                tree.insert(&file.name, &file.data);
            }
            Ok(tree)
        });
        files
            .as_ref()
            .map_err(|why| TreeError::Store { path: self.shown.clone(), source: why.clone().into() })
    }
}

impl Tree for Unpacked {
    fn entry(&self, path: &str) -> Result<Option<Entry>, TreeError> {
        self.files()?.entry(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.files()?.read(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Entry)>, TreeError> {
        self.files()?.list(path)
    }
}

#[cfg(test)]
mod tests {
    use crate::render::dependencies::tests::{at, base};
    use crate::render::{
        Bases, Given, Parsed, Rendered, Request, Seed, Unrendered, build_from, build_with_provenance,
    };
    use std::sync::Arc;
    use trueup_model::{MemoryTree, Tree};

    const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
    const SETTINGS: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {v: '{{ .Values.v }}'}\n";

    fn render(files: &[(&str, &str)], bases: &Bases) -> Result<Rendered, Unrendered> {
        let tree: Arc<dyn Tree> = Arc::new(files.iter().copied().collect::<MemoryTree>());
        build_from(tree, &Request { path: "app".to_owned(), ..Request::default() }, &Parsed::default(), bases)
    }

    #[test]
    fn a_commit_that_touches_a_chart_of_a_kustomization_renders_it_again() {
        let files = [
            (
                "app/kustomization.yaml",
                "helmGlobals: {chartHome: charts}\nhelmCharts: [{name: web, releaseName: shop}]\n",
            ),
            ("app/charts/web/Chart.yaml", CHART),
            ("app/charts/web/values.yaml", "v: 1\n"),
            ("app/charts/web/templates/a.yaml", SETTINGS),
            ("app/charts/other/Chart.yaml", CHART),
        ];
        let rendered = render(&files, &Bases::new()).unwrap();
        assert_eq!(rendered.manifests[0].value["data"]["v"], "1");
        assert_eq!(rendered.manifests[0].origin.to_string(), "app/charts/web/templates/a.yaml");
        for (path, holds) in [
            ("app/charts/web/templates/a.yaml", false),
            ("app/charts/web/templates/b.yaml", false),
            ("app/charts/web/values.yaml", false),
            ("app/charts/web/.helmignore", false),
            ("app/charts/other/Chart.yaml", true),
        ] {
            let mut tree = MemoryTree::from_iter(files);
            tree.insert(path, "changed: 1\n");
            assert_eq!(rendered.trace.holds_in(&tree), holds, "{path}");
        }
    }

    #[test]
    fn a_chart_that_is_fetched_is_asked_for_with_what_it_lacks_itself() {
        let kustomization = "namePrefix: a-\nhelmCharts:\n- {name: web, repo: 'https://h', version: ^1, releaseName: shop, valuesInline: {v: x, cache: {v: z}}}\n";
        let files = [("app/kustomization.yaml", kustomization)];
        let missing = |bases: &Bases| match render(&files, bases) {
            Err(Unrendered::Missing(missing)) => {
                missing.iter().map(|one| one.remote.to_string()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&Bases::new()), ["https://h/web@^1"]);
        let asking =
            format!("{CHART}dependencies: [{{name: cache, repository: 'https://h', version: '2'}}]\n");
        let web =
            [("Chart.yaml", asking.as_str()), ("values.yaml", "v: own\n"), ("templates/a.yaml", SETTINGS)];
        let mut bases = Bases::from([(at("https://h", "web", "^1"), Ok(base("1.2.3", &web)))]);
        assert_eq!(missing(&bases), ["https://h/cache@2"]);
        let inner = SETTINGS.replace("'{{ .Release.Name }}'", "cache");
        let cache = [
            ("Chart.yaml", "apiVersion: v2\nname: cache\nversion: 2.0.0\n"),
            ("templates/a.yaml", inner.as_str()),
        ];
        bases.insert(at("https://h", "cache", "2"), Ok(base("2.0.0", &cache)));
        bases.insert(at("https://h", "unused", ""), Ok(base("1.0.0", &web)));
        let rendered = render(&files, &bases).unwrap();
        let shown: Vec<String> = rendered
            .manifests
            .iter()
            .map(|one| format!("{} {} {}", one.name(), one.value["data"]["v"].as_str().unwrap(), one.origin))
            .collect();
        assert_eq!(
            shown,
            [
                "a-cache z https://h/web@^1//charts/cache/templates/a.yaml",
                "a-shop x https://h/web@^1//templates/a.yaml"
            ]
        );
        let used: Vec<String> = rendered.bases.keys().map(ToString::to_string).collect();
        assert_eq!(used, ["https://h/cache@2", "https://h/web@^1"], "and not what nobody asked for");

        bases.insert(at("https://h", "web", "^1"), Ok(base("1.2.3", &[("no", "chart")])));
        let why = match render(&files, &bases) {
            Err(Unrendered::Broken(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(
            why.starts_with("app/kustomization.yaml:3: helmCharts[0]: ")
                && why.contains("Chart.yaml file is missing"),
            "{why}"
        );
    }

    #[test]
    fn what_a_chart_makes_of_chance_follows_from_the_seed_and_is_told() {
        let random = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {v: '{{ randAlphaNum 20 }}'}\n";
        let files = [
            (
                "app/kustomization.yaml",
                "helmCharts:\n- {name: web, releaseName: one}\n- {name: web, releaseName: two}\n",
            ),
            ("app/charts/web/Chart.yaml", CHART),
            ("app/charts/web/templates/a.yaml", random),
        ];
        let tree: Arc<dyn Tree> = Arc::new(MemoryTree::from_iter(files));
        let made = |seed: u8| {
            let seed = Seed { bytes: [seed; 32], ..Seed::default() };
            let given = Given { seed, ..Given::default() };
            let request = Request { path: "app".to_owned(), given, ..Request::default() };
            let built = build_from(tree.clone(), &request, &Parsed::default(), &Bases::new()).unwrap();
            assert_eq!(built.calls.len(), 1);
            assert_eq!(
                (built.calls[0].template.as_str(), built.calls[0].function.as_str()),
                ("web/templates/a.yaml", "randAlphaNum")
            );
            [0, 1].map(|at: usize| built.manifests[at].value["data"]["v"].as_str().unwrap().to_owned())
        };
        let first = made(1);
        assert_eq!(first, made(1));
        assert_ne!(first[0], first[1], "two releases do not have the same password");
        assert_ne!(first[0], made(2)[0]);
    }

    #[test]
    fn a_field_of_a_chart_comes_from_its_entry() {
        let files = [
            ("app/kustomization.yaml", "namePrefix: a-\nhelmCharts:\n- {name: web, releaseName: shop}\n"),
            ("app/charts/web/Chart.yaml", CHART),
            ("app/charts/web/templates/a.yaml", SETTINGS),
        ];
        let tree: Arc<dyn Tree> = Arc::new(MemoryTree::from_iter(files));
        let request = Request { path: "app".to_owned(), ..Request::default() };
        let found = build_with_provenance(tree, &request, &Parsed::default(), &Bases::new()).unwrap();
        let (manifest, sources) = &found[0];
        let text = trueup_model::provenance::annotated(&manifest.value, sources);
        for (field, source) in [
            ("kind: ", "# app/kustomization.yaml:3 helmCharts"),
            ("name: ", "# app/kustomization.yaml:1 namePrefix"),
        ] {
            let line = text.lines().find(|line| line.trim_start().starts_with(field)).unwrap();
            assert!(line.contains(source), "{text}");
        }
    }
}
