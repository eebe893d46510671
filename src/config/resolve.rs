//! From declared objects to a configuration: references are followed, placeholders filled in, targets laid out.
//!
//! Pure: no file is read, and objects may as well be custom resources.

use super::app::AppSpec;
use super::app_set::AppSetSpec;
use super::cluster::ClusterSpec;
use super::environment::{ClusterSelection, EnvironmentSpec, LabelSelector, SyncPolicy, check_namespace};
use super::helm::{Chart, Helm, HelmSpec, ValuesFrom};
use super::ignore::IgnoreSpec;
use super::nearest::suggestion;
use super::problem::{Finding, Findings, Place, Step};
use super::read::Declare;
use super::repository::{Reference, RepositorySpec};
use super::resource::{Declared, Kind, Spec};
use super::template::{TemplateError, expand};
use super::{Config, Rollout, Target};
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::{Value, tree};

/// What was declared, before anything is known to fit together.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    /// By name.
    pub repositories: BTreeMap<String, Declared<RepositorySpec>>,
    /// By name.
    pub clusters: BTreeMap<String, Declared<ClusterSpec>>,
    /// By name.
    pub environments: BTreeMap<String, Declared<EnvironmentSpec>>,
    /// By name.
    pub apps: BTreeMap<String, Declared<AppSpec>>,
    /// By name.
    pub app_sets: BTreeMap<String, Declared<AppSetSpec>>,
    /// Names of objects that exist but are broken, so that references to them are no second problem.
    pub known: BTreeSet<(Kind, String)>,
    /// Whether there are objects that are not even known by name; then a missing name proves nothing.
    pub incomplete: bool,
}

impl Declare<RepositorySpec> for Declarations {
    fn declare(&mut self, declared: Declared<RepositorySpec>) {
        self.repositories.insert(declared.metadata.name.clone(), declared);
    }
}

impl Declare<ClusterSpec> for Declarations {
    fn declare(&mut self, declared: Declared<ClusterSpec>) {
        self.clusters.insert(declared.metadata.name.clone(), declared);
    }
}

impl Declare<EnvironmentSpec> for Declarations {
    fn declare(&mut self, declared: Declared<EnvironmentSpec>) {
        self.environments.insert(declared.metadata.name.clone(), declared);
    }
}

impl Declare<AppSpec> for Declarations {
    fn declare(&mut self, declared: Declared<AppSpec>) {
        self.apps.insert(declared.metadata.name.clone(), declared);
    }
}

impl Declare<AppSetSpec> for Declarations {
    fn declare(&mut self, declared: Declared<AppSetSpec>) {
        self.app_sets.insert(declared.metadata.name.clone(), declared);
    }
}

impl Declarations {
    /// The configuration that these objects make together.
    ///
    /// # Errors
    /// All that does not fit together.
    pub fn resolve(self) -> Result<Config, Vec<Finding>> {
        let (targets, findings) = self.lay_out();
        if findings.is_empty() { Ok(self.with(targets)) } else { Err(findings) }
    }

