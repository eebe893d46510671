//! What the agent of one Cluster has to know of a configuration.
//!
//! Enters: a whole configuration. Leaves: the part from which the targets of that Cluster follow, exactly as they follow from the whole, to be
//! sent to the agent and made a configuration again there. Of other Clusters it has the names and labels, which say where a target stands
//! in a rollout, and nothing that leads to them. Absent: values of Secrets; whatever only the receiving side of a webhook needs.

use super::{
    AppSetSpec, AppSpec, ClusterSpec, Config, Declarations, Declared, EnvironmentSpec, Kind, Metadata,
    RepositorySpec, SecretRef, Target,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use trueup_model::Origin;

/// The part of a configuration that concerns one Cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Excerpt {
    cluster: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<String>,
    repositories: BTreeMap<String, Declared<RepositorySpec>>,
    clusters: BTreeMap<String, Metadata>,
    environments: BTreeMap<String, Declared<EnvironmentSpec>>,
    apps: BTreeMap<String, Declared<AppSpec>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    app_sets: BTreeMap<String, Declared<AppSetSpec>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    broken: BTreeSet<(Kind, String)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    makers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<Target>,
}

impl Config {
    /// What the agent of a Cluster has to know.
    pub fn excerpt(&self, cluster: &str) -> Excerpt {
        let is_here = |target: &&Target| target.cluster == cluster;
        let leaving: Vec<Target> = self.leaving.iter().filter(is_here).cloned().collect();
        // With those that they wait for: where one of them is missing, a target is not made.
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = self.targets.iter().filter(is_here).map(|target| &*target.app).collect();
        let mut awaits_a_missing_one = false;
        while let Some(name) = open.pop() {
            let Some(app) = self.apps.get(name) else {
                awaits_a_missing_one = true;
                continue;
            };
            if names.insert(name) {
                open.extend(app.spec.depends_on.iter().map(String::as_str));
            }
        }
        let apps: BTreeMap<_, _> = pick(&self.apps, |name| names.contains(name));
        let environments: BTreeSet<&str> = apps
            .values()
            .flat_map(|app| &app.spec.environments)
            .chain(leaving.iter().map(|target| &target.environment))
            .map(String::as_str)
            .collect();
        let repositories: BTreeSet<&str> = apps
            .values()
            .map(|app| &app.spec.repository)
            // An App may name it by a placeholder.
            .chain(
                self.targets
                    .iter()
                    .filter(|target| names.contains(&*target.app))
                    .map(|target| &target.repository),
            )
            .chain(leaving.iter().map(|target| &target.repository))
            .map(String::as_str)
            .collect();
        let mut repositories = pick(&self.repositories, |name| repositories.contains(name));
        for repository in repositories.values_mut() {
            repository.spec.webhook = None;
        }
        Excerpt {
            cluster: cluster.to_owned(),
            home: self.home.clone(),
            repositories,
            clusters: self
                .clusters
                .iter()
                .map(|(name, cluster)| (name.clone(), cluster.metadata.clone()))
                .collect(),
            environments: pick(&self.environments, |name| environments.contains(name)),
            // Which Apps may still be made is a matter of those only.
            app_sets: if awaits_a_missing_one { self.app_sets.clone() } else { BTreeMap::new() },
            broken: self.broken.clone(),
            makers: self
                .makers
                .iter()
                .filter(|(app, _)| {
                    apps.contains_key(*app) || leaving.iter().any(|target| target.app == **app)
                })
                .map(|(app, set)| (app.clone(), set.clone()))
                .collect(),
            apps,
            leaving,
        }
    }
}

fn pick<S: Clone>(
    all: &BTreeMap<String, Declared<S>>,
    is_meant: impl Fn(&str) -> bool,
) -> BTreeMap<String, Declared<S>> {
    all.iter().filter(|(name, _)| is_meant(name)).map(|(name, one)| (name.clone(), one.clone())).collect()
}

