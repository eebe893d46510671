//! Plans again what a recording led to, on clusters in memory that hold what was known then.
//!
//! Enters: a recording, and a moment in it. Leaves: for each target what a turn would decide, and how the target stood after the
//! turn that was recorded last. Nobody is asked for anything: no cluster, no repository.

use super::state::{self, Cluster, Known};
use super::veil;
use crate::config::{self, ClusterSpec, Config, Kubeconfig};
use crate::sandbox::{self, Running};
use crate::sync::secrets::Secrets;
use crate::sync::topology;
use crate::sync::view::{PlanOptions, Preview};
use crate::sync::{imagined, offline};
use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use trueup_model::ObjectId;
use trueup_plan::record::TargetStatus;

/// What came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// The moment.
    pub at: Timestamp,
    /// What a turn of each target would decide.
    pub previews: Vec<Preview>,
    /// How each target stood, by name.
    pub recorded: BTreeMap<String, TargetStatus>,
    /// What is not as it was.
    pub caveats: Vec<String>,
}

/// Plans the turns of `targets` (of all of them if there are none named) as they would have been at a moment, or at the end.
///
/// # Errors
/// The file is no recording; a configuration that this version does not read.
pub async fn replay(recording: &Path, at: Option<Timestamp>, targets: &[String]) -> Result<Replayed> {
    let mut known = state::read(recording, at)?;
    let folder = tempfile::tempdir().context("a folder for the time being")?;
    let mut caveats = Vec::new();
    if known.is_cut {
        caveats.push("the recording became too large; what came later is missing".to_owned());
    }
    let mut config = configuration(&mut known, folder.path(), &mut caveats)?;
    check_out(&known, &mut config, folder.path(), &mut caveats).await?;
    // The records are those of targets of another place now.
    let specs = topology::targets(&config);
    for cluster in known.clusters.values_mut() {
        cluster.objects.values_mut().for_each(|object| imagined::adopt(object, &specs));
    }
    let clusters = imagine(&known, &mut config, folder.path(), &mut caveats).await?;
    let mut previews = offline::plans_loaded(&config, targets, &PlanOptions::default()).await?;
    previews.iter_mut().for_each(leave_out_owners);
    drop(clusters);
    Ok(Replayed { at: known.at, previews, recorded: known.turns, caveats })
}

/// Who owns the fields of an object is lost where it is put into another cluster: what differs in nothing else is as it is wanted.
fn leave_out_owners(preview: &mut Preview) {
    let before = preview.steps.len();
    preview.steps.retain(|step| step.live.is_none() || step.live != step.wanted);
    preview.unchanged += before - preview.steps.len();
}

/// The configuration as it was, without what only leads to credentials, and to what Secrets said.
fn configuration(known: &mut Known, folder: &Path, caveats: &mut Vec<String>) -> Result<Config> {
    let mut text = String::new();
    for document in &mut known.configuration {
        veil::strip_credentials(document);
        if let Some(spec) = document["spec"].as_object_mut() {
            for field in ["secretRef", "credentials", "webhook"] {
                spec.remove(field);
            }
        }
        caveats.extend(leave_out_secret_values(document));
        if document["kind"] == "Cluster" {
            document["spec"] = json!({"kubeconfig": {"path": "/nowhere"}});
        }
        if document["kind"] == "Repository" {
            document["spec"]["suspend"] = false.into();
        }
        text.extend(["---\n", &document.to_string(), "\n"]);
    }
    let path = folder.join("trueup.yaml");
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    config::load(&path).map_err(|problems| anyhow!("the recorded configuration: {problems}"))
}

/// Of an App's chart, the values that it takes from Secrets: they are hashes in a recording.
fn leave_out_secret_values(document: &mut Value) -> Option<String> {
    let from = document.pointer_mut("/spec/helm/valuesFrom").and_then(Value::as_array_mut)?;
    let before = from.len();
    from.retain(|one| one["kind"] != "Secret");
    let is_less = from.len() < before;
    let app = document["metadata"]["name"].as_str().unwrap_or_default();
    is_less
        .then(|| format!("App {app}: the values that its chart takes from Secrets are not in the recording"))
}

