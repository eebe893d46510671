//! Charts of kustomizations, rendered as the real kustomize and the real Helm do: `charts` keeps a tree for each case, with their
//! answer, which `differential` holds to them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

#[path = "differential/case.rs"]
mod case;

use case::{Case, Files, ROOT};
use std::path::Path;
use std::sync::Arc;
use trueup_helm::{
    Chart, HookEvent, KubeVersion, Options as Rendering, Release, Values, merge_values, read_values,
    release_name,
};
use trueup_kustomize::{
    Failure, Inflated, Inflation, Needed, Options, Parsed, ReleaseName, Remote, Remotes, Uninflated,
    build_with_charts,
};
use trueup_model::{Manifest, MemoryTree, Tree, yaml};

/// Renders with the library that Helm is here.
fn inflate(inflation: &Inflation<'_>) -> Result<Vec<Inflated>, Uninflated> {
    made(inflation).map_err(|error| Uninflated::Refused(error.to_string()))
}

fn made(inflation: &Inflation<'_>) -> Result<Vec<Inflated>, Box<dyn std::error::Error>> {
    let chart = Chart::from_tree(inflation.tree, inflation.path)?;
    let mut values = Values::new();
    for text in &inflation.values {
        merge_values(&mut values, read_values(text)?);
    }
    let namespace = if inflation.namespace.is_empty() { "default" } else { inflation.namespace };
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(1));
    let mut options = Rendering::new(Release::install("", namespace), jiff::Timestamp::UNIX_EPOCH, random);
    if !inflation.kube_version.is_empty() {
        options.capabilities.kube_version = KubeVersion::parse(inflation.kube_version)?;
    }
    let known = options.capabilities.api_versions.iter().chain(inflation.api_versions);
    options.capabilities.api_versions = known.cloned().collect();
    options.release.name = match inflation.release {
        ReleaseName::Given(name) => name.to_owned(),
        ReleaseName::Template(template) => release_name(template, &options)?,
    };
    let made = trueup_helm::render(&chart, &values, &options)?;
    let crds = made.crds.into_iter().filter(|_| inflation.include_crds);
    let crds = crds.map(|crd| Inflated { template: crd.file, text: crd.text });
    let hooks = made.hooks.into_iter().filter(|hook| {
        let is_test = hook.events.contains(&HookEvent::Test);
        !(inflation.skip_hooks || inflation.skip_tests && is_test)
    });
    let manifests = made.manifests.into_iter().chain(hooks.map(|hook| hook.manifest));
    let manifests = manifests.map(|one| Inflated { template: one.template, text: one.text });
    Ok(crds.chain(manifests).collect())
}

fn build(files: &Files, remotes: &Remotes) -> Result<Vec<Manifest>, Failure> {
    let tree: MemoryTree = files.iter().collect();
    build_with_charts(&tree, ROOT, &Options::default(), &Parsed::default(), remotes, &inflate)
}

fn printed(manifests: &[Manifest]) -> String {
    let texts: Vec<String> = manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value)).collect();
    texts.join("---\n")
}

fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, Case::read(&std::fs::read_to_string(&path).unwrap()))
    };
    let mut cases: Vec<_> = entries.map(read).collect();
    cases.sort_by(|(one, _), (other, _)| one.cmp(other));
    cases
}

