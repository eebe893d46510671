//! For each field of what is built, the file and line that it comes from.

use expect_test::expect_file;
use recorded::Case;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use trueup_kustomize::{Failure, Options, Remotes, build, build_with_provenance};
use trueup_model::provenance::{Provenance, Source, annotated, is_leaf, pointer};
use trueup_model::{Manifest, MemoryTree, Segment, Value, yaml};

#[path = "differential/case.rs"]
#[allow(dead_code, reason = "the tests that ask kustomize use the rest")]
mod case;
#[path = "differential/grow/mod.rs"]
#[allow(dead_code, reason = "the differential test uses the rest")]
mod grow;
#[allow(dead_code, reason = "other tests use the rest")]
mod recorded;

/// The files below a folder, by their paths.
fn read(folder: &Path, above: &str, files: &mut BTreeMap<String, String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, std::fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

/// A case is a folder whose name is the rule: a `tree`, and what is expected of building it, or of `tree/overlay`.
#[test]
fn each_kind_of_source_is_found_as_its_case_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provenance");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let mut files = BTreeMap::new();
        read(&case.join("tree"), "", &mut files).unwrap();
        let tree: MemoryTree = files.iter().collect();
        let root = if case.join("tree/overlay").is_dir() { "overlay" } else { "" };
        let options = Options::default();
        let (built, plain) = match (
            build_with_provenance(&tree, root, &options, &Remotes::default(), None),
            build(&tree, root, &options),
        ) {
            (Ok(built), Ok(plain)) => (built, plain),
            (built, plain) => panic!("{}: {:?} {:?}", case.display(), built.err(), plain.err()),
        };
        assert_eq!(holds(&built, &plain, &files), None, "{}", case.display());
        assert_eq!(misplaced(&built, &files), None, "{}", case.display());
        let texts: Vec<String> =
            built.iter().map(|(manifest, sources)| annotated(&manifest.value, sources)).collect();
        expect_file![case.join("expected.yaml")].assert_eq(&texts.join("---\n"));
    }
}

/// What is wrong with the provenance of a build: values that differ from those of a build without it, leaves without one
/// source each, sources that are not in the tree, or a print that is read back as something else.
fn holds(
    built: &[(Manifest, Provenance)],
    plain: &[Manifest],
    lines: &BTreeMap<String, String>,
) -> Option<String> {
    if built.len() != plain.len() || built.iter().zip(plain).any(|((built, _), plain)| built != plain) {
        return Some("the build gives something else when it keeps provenance".to_owned());
    }
    built.iter().find_map(|(manifest, sources)| {
        let leaves = sources.leaves();
        let pointers: Vec<String> = leaves.iter().map(|(path, _)| pointer(path)).collect();
        if pointers != leaves_of(&manifest.value) {
            return Some(format!("{}: the leaves are not those of the object: {pointers:?}", manifest.id()));
        }
        let lost = leaves.iter().find_map(|(path, source)| lost(source, lines).map(|lost| (path, lost)));
        if let Some((path, lost)) = lost {
            return Some(format!("{} {}: there is no {lost}", manifest.id(), pointer(path)));
        }
        let printed = annotated(&manifest.value, sources);
        let read = yaml::parse(&printed).map(|nodes| nodes.iter().map(yaml::Node::to_value).collect());
        (read != Ok(vec![Value::clone(&manifest.value)]))
            .then(|| format!("read back as something else:\n{printed}"))
    })
}

fn lost(source: &Source, lines: &BTreeMap<String, String>) -> Option<String> {
    let is_there =
        lines.get(&*source.file).is_some_and(|text| (1..=text.lines().count().max(1)).contains(&source.line));
    if !is_there {
        return Some(source.to_string());
    }
    source.from.as_ref().and_then(|from| lost(from, lines))
}