    /// The configuration that is left without what does not fit, and all that does not. What needs something that is left out
    /// is left out, too: a target whose App has to wait for another one is not made where the other is not.
    pub fn resolve_usable(self) -> (Config, Vec<Finding>) {
        let (mut targets, mut findings) = self.lay_out();
        findings.extend(self.references_to_broken());
        // Clusters that should go first and cannot do not mean that others may.
        let unordered: BTreeSet<&str> = findings
            .iter()
            .filter(|finding| {
                finding.kind == Kind::Environment && finding.place.0.get(1) == Some(&field("rollout"))
            })
            .map(|finding| finding.name.as_str())
            .collect();
        targets.retain(|target| {
            self.repositories.contains_key(&target.repository)
                && !unordered.contains(target.environment.as_str())
        });
        let mut lacking = self.lacking(&targets);
        let in_circles: BTreeSet<String> = findings
            .iter()
            .filter(|finding| {
                finding.kind == Kind::App && finding.place.0.get(1) == Some(&field("dependsOn"))
            })
            .map(|finding| finding.name.clone())
            .collect();
        targets.retain(|target| {
            let stays = !in_circles.contains(&target.app);
            if !stays {
                lacking.insert((target.app.clone(), target.environment.clone()));
            }
            stays
        });
        while let Some((at, finding)) = self.held(&targets, &lacking) {
            let target = targets.remove(at);
            lacking.insert((target.app, target.environment));
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        (self.with(targets), findings)
    }

    /// All targets that can be made, and all that does not fit.
    fn lay_out(&self) -> (Vec<Target>, Vec<Finding>) {
        let mut resolver = Resolver { declared: self, findings: Vec::new() };
        let clusters: BTreeMap<&str, Vec<&str>> = self
            .environments
            .iter()
            .map(|(name, environment)| (name.as_str(), resolver.clusters(environment)))
            .collect();
        let mut targets = Vec::new();
        for app in self.apps.values() {
            resolver.references(app);
            targets.extend(resolver.targets(app, &clusters));
        }
        resolver.cycles();
        self.app_sets.values().for_each(|set| resolver.references_of_set(set));
        (targets, resolver.findings)
    }

    fn with(self, mut targets: Vec<Target>) -> Config {
        let depends_on: Vec<Vec<String>> = self.dependencies(&targets);
        for (target, depends_on) in targets.iter_mut().zip(depends_on) {
            target.depends_on = depends_on;
        }
        targets.sort_by(|a, b| a.name.cmp(&b.name));
        let mut broken = self.known.clone();
        broken.retain(|(kind, name)| !self.is_declared(*kind, name));
        let Self { repositories, clusters, environments, apps, app_sets, known: _, incomplete: _ } = self;
        Config {
            repositories,
            clusters,
            environments,
            apps,
            app_sets,
            broken,
            makers: BTreeMap::new(),
            targets,
            leaving: Vec::new(),
            parting: BTreeMap::new(),
            home: None,
        }
    }

    /// Whether there is one of this kind and name that can be used.
    pub(super) fn is_declared(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Repository => self.repositories.contains_key(name),
            Kind::Cluster => self.clusters.contains_key(name),
            Kind::Environment => self.environments.contains_key(name),
            Kind::App => self.apps.contains_key(name),
            Kind::AppSet => self.app_sets.contains_key(name),
        }
    }

    /// Whether an AppSet may make an App of this name: nobody wrote one. What waits for it waits until one does.
    pub(super) fn may_be_made(&self, app: &str) -> bool {
        let has_sets = !self.app_sets.is_empty() || self.known.iter().any(|(kind, _)| *kind == Kind::AppSet);
        has_sets && !self.apps.contains_key(app) && !self.known.contains(&(Kind::App, app.to_owned()))
    }

    /// References to what is there and broken.
    fn references_to_broken(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut look = |from: Kind, name: &str, place: Place, kind: Kind, to: &str| {
            if self.known.contains(&(kind, to.to_owned())) && !self.is_declared(kind, to) {
                let message = format!("{kind} `{to}` cannot be used: its own status says why");
                findings.push(Finding { kind: from, name: name.to_owned(), place, message });
            }
        };
        for (name, environment) in &self.environments {
            let spec = &environment.spec;
            if let Some(cluster) = &spec.cluster {
                look(Kind::Environment, name, Place::spec("cluster"), Kind::Cluster, cluster);
            }
            for (index, cluster) in spec.clusters.iter().flat_map(|clusters| &clusters.names).enumerate() {
                let place = Place::spec("clusters").field("names").item(index);
                look(Kind::Environment, name, place, Kind::Cluster, cluster);
            }
            for (wave, clusters) in spec.rollout.iter().flat_map(|rollout| rollout.waves.iter().enumerate()) {
                for (index, cluster) in clusters.names.iter().enumerate() {
                    let place = Place::spec("rollout").field("waves").item(wave).field("names").item(index);
                    look(Kind::Environment, name, place, Kind::Cluster, cluster);
                }
            }
        }
        for (name, app) in &self.apps {
            let spec = &app.spec;
            look(Kind::App, name, Place::spec("repository"), Kind::Repository, &spec.repository);
            for (field, kind, names) in [
                ("environments", Kind::Environment, &spec.environments),
                ("dependsOn", Kind::App, &spec.depends_on),
            ] {
                for (index, to) in names.iter().enumerate() {
                    look(Kind::App, name, Place::spec(field).item(index), kind, to);
                }
            }
        }
        findings
    }