#[test]
fn charts_are_rendered_or_refused_as_kustomize_and_helm_do() {
    let cases = cases();
    assert!(cases.len() > 30, "there are only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let ours = build(&case.files, &Remotes::default()).map(|manifests| printed(&manifests));
        let why = case.why.trim();
        match (ours, case.answer.as_ref().unwrap()) {
            (Ok(ours), Ok(wanted)) if ours == *wanted => {}
            (Err(_), Err(_)) => {}
            (Ok(ours), Ok(wanted)) => {
                wrong.push(format!("{name}: {why}\n--- wanted\n{wanted}\n--- got\n{ours}"));
            }
            (Ok(ours), Err(error)) => {
                wrong.push(format!("{name}: {why}\nnot refused; kustomize says {error}\n--- got\n{ours}"));
            }
            (Err(failure), Ok(_)) => wrong.push(format!("{name}: {why}\nrefused: {failure:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases are wrong:\n\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n\n")
    );
}

/// What is wrong with a case, as it is told.
fn refusal(name: &str) -> String {
    let (_, case) = cases().into_iter().find(|(known, _)| known == name).unwrap();
    match build(&case.files, &Remotes::default()) {
        Err(Failure::Errors(errors)) => errors.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_chart_names_its_entry_and_what_to_do() {
    for (name, expected) in [
        (
            "no-chart",
            "top/kustomization.yaml:2: helmCharts[0]: there is no chart top/charts/web, and no repo that it could come from",
        ),
        (
            "release-name-twice",
            "top/kustomization.yaml:2: helmCharts[0].nameTemplate: and releaseName exclude each other; keep one of them",
        ),
        (
            "values-merge-of-no-such-kind",
            "top/kustomization.yaml:3: helmCharts[0].valuesMerge: \"mix\" must be merge, override or replace",
        ),
        (
            "values-that-do-not-fit",
            "top/kustomization.yaml:2: helmCharts[0]: the values do not fit each other at replicas: the object has a single value, the patch a mapping",
        ),
        (
            "a-home-outside",
            "top/kustomization.yaml:3: helmCharts[0]: charts/web/values.yaml is not in or below top; move it there, make its folder a base, or allow it with load restrictions none",
        ),
    ] {
        assert_eq!(refusal(name), expected, "{name}");
    }
}

#[test]
fn an_object_is_from_the_template_that_made_it() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "a-chart-with-charts").unwrap();
    let manifests = build(&case.files, &Remotes::default()).unwrap();
    let origins: Vec<String> =
        manifests.iter().map(|manifest| format!("{} {}", manifest.name(), manifest.origin)).collect();
    assert_eq!(
        origins,
        [
            "shop-settings top/charts/web/templates/settings.yaml",
            "shop-cache top/charts/web/charts/cache/templates/c.yaml",
            "shop-web top/charts/web/templates/deployment.yaml",
        ]
    );
}

#[test]
fn a_chart_that_is_not_there_is_asked_for_and_makes_the_same() {
    let (_, case) = cases().into_iter().find(|(name, _)| name == "a-chart-that-was-pulled").unwrap();
    let (chart, files): (Files, Files) =
        case.files.into_iter().partition(|(path, _)| path.starts_with("top/charts/"));
    let remote = Remote::Chart {
        repository: "https://charts.example.com".to_owned(),
        name: "web".to_owned(),
        version: "1.2.3".to_owned(),
    };
    assert_eq!(remote.to_string(), "https://charts.example.com/web@1.2.3");
    let needed = Needed { remote: remote.clone(), timeout: None };
    assert_eq!(build(&files, &Remotes::default()), Err(Failure::Missing([needed].into())));

    let below = |(path, text): (&String, &String)| {
        (path.strip_prefix("top/charts/web-1.2.3/web/").unwrap().to_owned(), text.clone())
    };
    let tree: MemoryTree = chart.iter().map(below).collect();
    let remotes = Remotes([(remote.clone(), Ok(Arc::new(tree) as Arc<dyn Tree>))].into());
    let manifests = build(&files, &remotes).unwrap();
    assert_eq!(printed(&manifests), *case.answer.unwrap().as_ref().unwrap());
    assert_eq!(
        manifests[0].origin.to_string(),
        "https://charts.example.com/web@1.2.3//templates/settings.yaml"
    );

    let away = Remotes([(remote, Err("it is away".to_owned()))].into());
    let why = match build(&files, &away) {
        Err(Failure::Errors(errors)) => errors.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        why,
        "top/kustomization.yaml:2: helmCharts[0]: https://charts.example.com/web@1.2.3 cannot be read: it is away"
    );
}
