//! Renderings of real charts, as `helm template` of Helm v4.3.1 printed them.
//!
//! The cases are no part of the repository: they are looked for beside it, or where `TRUEUP_CONFORMANCE` says.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use trueup_helm::{Chart, Crds, Detail, KubeVersion, Options, Release, Values, read_values, render};
use trueup_model::yaml::{self, Reading};

struct Case {
    name: String,
    chart: PathBuf,
    values: PathBuf,
    expected: PathBuf,
}

fn cases(root: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let Ok(charts) = std::fs::read_dir(root.join("helm")) else { return cases };
    let only = std::env::var("TRUEUP_CASE").unwrap_or_default();
    for folder in charts.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let Some(case) = name.strip_suffix(".expected.yaml") else { continue };
            let chart = folder.file_name().unwrap().to_string_lossy();
            cases.push(Case {
                name: format!("{chart}/{case}"),
                chart: folder.join("chart.tgz"),
                values: folder.join(format!("{case}.values.yaml")),
                expected: file.clone(),
            });
        }
    }
    cases.retain(|case| case.name.contains(&only));
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn root() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(beside, PathBuf::from)
}

fn rendered(case: &Case) -> Result<String, String> {
    let said = |error: &dyn std::error::Error| error.to_string();
    let chart =
        Chart::from_archive(&std::fs::read(&case.chart).unwrap(), "chart.tgz").map_err(|e| said(&e))?;
    let values = match std::fs::read_to_string(&case.values) {
        Ok(text) => read_values(&text).map_err(|e| said(&e))?,
        Err(_) => Values::new(),
    };
    let random = Arc::new(some_bytes());
    let mut options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random);
    options.capabilities.kube_version = KubeVersion::parse("1.36.3").unwrap();
    let mut text = None;
    for detail in [Detail::Whole, Detail::Head] {
        options.detail = detail;
        options.random = Arc::new(some_bytes());
        let rendered = render(&chart, &values, &options).map_err(|e| said(&e))?;
        let before = text.replace(rendered.to_text(Crds::Included));
        if before.is_some() && before != text {
            return Err("another text where less of it becomes values".to_owned());
        }
    }
    Ok(text.unwrap_or_default())
}

/// Bytes that are different enough for keys to be made of them.
fn some_bytes() -> impl Fn(&mut [u8]) {
    let state = AtomicU64::new(1);
    move |bytes: &mut [u8]| {
        for byte in bytes {
            let next = state.load(Relaxed).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.store(next, Relaxed);
            *byte = next.to_be_bytes()[0];
        }
    }
}

fn objects(text: &str) -> Result<Vec<serde_json::Value>, String> {
    let reading = Reading { doubled: yaml::Doubled::LastCounts, ..Reading::default() };
    let read = yaml::documents_as(text, reading).map_err(|error| error.to_string())?;
    Ok(read.into_iter().map(|document| document.value).collect())
}

/// The first line that differs.
fn difference(expected: &str, actual: &str) -> String {
    let (mut left, mut right) = (expected.lines(), actual.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (left.next(), right.next()) {
            (None, None) => return "no line differs".to_owned(),
            (left, right) if left == right => {}
            (left, right) => return format!("line {number}:\n    - {left:?}\n    + {right:?}"),
        }
    }
}

#[test]
fn real_charts_render_as_helm_renders_them() {
    let cases = cases(&root());
    if cases.is_empty() {
        println!("no cases below {}: nothing was compared", root().display());
        return;
    }
    let (mut same_bytes, mut failures) = (0, Vec::new());
    for case in &cases {
        let expected = std::fs::read_to_string(&case.expected).unwrap();
        match rendered(case) {
            Ok(actual) if actual == expected => same_bytes += 1,
            Ok(actual) if objects(&actual).is_ok() && objects(&actual) == objects(&expected) => {
                println!("{}: other bytes: {}", case.name, difference(&expected, &actual));
            }
            Ok(actual) => failures.push(format!("{}: {}", case.name, difference(&expected, &actual))),
            Err(error) => failures.push(format!("{}: {error}", case.name)),
        }
    }
    println!("{} cases, {same_bytes} with the same bytes, {} failed", cases.len(), failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
