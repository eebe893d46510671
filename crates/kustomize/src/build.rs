//! One build: from the top folder through its bases and components to the list that is printed.
//!
//! Errors are collected, not thrown: what can still be read is read, so that all problems of a tree are
//! reported together. Transformers run only over what was read without a problem.

use crate::charts;
use crate::config::{self, Config};
use crate::error::{Error, Errors, Place};
use crate::fields::node_of;
use crate::generate;
use crate::kustomization::{Kind, Kustomization};
use crate::load::{FILE_NAMES, Folder, Found, Located, Reach, documents};
use crate::merge::schema::Schema;
use crate::model::{MapGenerator, Variable};
use crate::order;
use crate::provenance::{self, PatchLines, Recorder};
use crate::resmap::ResMap;
use crate::resource::{Behavior, Resource};
use crate::schema_choice::SchemaChoice;
use crate::spelled::Spellings;
use crate::steps::{By, Context, Step};
use crate::trace::{self, TraceNote, Wanted, Whereabouts};
use crate::transform::metadata;
use crate::transform::patch::Source;
use crate::{Needed, Options, Parsed, Reorder, bounds, crds, names, plugins, steps, variables};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use trueup_model::provenance::Provenance;
use trueup_model::yaml::{self, Node};
use trueup_model::{Manifest, Tree, Value};

use crate::fields::Text;

/// What a folder and everything below it amounts to.
#[derive(Default)]
pub(crate) struct Accumulator {
    pub(crate) resources: ResMap,
    pub(crate) config: Arc<Config>,
    pub(crate) variables: BTreeMap<String, Variable>,
}

/// A folder whose kustomization is being carried out.
pub(crate) struct Target<'t> {
    pub(crate) folder: &'t Folder<'t>,
    pub(crate) kustomization: Kustomization,
    /// The folder as origin notes show it; `None` when no notes are wanted.
    pub(crate) note: Option<Whereabouts>,
    /// The namespace of charts that name none, as the folders that led here have it.
    pub(crate) namespace_above: String,
}

impl Target<'_> {
    /// A place in the kustomization file.
    pub(crate) fn at(&self, line: usize) -> Place {
        Place::new(self.kustomization.file.clone(), line)
    }

    /// The namespace of charts that name none: this kustomization's, or else that of the nearest one above.
    fn namespace_of_charts(&self) -> &str {
        let own = self.kustomization.namespace.as_str();
        if own.is_empty() { &self.namespace_above } else { own }
    }

    /// A base or component of this one.
    fn below<'f>(
        &self,
        folder: &'f Folder<'f>,
        kustomization: Kustomization,
        note: Option<Whereabouts>,
    ) -> Target<'f> {
        Target { folder, kustomization, note, namespace_above: self.namespace_of_charts().to_owned() }
    }

    /// The note of a file that is named in this kustomization.
    fn file_note(&self, written: &str) -> Option<Rc<TraceNote>> {
        self.note.as_ref().map(|folder| Rc::new(TraceNote::File(folder.below(written))))
    }

    /// The note of a generator or transformer that a field of this kustomization stands for.
    pub(crate) fn builtin_note(&self, kind: &str) -> Option<Rc<TraceNote>> {
        self.note.as_ref().map(|folder| Rc::new(TraceNote::builtin(folder.below(self.file_name()), kind)))
    }

    fn file_name(&self) -> &str {
        self.kustomization.file.rsplit('/').next().unwrap_or_default()
    }
}

/// The state of one build.
#[derive(Default)]
pub(crate) struct Build {
    /// How many bases and components were entered.
    entered: usize,
    pub(crate) errors: Vec<Error>,
    schema: SchemaChoice,
    /// What other builds share with this one.
    parsed: Option<Parsed>,
    /// Where every field is written, where that is asked for.
    provenance: Option<Recorder>,
}

/// Builds the folder `root`; says which remotes it lacked, besides.
pub(crate) fn build(
    tree: &dyn Tree,
    root: &str,
    options: Options,
    parsed: Option<Parsed>,
    reach: Reach<'_>,
) -> (Result<Vec<Manifest>, Errors>, BTreeSet<Needed>) {
    let built = build_within(tree, root, options, parsed, &reach);
    (built, reach.into_missing())
}