/// A field of the build that is not written on the line that it is said to come from.
fn misplaced(built: &[(Manifest, Provenance)], texts: &BTreeMap<String, String>) -> Option<String> {
    built.iter().find_map(|(manifest, sources)| {
        let leaves = sources.leaves();
        let (path, source) = leaves.iter().find(|(path, source)| {
            is_elsewhere(path, manifest.value.pointer(&pointer(path)), source, &texts[&*source.file])
        })?;
        Some(format!("{} {} is not at {source}", manifest.id(), pointer(path)))
    })
}

/// Whether a line that a value is said to be written on does not hold it.
fn is_elsewhere(path: &[Segment], value: Option<&Value>, source: &Source, text: &str) -> bool {
    if source.by.as_ref().is_some_and(|by| !by.starts_with("patches")) {
        return false;
    }
    let line = text.lines().nth(source.line - 1).unwrap_or_default().to_lowercase();
    let written = match value {
        Some(Value::String(text)) => text.to_lowercase(),
        Some(other) => other.to_string(),
        None => return true,
    };
    // A text of several lines begins below its key, and what is copied is not written again.
    let key = path.last().and_then(Segment::as_field).unwrap_or_default().to_lowercase();
    let is_below = line.contains(&key) && (written.contains('\n') || line.contains("op: copy"));
    !line.contains(&written) && !is_below
}

fn leaves_of(value: &Value) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        value if is_leaf(value) => return vec![String::new()],
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        Value::Object(entries) => {
            entries.iter().map(|(key, entry)| (key.replace('~', "~0").replace('/', "~1"), entry)).collect()
        }
        _ => Vec::new(),
    };
    let leaves = below
        .into_iter()
        .flat_map(|(key, value)| leaves_of(value).into_iter().map(move |rest| format!("/{key}{rest}")));
    leaves.collect()
}

fn check_case(case: &Case) -> Option<String> {
    let tree: MemoryTree = case.files.iter().collect();
    let (root, options, lines) = (&case.root, &case.options, &case.files);
    match (
        build_with_provenance(&tree, root, options, &Remotes::default(), None),
        build(&tree, root, options),
    ) {
        (Ok(built), Ok(plain)) => holds(&built, &plain, lines).or_else(|| misplaced(&built, lines)),
        // Its errors may have finer lines.
        (Err(Failure::Errors(built)), Err(plain)) if built.0.len() == plain.0.len() => None,
        // What is elsewhere is asked for here, and an error there.
        (Err(Failure::Missing(_)), Err(_)) => None,
        (built, plain) => Some(format!("{:?} against {:?}", built.err(), plain.err())),
    }
}

#[test]
fn in_every_case_of_kustomizes_own_suite_each_field_has_one_source_that_is_there() {
    let Some(cases) = recorded::chosen() else { return };
    let (mut held, mut wrong) = (0, Vec::new());
    for case in cases {
        let name = &case.name;
        match check_case(&case) {
            None => held += 1,
            Some(message) => wrong.push(format!("{name}: {message}")),
        }
    }
    println!("{held} cases hold");
    assert!(wrong.is_empty(), "{} cases are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn in_random_trees_each_field_has_one_source_that_is_there() {
    let trees = std::env::var("TREES").map_or(150, |trees| trees.parse().unwrap());
    let (mut held, mut wrong) = (0, Vec::new());
    for seed in 0..trees {
        let files = grow::tree(&mut grow::Numbers::new(seed));
        let tree: MemoryTree = files.iter().collect();
        let options = Options::default();
        let built = build_with_provenance(&tree, case::ROOT, &options, &Remotes::default(), None);
        let (Ok(built), Ok(plain)) = (built, build(&tree, case::ROOT, &options)) else { continue };
        match holds(&built, &plain, &files) {
            None => held += 1,
            Some(message) => wrong.push(format!("tree {seed}: {message}")),
        }
    }
    println!("{held} of {trees} trees can be built");
    assert!(wrong.is_empty() && held > 0, "{} trees are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