impl Excerpt {
    /// The Cluster that it is about.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The Secrets that are needed for what it names.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let repositories = self.repositories.values().filter_map(|one| one.spec.secret_ref.as_ref());
        let charts = self.apps.values().filter_map(|app| app.spec.helm.as_ref()?.secret_ref.as_ref());
        repositories.chain(charts)
    }

    /// The configuration of the agent: the targets of its Cluster, which is the one that the agent runs in.
    pub fn into_config(self) -> Config {
        let here = |(name, metadata): (String, Metadata)| {
            let spec = ClusterSpec { in_cluster: true, ..ClusterSpec::default() };
            (name, Declared { metadata, spec, origin: Origin::default() })
        };
        let declarations = Declarations {
            repositories: self.repositories,
            clusters: self.clusters.into_iter().map(here).collect(),
            environments: self.environments,
            apps: self.apps,
            app_sets: self.app_sets,
            known: self.broken,
            incomplete: false,
        };
        // What does not fit was said where all of it is known.
        let (mut config, _) = declarations.resolve_usable();
        config.targets.retain(|target| target.cluster == self.cluster);
        config.clusters.retain(|name, _| *name == self.cluster);
        config.app_sets.clear();
        (config.leaving, config.makers, config.home) = (self.leaving, self.makers, self.home);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::custom::read;
    use serde_json::{Value, json};

    fn resource(kind: &str, name: &str, spec: &Value) -> Value {
        json!({"kind": kind, "metadata": {"name": name, "labels": {"name": name}}, "spec": spec})
    }

    fn config() -> Config {
        let git = json!({"url": "https://example.com/config.git", "secretRef": {"name": "git"},
            "webhook": {"secretRef": {"name": "hook"}}, "maxPrune": "10%"});
        let rollout = json!({"maxUnavailable": 1, "waves": [{"names": ["edge-2"]}]});
        let app = |path: &str, environments: &[&str], first: &[&str]| json!({"repository": "config", "path": path, "environments": environments, "dependsOn": first});
        let mut pinned = app("pinned", &["edge"], &[]);
        pinned["ref"] = json!({"branch": "next"});
        pinned["repository"] = "{values.from}".into();
        let resources = [
            resource("Repository", "config", &git),
            resource("Repository", "placed", &json!({"url": "https://example.com/placed.git"})),
            resource("Repository", "other", &json!({"url": "https://example.com/other.git"})),
            resource("Cluster", "edge-1", &json!({"agent": {"secretRef": {"name": "edge-1"}}})),
            resource("Cluster", "edge-2", &json!({"secretRef": {"name": "edge-2"}})),
            resource(
                "Environment",
                "edge",
                &json!({"clusters": {"names": ["edge-1", "edge-2"]}, "namespace": "shop", "rollout": rollout, "values": {"from": "placed"}}),
            ),
            resource("Environment", "second", &json!({"cluster": "edge-2", "namespace": "second"})),
            resource("App", "base", &app("base", &["edge"], &[])),
            resource("App", "pinned", &pinned),
            resource("App", "web", &app("web", &["edge", "second"], &["base"])),
            resource("App", "elsewhere", &app("elsewhere", &["second"], &[])),
        ];
        read(resources.into(), "ops", &[]).config
    }

    #[test]
    fn an_agent_comes_to_the_same_targets() {
        let config = config();
        let excerpt = config.excerpt("edge-1");
        let sent: Excerpt = serde_json::from_value(serde_json::to_value(&excerpt).unwrap()).unwrap();
        assert_eq!(sent, excerpt);
        let there = sent.into_config();
        let here: Vec<&Target> =
            config.targets().iter().filter(|target| target.cluster == "edge-1").collect();
        assert_eq!(there.targets().iter().collect::<Vec<_>>(), here);
        assert_eq!(
            here.iter().map(|target| &*target.name).collect::<Vec<_>>(),
            ["base@edge/edge-1", "pinned@edge/edge-1", "web@edge/edge-1"]
        );
        assert_eq!(there.sources()["placed@branch/next"].url, "https://example.com/placed.git");
        assert!(here.iter().all(|target| target.rollout.is_some_and(|place| place.wave == 1)));
        assert_eq!(there.home(), Some("ops"));
    }

    #[test]
    fn it_says_nothing_of_what_leads_elsewhere() {
        let excerpt = config().excerpt("edge-1");
        let text = serde_json::to_string(&excerpt).unwrap();
        for word in ["elsewhere", "other.git", "hook", r#""secretRef":{"name":"edge"#] {
            assert!(!text.contains(word), "{word} in {text}");
        }
        assert_eq!(excerpt.secrets().map(|secret| &*secret.name).collect::<Vec<_>>(), ["git"]);
    }
}