fn build_within(
    tree: &dyn Tree,
    root: &str,
    options: Options,
    parsed: Option<Parsed>,
    reach: &Reach<'_>,
) -> Result<Vec<Manifest>, Errors> {
    let resources = resources(tree, root, options, Build { parsed, ..Build::default() }, reach)?;
    Ok(resources.into_list().into_iter().map(|resource| manifest(resource, reach)).collect())
}

fn manifest(resource: Resource, reach: &Reach<'_>) -> Manifest {
    let mut manifest = resource.into_manifest();
    if let Some(origin) = reach.origin(&manifest.origin) {
        manifest.origin = origin;
    }
    manifest
}

/// Manifests, each with the sources of its fields.
type Sourced = Vec<(Manifest, Provenance)>;

/// As [`build`], and for each field of each manifest where it is written.
pub(crate) fn build_with_provenance(
    tree: &dyn Tree,
    root: &str,
    options: Options,
    reach: Reach<'_>,
) -> (Result<Sourced, Errors>, BTreeSet<Needed>) {
    let build = Build { provenance: Some(Recorder::default()), ..Build::default() };
    let manifests = resources(tree, root, options, build, &reach).map(|resources| {
        let taken = resources.into_list().into_iter().map(|mut resource| {
            let sources = provenance::take(&mut resource);
            (manifest(resource, &reach), sources)
        });
        taken.collect()
    });
    (manifests, reach.into_missing())
}

fn resources(
    tree: &dyn Tree,
    root: &str,
    options: Options,
    mut build: Build,
    reach: &Reach<'_>,
) -> Result<ResMap, Errors> {
    let folder = Folder::top(tree, root, options.load_restrictions, reach)?;
    match build.run(&folder, options) {
        Some(resources) if build.errors.is_empty() => Ok(resources),
        Some(_) | None => {
            let mut errors = build.errors;
            errors.dedup();
            Err(Errors(errors))
        }
    }
}

impl Build {
    fn run(&mut self, folder: &Folder<'_>, options: Options) -> Option<ResMap> {
        let file = folder.kustomization().map_err(|error| self.errors.push(error)).ok()?;
        let kustomization = self.read(&file)?;
        self.schema.choose(folder, &kustomization, &mut self.errors);
        let wanted = self.wanted(&kustomization);
        let note = (!kustomization.build_metadata.is_empty()).then(Whereabouts::default);
        let target = Target { folder, kustomization, note, namespace_above: String::new() };
        let mut all = Accumulator::default();
        self.accumulate(&mut all, &target);
        if !self.errors.is_empty() {
            return None;
        }
        self.finish(&mut all, &target, options, wanted);
        Some(all.resources)
    }

    fn read(&mut self, file: &Located<'_>) -> Option<Kustomization> {
        match file.text() {
            Ok(text) => {
                if let Some(recorder) = &mut self.provenance {
                    recorder.add_file(&file.name, &text);
                }
                Kustomization::parse(&file.name, &text, &mut self.errors)
            }
            Err(message) => {
                self.errors.push(Error::new(&Place::new(file.name.clone(), 0), "", message));
                None
            }
        }
    }

    fn wanted(&mut self, kustomization: &Kustomization) -> Wanted {
        let mut wanted = Wanted::default();
        for option in &kustomization.build_metadata {
            match option.value.as_str() {
                "originAnnotations" => wanted.origins = true,
                "transformerAnnotations" => wanted.transformations = true,
                "managedByLabel" => {}
                other => self.errors.push(Error::new(
                    &Place::new(kustomization.file.clone(), option.line),
                    "buildMetadata",
                    format!("{other:?} must be originAnnotations, transformerAnnotations or managedByLabel"),
                )),
            }
        }
        wanted
    }