/// Puts a folder with the files of the commit in place of each repository.
async fn check_out(
    known: &Known,
    config: &mut Config,
    folder: &Path,
    caveats: &mut Vec<String>,
) -> Result<()> {
    for (number, (name, repository)) in config.sources().iter().enumerate() {
        let nobody = Secrets::none("no cluster is asked here");
        let source = topology::source_of(name, repository, &nobody).await?;
        let (location, followed) = (source.location.to_string(), Some(source.reference.to_string()));
        let root = folder.join(format!("repository-{number}"));
        std::fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        let at = |followed| known.commits.get(&(location.clone(), followed));
        match at(followed).or_else(|| at(None)) {
            Some(revision) => {
                let files = known.files.get(&(location.clone(), revision.clone()));
                for (path, content) in files.into_iter().flatten() {
                    let Some(Some(text)) = known.contents.get(content) else {
                        if known.contents.contains_key(content) {
                            caveats.push(format!(
                                "{name}: {path} is not in the recording: a Secret may be in it"
                            ));
                        }
                        continue;
                    };
                    let file = root.join(path);
                    let parent = file.parent().unwrap_or(&root);
                    std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
                    std::fs::write(&file, text).with_context(|| file.display().to_string())?;
                }
            }
            None => caveats.push(format!("repository {name} was not read by then")),
        }
        let root = root.to_str().context("the temporary folder's name is not UTF-8")?;
        if let Some(declared) = config.repositories.get(config::repository_of(name)) {
            let spec = config::RepositorySpec { worktree: true, ..config::RepositorySpec::local(root) };
            let declared = config::Declared { spec, ..declared.clone() };
            config.repositories.insert(name.clone(), declared);
        }
    }
    Ok(())
}

/// Puts a cluster in memory in place of each, with the objects that were known.
async fn imagine(
    known: &Known,
    config: &mut Config,
    folder: &Path,
    caveats: &mut Vec<String>,
) -> Result<Vec<Running>> {
    let mut clusters = Vec::new();
    for (name, declared) in &mut config.clusters {
        let path = folder.join(format!("cluster-{}.kubeconfig", clusters.len()));
        let running = sandbox::serve(&path).await?;
        match known.clusters.get(name) {
            Some(cluster) => fill(name, cluster, &running, caveats),
            None => caveats.push(format!("cluster {name} was not reached by then")),
        }
        clusters.push(running);
        let path = Some(path.to_str().context("the temporary folder's name is not UTF-8")?.to_owned());
        declared.spec =
            ClusterSpec { kubeconfig: Some(Kubeconfig { path, context: None }), ..ClusterSpec::default() };
    }
    Ok(clusters)
}

fn fill(name: &str, cluster: &Cluster, running: &Running, caveats: &mut Vec<String>) {
    let mut objects: Vec<&Value> = cluster.objects.values().collect();
    let definitions = definitions(cluster);
    objects.extend(&definitions);
    objects.sort_by_key(|object| match object["kind"].as_str() {
        Some("CustomResourceDefinition") => 0,
        Some("Namespace") => 1,
        Some(_) | None => 2,
    });
    for object in objects {
        if let Err(refusal) = running.served.restore(object) {
            caveats.push(format!("{name}: {} is missing: {}", ObjectId::of(object), refusal.message));
        }
    }
}

/// Definitions of the kinds that the cluster served and whose own definition nobody read: they take anything.
fn definitions(cluster: &Cluster) -> Vec<Value> {
    let known = trueup_sandbox::kinds::Kinds::built_in();
    let mut found = Vec::new();
    for group in &cluster.kinds {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() || known.iter().any(|kind| kind.group == name) {
            continue;
        }
        let mut kinds: BTreeMap<&str, (&Value, Vec<&str>)> = BTreeMap::new();
        for version in group["versions"].as_array().into_iter().flatten() {
            for resource in version["resources"].as_array().into_iter().flatten() {
                let plural = resource["resource"].as_str().unwrap_or_default();
                let entry = kinds.entry(plural).or_insert((resource, Vec::new()));
                entry.1.extend(version["version"].as_str());
            }
        }
        for (plural, (resource, versions)) in kinds {
            let name_of_definition = format!("{plural}.{name}");
            let is_known =
                |id: &ObjectId| id.kind == "CustomResourceDefinition" && id.name == name_of_definition;
            if cluster.objects.keys().any(is_known) {
                continue;
            }
            let version = |(number, version): (usize, &&str)| {
                json!({"name": version, "served": true, "storage": number == 0,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
            };
            let versions: Vec<Value> = versions.iter().enumerate().map(version).collect();
            found.push(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": name_of_definition},
                "spec": {"group": name, "scope": resource["scope"], "versions": versions,
                    "names": {"plural": plural, "singular": resource["singularResource"], "kind": resource["responseKind"]["kind"]}}}));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_rendered_without_the_values_of_secrets_and_that_is_said() {
        let config_map = json!({"kind": "ConfigMap", "name": "c"});
        let from = json!([{"kind": "Secret", "name": "s"}, config_map]);
        let mut app = json!({"metadata": {"name": "web"}, "spec": {"helm": {"valuesFrom": from}}});
        let caveat = leave_out_secret_values(&mut app).unwrap();
        assert!(caveat.starts_with("App web: "), "{caveat}");
        assert_eq!(app["spec"]["helm"]["valuesFrom"], json!([config_map]));
        assert_eq!(leave_out_secret_values(&mut app), None);
        assert_eq!(leave_out_secret_values(&mut json!({"spec": {}})), None);
    }
}