    /// The environments of Apps in which not every target is there that should be.
    fn lacking(&self, targets: &[Target]) -> BTreeSet<(String, String)> {
        let mut lacking = BTreeSet::new();
        let mut resolver = Resolver { declared: self, findings: Vec::new() };
        for (name, app) in &self.apps {
            for environment in &app.spec.environments {
                let made = targets
                    .iter()
                    .filter(|target| target.app == *name && target.environment == *environment)
                    .count();
                let whole = self.environments.get(environment).is_some_and(|declared| {
                    let named = declared.spec.clusters.iter().flat_map(|clusters| &clusters.names);
                    let mut named = named.chain(&declared.spec.cluster);
                    named.all(|cluster| self.clusters.contains_key(cluster))
                        && resolver.clusters(declared).len() == made
                });
                if !whole {
                    lacking.insert((name.clone(), environment.clone()));
                }
            }
        }
        lacking
    }

    /// The first target whose App has to wait for one that lacks targets, and why it cannot be.
    fn held(&self, targets: &[Target], lacking: &BTreeSet<(String, String)>) -> Option<(usize, Finding)> {
        let environments = |app: &str| self.apps.get(app).map_or(&[][..], |app| &app.spec.environments[..]);
        let lacks = |app: &str, environment: &str| {
            lacking.contains(&(app.to_owned(), environment.to_owned())).then(|| environment.to_owned())
        };
        targets.iter().enumerate().find_map(|(at, target)| {
            let depends_on = self.apps.get(&target.app).map_or(&[][..], |app| &app.spec.depends_on[..]);
            let depends_on = depends_on.iter().enumerate().filter(|(_, first)| !self.may_be_made(first));
            depends_on.into_iter().find_map(|(index, first)| {
                let theirs = environments(first);
                let meet = theirs.iter().any(|one| environments(&target.app).contains(one));
                let lacking = if !self.apps.contains_key(first) {
                    Some(target.environment.clone())
                } else if meet {
                    lacks(first, &target.environment)
                } else {
                    theirs.iter().find_map(|environment| lacks(first, environment))
                };
                let message = format!("App `{first}` comes first, and cannot be used in {}", lacking?);
                let place = Place::spec("dependsOn").item(index);
                Some((at, Finding { kind: Kind::App, name: target.app.clone(), place, message }))
            })
        })
    }

    /// For each target, the targets that come first: those of the named apps in the same environment and on the same
    /// cluster. An app that shares no environment with this one is waited for wherever it is on the cluster: what is there
    /// once, such as definitions of kinds, comes before what each environment makes of it. An App that an AppSet may make one day
    /// is waited for under the name that its target would have.
    fn dependencies(&self, targets: &[Target]) -> Vec<Vec<String>> {
        let mut by_app: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
        for target in targets {
            by_app.entry(&target.app).or_default().push(target);
        }
        let first = |target: &Target, name: &String| -> Vec<String> {
            if self.may_be_made(name) {
                let where_to = target.name.strip_prefix(target.app.as_str()).unwrap_or_default();
                return vec![format!("{name}{where_to}")];
            }
            let environments =
                |app: &str| self.apps.get(app).map_or(&[][..], |app| &app.spec.environments[..]);
            let meet = environments(name).iter().any(|one| environments(&target.app).contains(one));
            let comes_first = |other: &&&Target| {
                other.cluster == target.cluster && (!meet || other.environment == target.environment)
            };
            let candidates = by_app.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            candidates.iter().filter(comes_first).map(|other| other.name.clone()).collect()
        };
        let of = |target: &Target| {
            let names = self.apps.get(&target.app).map_or(&[][..], |app| &app.spec.depends_on[..]);
            names.iter().flat_map(|name| first(target, name)).collect()
        };
        targets.iter().map(of).collect()
    }
}