    /// What is done once, over the resources of all folders.
    fn finish(&mut self, all: &mut Accumulator, target: &Target<'_>, options: Options, wanted: Wanted) {
        self.settle(all);
        let kustomization = &target.kustomization;
        // What is sorted is put together anew, also what is not printed afterwards.
        let sorts = match &kustomization.sort_options {
            Some(options) => options.order == "legacy",
            None => options.reorder != Reorder::None,
        };
        let sorted = if sorts { all.resources.doubled() } else { None };
        self.drop_local(&mut all.resources);
        if let Some(id) = sorted.or_else(|| all.resources.doubled()) {
            let message = format!("two resources are called {id} in the end: give one another name");
            self.errors.push(Error::new(&kustomization.place("resources"), "", message));
        }
        match (&kustomization.sort_options, options.reorder) {
            (Some(options), _) => {
                if let Err(error) =
                    order::sort(&mut all.resources, options, &kustomization.place("sortOptions"))
                {
                    self.errors.push(error);
                }
            }
            (None, Reorder::Legacy | Reorder::Unspecified) => order::sort_default(&mut all.resources),
            (None, Reorder::None) => {}
        }
        if kustomization.build_metadata.iter().any(|option| option.value == "managedByLabel") {
            let label = BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())]);
            let fields = [config::FieldSpec::of_all("metadata/labels", true)];
            let place = kustomization.place("buildMetadata");
            metadata::add_entries(&mut all.resources, &label, &fields, &place, &mut self.errors);
        }
        let spellings = Spellings::new(target.folder);
        for mut resource in all.resources.contents_mut() {
            trace::finish(&mut resource, wanted, &spellings);
        }
        if self.provenance.is_some() {
            provenance::annotated(&mut all.resources, &kustomization.file, &kustomization.build_metadata);
        }
    }

    /// Gives hashes to names, brings references in line with names, and puts in vars.
    fn settle(&mut self, all: &mut Accumulator) {
        let keeps = self.provenance.is_some();
        steps::add_hashes(&mut all.resources, &mut self.errors);
        if keeps {
            provenance::hashed(&mut all.resources);
        }
        names::update(&mut all.resources, &all.config, &mut self.errors);
        if keeps {
            provenance::renamed(&mut all.resources, &all.config);
        }
        let vars = keeps.then(|| provenance::Vars::find(&all.resources, &all.variables));
        variables::resolve(all, &mut self.errors);
        if let Some(vars) = vars {
            vars.resolved(&mut all.resources);
        }
    }

    /// Takes away what is marked as configuration of the build itself.
    fn drop_local(&mut self, resources: &mut ResMap) {
        for resource in resources.contents_mut() {
            let checked = documents::check(&resource.value)
                .and_then(|()| bounds::check_depth(bounds::depth(&resource.value)));
            if let Err(message) = checked.and_then(|()| resource.check_names()) {
                let place = Place::new(resource.origin.path.clone(), resource.origin.line);
                self.errors.push(Error::new(&place, resource.original_id().to_string(), message));
            }
        }
        let is_local = |resource: &Resource| {
            resource.metadata_entry("annotations", LOCAL).is_some_and(|value| value != "false")
        };
        if resources.iter().any(is_local) {
            resources.retain(|resource| !is_local(resource));
        }
    }

    /// Carries out one kustomization on top of what is in `into`.
    fn accumulate(&mut self, into: &mut Accumulator, target: &Target<'_>) {
        let before = self.errors.len();
        let spellings = Spellings::new(target.folder);
        self.add_resources(into, target, &target.kustomization.resources, "resources");
        self.configure(into, target);
        self.generate(into, target, &spellings);
        self.add_components(into, target);
        let steps = steps::configure(self, target, &into.config);
        let plugins = self.plugin_resources(target, &target.kustomization.transformers, "transformers");
        let plugins = plugins::transformers(self, target, plugins);
        let validators = self.plugin_resources(target, &target.kustomization.validators, "validators");
        let validators = plugins::transformers(self, target, validators);
        if self.errors.len() > before {
            return;
        }
        for step in steps.iter().chain(&plugins) {
            self.run_step(step, &mut into.resources, &spellings);
        }
        if self.errors.len() == before {
            self.validate(&validators, into, &spellings);
        }
        if self.errors.len() == before {
            variables::declare(into, &target.kustomization, &mut self.errors);
        }
    }

    fn run_step(&mut self, step: &Step, resources: &mut ResMap, spellings: &Spellings<'_>) {
        let schema = self.schema.current();
        let context = Context::new(&schema, spellings);
        match &self.provenance {
            None => step.run(resources, &context, &mut self.errors),
            Some(recorder) => recorder.run(step, resources, &context, &mut self.errors),
        }
        if context.has_merged() {
            self.schema.was_used();
        }
        step.leave_notes(resources);
    }

    /// The lines of a patch, where they are asked for.
    pub(crate) fn lines_of(&self, patch: &Source<'_>) -> Option<PatchLines> {
        self.provenance.as_ref().map(|recorder| recorder.lines_of(patch.text, &patch.at))
    }

    /// The configuration of a generator or transformer as a node: with the lines of its file, where those are kept.
    pub(crate) fn node_of(&self, config: &Resource) -> Node {
        let written = self.provenance.as_ref().and_then(|recorder| recorder.configuration(config));
        written.cloned().unwrap_or_else(|| node_of(&config.value, config.origin.line))
    }

    /// Begins the provenance of a generated object that has none yet.
    pub(crate) fn begin_made(&self, resource: &mut Resource, config: &Resource) {
        if self.provenance.is_some() && resource.kept.is_none() {
            provenance::begin_made(resource, &By::Plugin(config.kind().into()));
        }
    }

    /// Makes the object that a generator describes.
    pub(crate) fn generate_map(
        &mut self,
        target: &Target<'_>,
        generator: &MapGenerator,
        file: &str,
        by: &By,
    ) -> Result<Resource, Vec<Error>> {
        let mut resource = generate::generate(generator, target.folder, file)?;
        if let Some(recorder) = &mut self.provenance {
            recorder.begin_generated(&mut resource, generator, by, target.folder);
        }
        Ok(resource)
    }

    /// The schema that merges go by now.
    pub(crate) fn merge_schema(&self) -> Arc<Schema> {
        self.schema.current()
    }

    /// Whether it is kept where every field is written.
    pub(crate) fn keeps_provenance(&self) -> bool {
        self.provenance.is_some()
    }

    /// Validators must leave everything as it is.
    fn validate(&mut self, validators: &[Step], into: &mut Accumulator, spellings: &Spellings<'_>) {
        for validator in validators {
            let before: Vec<Value> =
                into.resources.iter().map(|resource| Value::clone(&resource.value)).collect();
            let schema = self.schema.current();
            validator.run(&mut into.resources, &Context::new(&schema, spellings), &mut self.errors);
            let same = before.len() == into.resources.len()
                && before.iter().zip(into.resources.iter()).all(|(before, after)| *before == after.value);
            let message = if same {
                // What was before and what is after are brought together by their names.
                let doubled = into.resources.doubled();
                doubled
                    .map(|id| format!("two resources are called {id}, and a validator needs a name for each"))
            } else {
                Some("a validator must not change resources".to_owned())
            };
            let complaint = message.map(|message| Error::new(&validator.place, "validators", message));
            self.errors.extend(complaint);
        }
    }

    fn configure(&mut self, into: &mut Accumulator, target: &Target<'_>) {
        let kustomization = &target.kustomization;
        let mut config = config::defaults();
        for path in &kustomization.configurations {
            let place = target.at(path.line);
            let Some((file, text)) = self.text_of(target, path, "configurations") else { continue };
            match yaml::parse(&text) {
                Err(error) => {
                    self.errors.push(Error::new(&Place::new(file, error.at.line), "", error.message));
                }
                Ok(nodes) => {
                    let read = nodes.first().map(|node| Config::read(&file, node, &mut self.errors));
                    let merged =
                        config::merge_shared(&mut config, &Arc::new(read.unwrap_or_default()), &place);
                    self.errors.extend(merged.err());
                }
            }
        }
        let place = kustomization.place("configurations");
        self.errors.extend(config::merge_shared(&mut into.config, &config, &place).err());
        for path in &kustomization.crds {
            let Some((file, text)) = self.text_of(target, path, "crds") else { continue };
            match crds::read(&file, &text) {
                Ok(config) => {
                    let merged =
                        config::merge_shared(&mut into.config, &Arc::new(config), &target.at(path.line));
                    self.errors.extend(merged.err());
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    /// The name and text of a file named in the kustomization.
    pub(crate) fn text_of(
        &mut self,
        target: &Target<'_>,
        path: &Text,
        field: &str,
    ) -> Option<(String, String)> {
        let read = target.folder.file(&path.value).and_then(|file| file.text().map(|text| (file.name, text)));
        if let (Some(recorder), Ok((file, text))) = (&mut self.provenance, &read) {
            recorder.add_file(file, text);
        }
        read.map_err(|message| self.errors.push(Error::new(&target.at(path.line), field, message))).ok()
    }

    fn generate(&mut self, into: &mut Accumulator, target: &Target<'_>, spellings: &Spellings<'_>) {
        let kustomization = &target.kustomization;
        let mut generated = Vec::new();
        for (generators, field, kind) in [
            (&kustomization.config_map_generator, "configMapGenerator", "ConfigMapGenerator"),
            (&kustomization.secret_generator, "secretGenerator", "SecretGenerator"),
        ] {
            for generator in generators {
                match self.generate_map(target, generator, &kustomization.file, &By::Field(field)) {
                    Ok(mut resource) => {
                        resource.source = target.builtin_note(kind);
                        generated.push(resource);
                    }
                    Err(errors) => self.errors.extend(errors),
                }
            }
        }
        for chart in &kustomization.helm_charts {
            let at = target.at(0);
            let namespace = target.namespace_of_charts();
            match self.inflate(target, chart, namespace, &at, &By::Field("helmCharts")) {
                Ok(resources) => generated.extend(resources.into_iter().map(|mut resource| {
                    resource.source = target.builtin_note(charts::GENERATOR);
                    resource
                })),
                Err(errors) => self.errors.extend(errors),
            }
        }
        let plugins = self.plugin_resources(target, &kustomization.generators, "generators");
        generated.extend(plugins::generate(self, target, plugins));
        for resource in generated {
            self.absorb(&mut into.resources, resource, spellings);
        }
    }

    /// Adds a generated resource, or merges it with the one that it is for.
    fn absorb(&mut self, resources: &mut ResMap, resource: Resource, spellings: &Spellings<'_>) {
        let place = Place::new(resource.origin.path.clone(), resource.origin.line);
        let id = resource.id().to_string();
        let mut fail = |message: String| self.errors.push(Error::new(&place, id.clone(), message));
        let found = resources.with_any_id(&resource.id());
        match (found.as_slice(), resource.behavior) {
            ([], Behavior::Merge | Behavior::Replace) => {
                fail("there is nothing of this name to merge with or replace; correct the name or the behavior".to_owned());
            }
            ([], Behavior::Unspecified | Behavior::Create) => self.append(resources, resource),
            ([position], Behavior::Merge | Behavior::Replace) => {
                match generate::absorb(resources.get(*position), resource, spellings) {
                    Ok(merged) if merged.id() != resources.get(*position).id() => {
                        fail(format!(
                            "the one to merge with or replace is {} by now",
                            resources.get(*position).id()
                        ));
                    }
                    Ok(mut merged) => {
                        provenance::absorbed(resources.get(*position), &mut merged);
                        resources.replace(*position, merged);
                    }
                    Err(message) => fail(message),
                }
            }
            ([position], Behavior::Unspecified | Behavior::Create) => {
                let other = resources.get(*position).origin.to_string();
                fail(format!("{other} has the same name; set behavior to merge or replace, or rename one"));
            }
            (several, _) => fail(format!("{} resources have this name", several.len())),
        }
    }

    fn append(&mut self, resources: &mut ResMap, resource: Resource) {
        if let Err(refused) = resources.append(resource) {
            let (resource, position) = *refused;
            let place = Place::new(resource.origin.path.clone(), resource.origin.line);
            let other = &resources.get(position).origin;
            self.errors.push(Error::new(
                &place,
                resource.id().to_string(),
                format!("is there already, from {other}; remove one or give them different names"),
            ));
        }
    }

    fn add_resources(&mut self, into: &mut Accumulator, target: &Target<'_>, paths: &[Text], field: &str) {
        for path in paths {
            if self.errors.len() >= MAX_ERRORS {
                return;
            }
            let fail = |message: String| Error::new(&target.at(path.line), field, message);
            match target.folder.find(&path.value) {
                Err(message) => self.errors.push(fail(message)),
                Ok(Found::Folder(root)) => match hidden_entries(&path.value, &root.name) {
                    Some(message) => self.errors.push(fail(message)),
                    None => self.add_folder(into, target, path, root, field),
                },
                Ok(Found::File(file)) => match target.folder.allowed(file) {
                    Err(message) => self.errors.push(fail(message)),
                    Ok(file) => match self.resources_in(&file) {
                        Err(message) => self.errors.push(fail(message)),
                        Ok(Err(_)) if is_kustomization_file(&path.value) => {
                            let message = format!("{} is a kustomization; name its folder", path.value);
                            self.errors.push(fail(message));
                        }
                        Ok(Err(errors)) => self.errors.extend(errors),
                        Ok(Ok(resources)) => self.add_file(into, target, &path.value, resources),
                    },
                },
            }
        }
    }

    fn add_file(
        &mut self,
        into: &mut Accumulator,
        target: &Target<'_>,
        written: &str,
        mut resources: Vec<Resource>,
    ) {
        if let Some(recorder) = &mut self.provenance {
            recorder.begin(target.folder, &mut resources);
        }
        let note = target.file_note(written);
        for mut resource in resources {
            resource.source.clone_from(&note);
            self.schema.is_asked_for(&resource);
            self.append(&mut into.resources, resource);
        }
    }

    /// The resources of a file: why it cannot be read, or what is wrong in it.
    fn resources_in(&self, file: &Located<'_>) -> Result<Result<Vec<Resource>, Vec<Error>>, String> {
        let at = Place::new(file.name.clone(), 0);
        let Some((parsed, id)) = self.parsed.as_ref().zip(file.content_id()?) else {
            return Ok(documents::resources(&file.text()?, &at));
        };
        let mut unread = None;
        let documents = parsed.documents(id, || match file.text() {
            Ok(text) => documents::parse(&text, &at),
            Err(message) => {
                unread = Some(message);
                Err(Vec::new())
            }
        });
        match unread {
            Some(message) => Err(message),
            None => Ok(documents.and_then(|documents| documents::resources_of(documents, &at))),
        }
    }

    /// Adds a base.
    fn add_folder(
        &mut self,
        into: &mut Accumulator,
        target: &Target<'_>,
        path: &Text,
        root: Located<'_>,
        field: &str,
    ) {
        let Some(base) = self.enter(target, path, root, field, Kind::Kustomization) else { return };
        let (folder, kustomization) = base;
        let before = self.errors.len();
        let note = target.note.as_ref().map(|note| note.below(&path.value));
        let mut all = Accumulator::default();
        self.accumulate(&mut all, &target.below(&folder, kustomization, note));
        if self.errors.len() > before {
            return;
        }
        for resource in all.resources.into_list() {
            self.append(&mut into.resources, resource);
        }
        let place = target.at(path.line);
        self.errors.extend(config::merge_shared(&mut into.config, &all.config, &place).err());
        for variable in all.variables.into_values() {
            variables::add(&mut into.variables, variable, &mut self.errors);
        }
    }

    fn add_components(&mut self, into: &mut Accumulator, target: &Target<'_>) {
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for path in &target.kustomization.components {
            let times = named.entry(path.value.as_str()).or_default();
            *times += 1;
            if *times > MAX_APPLIED {
                let message = format!("names {} more than {MAX_APPLIED} times; once is enough", path.value);
                self.errors.push(Error::new(&target.at(path.line), "components", message));
                return;
            }
            let root = match target.folder.find(&path.value) {
                Ok(Found::Folder(root)) => root,
                Ok(Found::File(file)) => {
                    let message = format!(
                        "{} is a file, and a component is a folder with a kustomization of kind Component: name the folder, or move the file to resources",
                        file.name
                    );
                    self.errors.push(Error::new(&target.at(path.line), "components", message));
                    continue;
                }
                Err(message) => {
                    self.errors.push(Error::new(&target.at(path.line), "components", message));
                    continue;
                }
            };
            let component = self.enter(target, path, root, "components", Kind::Component);
            if let Some((folder, kustomization)) = component {
                let note = target.note.as_ref().map(|note| note.below(&path.value));
                self.accumulate(into, &target.below(&folder, kustomization, note));
                if let Some(id) = into.resources.doubled() {
                    let message = format!("two resources are called {id} after {}", path.value);
                    self.errors.push(Error::new(&target.at(path.line), "components", message));
                }
                // kustomize starts anew with what a component leaves; a field of one kind covers the same of all then.
                let config = std::mem::take(&mut into.config);
                let place = target.at(path.line);
                self.errors.extend(config::merge_shared(&mut into.config, &config, &place).err());
            }
        }
    }

    /// Reads the kustomization of a base or component.
    fn enter<'t>(
        &mut self,
        target: &'t Target<'_>,
        path: &Text,
        root: Located<'t>,
        field: &str,
        wanted: Kind,
    ) -> Option<(Folder<'t>, Kustomization)> {
        let (place, known) = (target.at(path.line), self.errors.len());
        self.entered += 1;
        if self.entered > MAX_ENTERED {
            if self.entered == MAX_ENTERED + 1 {
                let message = format!(
                    "the build enters more than {MAX_ENTERED} folders; bases that name bases twice double at each level"
                );
                self.errors.push(Error::new(&place, field, message));
            }
            return None;
        }
        let folder = match target.folder.enter(root) {
            Ok(folder) => folder,
            Err(message) => {
                self.errors.push(Error::new(&place, field, message));
                return None;
            }
        };
        let file = match folder.kustomization() {
            Ok(file) => file,
            Err(error) => {
                self.errors.push(Error::new(&place, field, format!("{}: {}", error.file, error.message)));
                return None;
            }
        };
        let kustomization = self.read(&file)?;
        let file = file.name;
        self.schema.choose(&folder, &kustomization, &mut self.errors);
        // A file that is wrong in itself is not judged by what could be read of it.
        if self.errors.len() > known {
            self.look_below(&folder, kustomization);
            return None;
        }
        if kustomization.kind != wanted {
            let message = match wanted {
                Kind::Component => format!("{file} is no Component; name it under resources"),
                Kind::Kustomization => format!("{file} is a Component; name it under components"),
            };
            self.errors.push(Error::new(&place, field, message));
            return None;
        }
        Some((folder, kustomization))
    }

    /// Finds what is wrong below a kustomization that is itself wrong.
    fn look_below(&mut self, folder: &Folder<'_>, kustomization: Kustomization) {
        self.accumulate(
            &mut Accumulator::default(),
            &Target { folder, kustomization, note: None, namespace_above: String::new() },
        );
    }

    /// The configurations of generators, transformers or validators: written inline, in files, in folders.
    fn plugin_resources(&mut self, target: &Target<'_>, entries: &[Text], field: &str) -> Vec<Resource> {
        if entries.is_empty() {
            return Vec::new();
        }
        let mut all = Accumulator::default();
        let mut paths = Vec::new();
        for entry in entries {
            if !entry.value.contains([':', '\n']) {
                paths.push(entry.clone());
                continue;
            }
            match documents::resources(&entry.value, &target.at(entry.line)) {
                Ok(resources) => {
                    for mut resource in resources {
                        resource.source = target.file_note(target.file_name());
                        self.append(&mut all.resources, resource);
                    }
                }
                Err(errors) if entry.value.contains('\n') => self.errors.extend(errors),
                Err(_) => paths.push(entry.clone()),
            }
        }
        self.add_resources(&mut all, target, &paths, field);
        all.resources.into_list()
    }
}

/// How often one kustomization may name the same component: each time, what has been renamed remembers one more name.
const MAX_APPLIED: usize = 100;

/// How many problems are told at once: what is named so often that more come up is not read again and again.
const MAX_ERRORS: usize = 200;

/// How often a build enters a folder at most; each base counts as often as it is named.
const MAX_ENTERED: usize = 100_000;

/// Resources that carry this annotation are for the build only.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// The label of `buildMetadata: [managedByLabel]`; its value names the version whose rules hold.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kustomize-v5.8.2");

fn is_kustomization_file(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| FILE_NAMES.contains(&name))
}

/// Two list entries that bad indentation made into one path. A URL leads elsewhere: a reference may hold two dots.
fn hidden_entries(path: &str, found: &str) -> Option<String> {
    let hidden = !found.contains("//") && path.split('/').any(|part| part != ".." && part.contains(".."));
    hidden.then(|| format!("{path:?} looks like two entries in one; check the indentation of the list"))
}