fn field(name: &str) -> Step {
    Step::Field(name.to_owned())
}

pub(super) struct Resolver<'d> {
    pub(super) declared: &'d Declarations,
    pub(super) findings: Vec<Finding>,
}

impl<'d> Resolver<'d> {
    fn add<S: Spec>(&mut self, object: &Declared<S>, place: Place, message: impl Into<String>) {
        let name = object.metadata.name.clone();
        let finding = Finding { kind: S::KIND, name, place, message: message.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Notes a reference to something that does not exist.
    fn reference<S: Spec>(&mut self, from: &Declared<S>, place: Place, kind: Kind, name: &str) {
        let declared = self.declared;
        let keys: Vec<&str> = match kind {
            Kind::Repository => declared.repositories.keys().map(String::as_str).collect(),
            Kind::Cluster => declared.clusters.keys().map(String::as_str).collect(),
            Kind::Environment => declared.environments.keys().map(String::as_str).collect(),
            Kind::App => declared.apps.keys().map(String::as_str).collect(),
            Kind::AppSet => declared.app_sets.keys().map(String::as_str).collect(),
        };
        if kind == Kind::App && declared.may_be_made(name) {
            return;
        }
        let broken = declared.known.contains(&(kind, name.to_owned()));
        if keys.contains(&name) || broken || declared.incomplete {
            return;
        }
        let near = suggestion(name, keys.iter().copied(), "none is declared");
        self.add(from, place, format!("there is no {kind} `{name}`{near}"));
    }

    /// Whether there are clusters whose labels are not known.
    fn has_broken_clusters(&self) -> bool {
        let known = self.declared.known.iter().filter(|(kind, _)| *kind == Kind::Cluster);
        known.into_iter().any(|(_, name)| !self.declared.clusters.contains_key(name))
    }

    /// The clusters of an environment that exist.
    pub(super) fn clusters(&mut self, environment: &'d Declared<EnvironmentSpec>) -> Vec<&'d str> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        if let Some(name) = &environment.spec.cluster {
            self.reference(environment, Place::spec("cluster"), Kind::Cluster, name);
            names.insert(name);
        }
        for (wave, selection) in
            environment.spec.rollout.iter().flat_map(|rollout| rollout.waves.iter().enumerate())
        {
            for (index, name) in selection.names.iter().enumerate() {
                let place = Place::spec("rollout").field("waves").item(wave).field("names").item(index);
                self.reference(environment, place, Kind::Cluster, name);
            }
        }
        if let Some(selection) = &environment.spec.clusters {
            for (index, name) in selection.names.iter().enumerate() {
                let place = Place::spec("clusters").field("names").item(index);
                self.reference(environment, place, Kind::Cluster, name);
                names.insert(name);
            }
            if let Some(selector) = &selection.selector {
                let fits = |cluster: &&Declared<ClusterSpec>| fits(selector, cluster);
                names.extend(self.declared.clusters.values().filter(fits).map(|c| c.metadata.name.as_str()));
                if names.is_empty() && !self.declared.incomplete && !self.has_broken_clusters() {
                    let place = Place::spec("clusters").field("selector");
                    self.add(environment, place, "no Cluster carries these labels");
                }
            }
        }
        names.into_iter().filter(|name| self.declared.clusters.contains_key(*name)).collect()
    }

    fn references(&mut self, app: &Declared<AppSpec>) {
        for (index, name) in app.spec.environments.iter().enumerate() {
            self.reference(app, Place::spec("environments").item(index), Kind::Environment, name);
        }
        for (index, name) in app.spec.depends_on.iter().enumerate() {
            self.reference(app, Place::spec("dependsOn").item(index), Kind::App, name);
        }
    }

    /// What an AppSet names as it is written: what has placeholders is looked for when they are filled in.
    fn references_of_set(&mut self, set: &Declared<AppSetSpec>) {
        for (place, one) in set.spec.ones() {
            if let Some(name) = one.repository() {
                self.reference(set, place.field("repository"), Kind::Repository, name);
            }
        }
        let (of_app, is_plain) = (&set.spec.template.spec, |name: &str| !name.contains('{'));
        if is_plain(&of_app.repository) {
            let place = Place::spec("repository").within_template();
            self.reference(set, place, Kind::Repository, &of_app.repository);
        }
        for (index, name) in of_app.environments.iter().enumerate().filter(|(_, name)| is_plain(name)) {
            let place = Place::spec("environments").item(index).within_template();
            self.reference(set, place, Kind::Environment, name);
        }
    }

    fn targets(
        &mut self,
        app: &'d Declared<AppSpec>,
        clusters: &BTreeMap<&str, Vec<&'d str>>,
    ) -> Vec<Target> {
        let declared = self.declared;
        let mut targets = Vec::new();
        for name in &app.spec.environments {
            let Some(environment) = declared.environments.get(name) else { continue };
            let clusters = clusters.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            for cluster in clusters {
                targets.extend(self.target(app, environment, cluster));
            }
        }
        targets
    }

    pub(super) fn target(
        &mut self,
        app: &Declared<AppSpec>,
        environment: &Declared<EnvironmentSpec>,
        cluster: &str,
    ) -> Option<Target> {
        let scope = |namespace| Scope { app, environment, cluster, namespace };
        let outer = environment.spec.namespace.as_deref();
        let namespace = match &app.spec.namespace {
            Some(template) => {
                let name = self.expand(app, &Place::spec("namespace"), template, &scope(outer))?;
                let mut findings = Findings::default();
                check_namespace(&name, Place::spec("namespace"), &mut findings);
                if let Some((place, message)) = findings.0.pop() {
                    self.add(app, place, message);
                }
                Some(name)
            }
            None => outer.map(str::to_owned),
        };
        let scope = scope(namespace.as_deref());
        let repository = self.expand(app, &Place::spec("repository"), &app.spec.repository, &scope);
        if let Some(repository) = &repository {
            self.reference(app, Place::spec("repository"), Kind::Repository, repository);
        }
        let reference = match &app.spec.reference {
            Some(reference) => self.own_reference(app, reference, repository.as_deref(), &scope)?,
            None => None,
        };
        let path = match &app.spec.path {
            Some(path) => self.path(app, &Place::spec("path"), path, &scope)?,
            None => String::new(),
        };
        let helm = match &app.spec.helm {
            Some(helm) => Some(self.helm(app, helm, &scope)?),
            None => None,
        };
        let spec = &app.spec;
        let mut sync = SyncPolicy::default().with(&environment.spec.sync).with(&spec.sync);
        sync.prune = spec.prune.unwrap_or(sync.prune);
        Some(Target {
            name: target_name(&app.metadata.name, environment, cluster),
            app: app.metadata.name.clone(),
            environment: environment.metadata.name.clone(),
            cluster: cluster.to_owned(),
            repository: repository?,
            reference,
            // Known when all targets are.
            depends_on: Vec::new(),
            rollout: self.rollout(environment, cluster),
            path,
            kustomized: helm.is_some() && spec.path.is_some(),
            helm,
            namespace,
            values: environment.spec.values.clone(),
            ignore: environment.spec.ignore.iter().chain(&spec.ignore).map(IgnoreSpec::rule).collect(),
            sync,
            substitute: spec.substitute,
            recurse: spec.recurse,
            recreate: spec.recreate,
            atomic: spec.atomic,
            load_restrictions: spec.kustomize.load_restrictions,
            retry: spec.retry,
            suspend: spec.suspend,
        })
    }

    /// The place of a cluster in the rollout of its environment.
    fn rollout(&self, environment: &Declared<EnvironmentSpec>, cluster: &str) -> Option<Rollout> {
        let rollout = environment.spec.rollout.as_ref()?;
        let declared = self.declared.clusters.get(cluster)?;
        let is_in = |wave: &ClusterSelection| {
            wave.names.iter().any(|name| name == cluster)
                || wave.selector.as_ref().is_some_and(|selector| fits(selector, declared))
        };
        let wave = rollout.waves.iter().position(is_in).unwrap_or(rollout.waves.len());
        Some(Rollout { wave, most: rollout.max_unavailable })
    }

    /// What of the repository an App is made from, with its placeholders filled in; nothing where that is what the Repository
    /// follows anyway.
    #[expect(clippy::option_option, reason = "nothing where it is wrong, which is noted")]
    fn own_reference(
        &mut self,
        app: &Declared<AppSpec>,
        written: &Reference,
        repository: Option<&str>,
        scope: &Scope<'_>,
    ) -> Option<Option<Reference>> {
        let (field, text) = written.parts();
        let place = Place::spec("ref").field(field);
        let reference = written.with(self.expand(app, &place, text, scope)?);
        if let Some(wrong) = reference.wrong() {
            self.add(app, place, wrong);
            return None;
        }
        let declared = repository.and_then(|name| self.declared.repositories.get(name));
        if let Some(declared) = declared.filter(|declared| declared.spec.worktree) {
            let name = &declared.metadata.name;
            let message = format!(
                "Repository `{name}` reads its working tree, which has no other commits: take `worktree` out there, or `ref` here"
            );
            self.add(app, Place::spec("ref"), message);
            return None;
        }
        let is_followed = declared.is_some_and(|one| one.spec.reference.as_ref() == Some(&reference));
        Some((!is_followed).then_some(reference))
    }

    /// A path in the repository, with its placeholders filled in.
    fn path(
        &mut self,
        app: &Declared<AppSpec>,
        place: &Place,
        text: &str,
        scope: &Scope<'_>,
    ) -> Option<String> {
        let path = self.expand(app, place, text, scope)?;
        if let Ok(path) = tree::join("", &path) {
            return Some(path);
        }
        let message = if path.starts_with('/') {
            format!("`{path}` is absolute: write the path from the repository's root, without the first `/`")
        } else {
            format!("`{path}` leaves the repository")
        };
        self.add(app, place.clone(), message);
        None
    }

    /// What a target renders of its App's chart.
    fn helm(&mut self, app: &Declared<AppSpec>, helm: &HelmSpec, scope: &Scope<'_>) -> Option<Helm> {
        let place = |field: &str| Place::spec("helm").field(field);
        let chart = match &helm.repository {
            None => Chart::InRepository(self.path(app, &place("chart"), &helm.chart, scope)?),
            Some(repository) => Chart::Elsewhere {
                repository: repository.clone(),
                name: self.expand(app, &place("chart"), &helm.chart, scope)?,
                version: self.expand(
                    app,
                    &place("version"),
                    helm.version.as_deref().unwrap_or_default(),
                    scope,
                )?,
            },
        };
        let release = helm.release_name.as_ref().unwrap_or(&app.metadata.name);
        let release = self.expand(app, &place("releaseName"), release, scope)?;
        let files = helm.values_files.iter().enumerate();
        let files: Vec<Option<String>> = files
            .map(|(index, file)| self.path(app, &place("valuesFiles").item(index), file, scope))
            .collect();
        let objects = helm.values_from.iter().enumerate();
        let objects: Vec<Option<ValuesFrom>> = objects
            .map(|(index, from)| {
                let place = place("valuesFrom").item(index).field("name");
                Some(ValuesFrom { name: self.expand(app, &place, &from.name, scope)?, ..from.clone() })
            })
            .collect();
        Some(Helm {
            chart,
            release,
            values_files: files.into_iter().collect::<Option<_>>()?,
            values: helm.values.clone(),
            values_from: objects.into_iter().collect::<Option<_>>()?,
            skip_crds: helm.skip_crds,
            skip_schema_validation: helm.skip_schema_validation,
            api_versions: helm.api_versions.clone(),
        })
    }

    /// Fills in the placeholders of a field of an app.
    fn expand(
        &mut self,
        app: &Declared<AppSpec>,
        place: &Place,
        text: &str,
        scope: &Scope<'_>,
    ) -> Option<String> {
        let error = match expand(text, |name| scope.value(name)) {
            Ok(filled) => return Some(filled),
            Err(error) => error,
        };
        let message = match error {
            TemplateError::Unknown(name) => {
                let known = scope.known();
                let near = suggestion(&name, known.iter().map(String::as_str), "");
                format!(
                    "unknown placeholder `{{{name}}}` in environment {}{near}",
                    scope.environment.metadata.name
                )
            }
            TemplateError::Open => "a `{` without its `}`: write `{{` for the brace itself".to_owned(),
            TemplateError::Close => "a `}` without its `{`: write `}}` for the brace itself".to_owned(),
        };
        self.add(app, place.clone(), message);
        None
    }

    /// Apps that wait for each other in a circle, each circle once.
    fn cycles(&mut self) {
        let declared = self.declared;
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for start in declared.apps.keys() {
            let mut path: Vec<&str> = Vec::new();
            self.visit(start, &mut path, &mut done);
        }
    }

    fn visit(&mut self, name: &'d str, path: &mut Vec<&'d str>, done: &mut BTreeSet<&'d str>) {
        let Some(app) = self.declared.apps.get(name) else { return };
        if done.contains(name) {
            return;
        }
        path.push(name);
        for (index, next) in app.spec.depends_on.iter().enumerate() {
            if let Some(from) = path.iter().position(|seen| *seen == next.as_str()) {
                let circle = [&path[from..], &[next.as_str()]].concat().join(" -> ");
                let message = format!("apps wait for each other in a circle: {circle}");
                self.add(app, Place::spec("dependsOn").item(index), message);
            } else {
                self.visit(next, path, done);
            }
        }
        path.pop();
        done.insert(name);
    }
}

/// `web@production`, or `web@production/eu-1` where the environment can have several clusters.
fn fits(selector: &LabelSelector, cluster: &Declared<ClusterSpec>) -> bool {
    selector.fits(&cluster.metadata.labels)
}

pub(super) fn target_name(app: &str, environment: &Declared<EnvironmentSpec>, cluster: &str) -> String {
    let environment_name = &environment.metadata.name;
    match environment.spec.clusters {
        Some(_) => format!("{app}@{environment_name}/{cluster}"),
        None => format!("{app}@{environment_name}"),
    }
}

/// What placeholders of an app can name.
struct Scope<'a> {
    app: &'a Declared<AppSpec>,
    environment: &'a Declared<EnvironmentSpec>,
    cluster: &'a str,
    namespace: Option<&'a str>,
}

impl Scope<'_> {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "app" => Some(self.app.metadata.name.clone()),
            "environment" => Some(self.environment.metadata.name.clone()),
            "cluster" => Some(self.cluster.to_owned()),
            "namespace" => self.namespace.map(str::to_owned),
            _ => {
                let mut parts = name.strip_prefix("values.")?.split('.');
                let first = self.environment.spec.values.get(parts.next()?)?;
                scalar(parts.try_fold(first, |value, part| value.get(part))?)
            }
        }
    }

    /// All names that have a value.
    fn known(&self) -> Vec<String> {
        let mut names: Vec<String> = ["app", "cluster", "environment"].map(str::to_owned).into();
        names.extend(self.namespace.map(|_| "namespace".to_owned()));
        for (key, value) in &self.environment.spec.values {
            scalars(&format!("values.{key}"), value, &mut names);
        }
        names
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn scalars(name: &str, value: &Value, names: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        fields.iter().for_each(|(key, value)| scalars(&format!("{name}.{key}"), value, names));
    } else if scalar(value).is_some() {
        names.push(name.to_owned());
    }
}
