//! What a user reads when a build is refused: file, line, field or object, cause and remedy; all in one go.

use expect_test::{Expect, expect};
use trueup_kustomize::{LoadRestrictions, Options, build, is_kustomization};
use trueup_model::MemoryTree;

/// Builds `root` of a tree that is written as `=== path` lines with the file's text below each.
fn run(root: &str, files: &str) -> String {
    let mut tree = MemoryTree::new();
    for file in files.split("=== ").skip(1) {
        let (path, text) = file.split_once('\n').unwrap_or((file, ""));
        tree.insert(path.trim(), text);
    }
    match build(&tree, root, &Options::default()) {
        Ok(manifests) => {
            let lines: Vec<String> = manifests.iter().map(|m| format!("{} {}", m.origin, m.id())).collect();
            lines.join("\n") + "\n"
        }
        Err(errors) => format!("{errors}\n"),
    }
}

fn check(root: &str, files: &str, wanted: &Expect) {
    wanted.assert_eq(&run(root, files));
}

#[test]
fn all_wrong_fields_are_named_with_line_and_nearest_field() {
    check(
        "",
        "=== kustomization.yaml
resource:
- a.yaml
namePrefix: 3
commonLabels: {version: 1}
spec: x
images: {name: nginx}
",
        &expect![[r"
            kustomization.yaml:1: resource: unknown field; did you mean resources?
            kustomization.yaml:5: spec: unknown field
            kustomization.yaml:3: namePrefix: must be a string, not a number; write it in quotes
            kustomization.yaml:4: commonLabels.version: must be a string, not a number; write it in quotes
            kustomization.yaml:6: images: must be a list, not a mapping; begin each entry with -
        "]],
    );
}

#[test]
fn every_missing_or_broken_file_is_reported_together() {
    check(
        "overlay",
        "=== overlay/kustomization.yaml
resources:
- ../base
- missing.yaml
- broken.yaml
- https://example.com/app.yaml
configMapGenerator:
- name: settings
  files: [none.txt]
patches:
- path: nowhere.yaml
=== overlay/broken.yaml
kind: ConfigMap
metadata: {name: a
=== base/kustomization.yaml
resources: [nameless.yaml]
=== base/nameless.yaml
apiVersion: v1
kind: ConfigMap
---
apiVersion: v1
metadata: {name: a}
",
        &expect![[r"
            base/nameless.yaml:1: ConfigMap has no metadata.name; every object needs one
            base/nameless.yaml:4: has no kind; every object needs one
            overlay/kustomization.yaml:3: resources: there is no file or folder overlay/missing.yaml
            overlay/broken.yaml:2: unclosed bracket '{'
            overlay/kustomization.yaml:5: resources: https://example.com/app.yaml is outside of the repository, and was not read
            overlay/kustomization.yaml:8: configMapGenerator settings: there is no file or folder overlay/none.txt
            overlay/kustomization.yaml:10: patches[0]: there is no file or folder overlay/nowhere.yaml
        "]],
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    check(
        "",
        "=== kustomization.yaml
helmCharts:
- name: nginx
resources: []
",
        &expect![[r"
            kustomization.yaml:2: helmCharts[0]: there is nothing here that renders charts; render the chart as its own App, or commit its output
        "]],
    );
    check(
        "",
        "=== kustomization.yaml
transformers:
- |-
  apiVersion: example.com/v1
  kind: Runner
  metadata: {name: run}
",
        &expect![[r"
            kustomization.yaml:3: Runner.example.com run: is a plugin that runs a program or container; only those of apiVersion builtin are allowed
        "]],
    );
}

#[test]
fn folders_that_name_each_other_are_a_circle() {
    check(
        "a",
        "=== a/kustomization.yaml
resources: [../b]
=== b/kustomization.yaml
resources: [../a]
",
        &expect![[r"
            b/kustomization.yaml:1: resources: the folders name each other in a circle: a -> b -> a
        "]],
    );
}

#[test]
fn a_file_outside_of_the_root_is_refused_unless_allowed() {
    let files = "=== overlay/kustomization.yaml
resources: [../shared/a.yaml]
=== shared/a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
";
    check(
        "overlay",
        files,
        &expect![[r"
            overlay/kustomization.yaml:1: resources: shared/a.yaml is not in or below overlay; move it there, make its folder a base, or allow it with load restrictions none
        "]],
    );
    let tree = MemoryTree::from_iter([
        ("overlay/kustomization.yaml", "resources: [../shared/a.yaml]"),
        ("shared/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"),
    ]);
    let options = Options { load_restrictions: LoadRestrictions::None, ..Options::default() };
    assert_eq!(build(&tree, "overlay", &options).unwrap().len(), 1);
}

#[test]
fn a_link_out_of_the_root_is_no_way_around_the_restriction() {
    let mut tree = MemoryTree::from_iter([
        ("overlay/kustomization.yaml", "resources: [a.yaml]"),
        ("secret/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"),
    ]);
    tree.link("overlay/a.yaml", "../secret/a.yaml");
    let error = build(&tree, "overlay", &Options::default()).unwrap_err().to_string();
    assert!(error.contains("secret/a.yaml is not in or below overlay"), "{error}");
}

#[test]
fn a_patch_that_finds_nothing_or_does_not_fit_names_both_sides() {
    check(
        "",
        "=== kustomization.yaml
resources: [web.yaml]
patches:
- patch: |-
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: web}
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec: {replicas: {count: 3}}
- target: {kind: Deployment}
  patch: |-
    - op: remove
      path: /spec/paused
=== web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 1}
",
        &expect![[r"
            kustomization.yaml:4: patches[0]: no resource is called StatefulSet.apps web; there is Deployment.apps web, compare apiVersion, kind and namespace
            kustomization.yaml:8: Deployment.apps web (web.yaml:1): patches[1]: the patch does not fit at spec.replicas: the object has a single value, the patch a mapping
            kustomization.yaml:12: Deployment.apps web (web.yaml:1): patches[2]: operation 0 (remove /spec/paused) does not apply: there is no paused
        "]],
    );
}

const WEB: &str = "=== web.yaml
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}
";

#[test]
fn each_common_mistake_is_told_with_its_place_and_a_remedy() {
    let mistakes = [
        "images: [nginx:1.2]",
        "images: [{name: nginx, newTag: 1.20}]",
        "replicas: [{name: wbe, count: 2}]",
        "replicas: [{name: web, count: two}]",
        "resources: [../../x]",
        "resources: [web.yaml, web.yaml]",
        "labels: [{pair: {a: b}}]",
        "kind: Kustomisation",
        "components: [web.yaml]",
        "configMapGenerator: [{name: a, literals: [novalue]}]",
        "configMapGenerator: [{name: a, behavior: merge, literals: [x=1]}]",
        "configMapGenerator: [{literals: [x=1]}]",
        "patches: [{path: web.yaml, patch: 'a: b'}]",
        "patches: [{target: {kind: Deployment}}]",
        r#"patches: [{patch: '[{"op": "remove", "path": "/spec"}]'}]"#,
        r#"patches: [{target: {kind: Deployment}, patch: '[{"op": "set", "path": "/spec"}]'}]"#,
        r#"patches: [{target: {name: 'web('}, patch: '[{"op": "remove", "path": "/spec"}]'}]"#,
        r#"patches: [{target: {labelSelector: 'a in (b'}, patch: '[{"op": "remove", "path": "/spec"}]'}]"#,
        "replacements: [{source: {kind: ConfigMap, name: x}, targets: [{select: {kind: Deployment}, fieldPaths: [spec.replicas]}]}]",
        "replacements: [{source: {kind: Deployment, name: web, fieldPath: spec.replicas, options: {delimiter: '.', index: 3}}, targets: [{select: {kind: Deployment}, fieldPaths: [spec.replicas]}]}]",
        "replacements: [{source: {kind: ConfigMap, name: web}, targets: [{select: {name: '['}}]}]",
        "replacements: [{source: {kind: ConfigMap, name: web}, targets: [{selct: {name: web}}]}]",
        "patchesStrategicMerge: ['{kind: Deployment, metadata: {name: web}}']",
        "patchesJson6902: [{target: {kind: Deployment}, patch: '[]'}]",
        "patches: [{target: {labelSelector: 'a b'}, patch: '[]'}]",
        "patches: [web.yaml]",
        "patches: {path: web.yaml}",
        "labels: [{pairs: {a: b}, fields: [{path: spec, creat: true}]}]",
        "resources: [sub/kustomization.yaml]",
        "secretGenerator: [{name: s, literals: [hunter2]}]",
        r#"patches: [{target: {kind: Deployment}, patch: '[{"op": "test", "path": "/spec/replicas", "value": 3}]'}]"#,
        "replacements: [{source: {kind: Deployment, fieldPath: spec.no}, targets: [{select: {kind: Deployment}, fieldPaths: [spec.replicas]}]}]",
    ];
    let told: String = mistakes
        .iter()
        .map(|mistake| {
            let resources = if mistake.starts_with("resources") { "" } else { "\nresources: [web.yaml]" };
            run("", &format!("=== kustomization.yaml\n{mistake}{resources}\n=== sub/kustomization.yaml\nnamePrefix: x\n{WEB}"))
        })
        .collect();
    expect![[r#"
        kustomization.yaml:1: images[0]: must be a mapping such as {name: nginx, newTag: "1.2"}, not the string "nginx:1.2"
        kustomization.yaml:1: images[0].newTag: must be a string, not a number; write it in quotes
        kustomization.yaml:1: replicas[0]: no Deployment, StatefulSet, ReplicaSet or ReplicationController is called "wbe" (there is web); correct the name, or remove the entry
        kustomization.yaml:1: replicas[0].count: must be a whole number, not a string
        kustomization.yaml:1: resources: ../../x is outside the repository; copy what it names into it
        web.yaml:1: Deployment.apps web: is there already, from web.yaml:1; remove one or give them different names
        kustomization.yaml:1: labels[0].pair: unknown field; did you mean pairs?
        kustomization.yaml:1: kind: must be Kustomization or Component, not "Kustomisation"; did you mean Kustomization?
        kustomization.yaml:1: components: web.yaml is a file, and a component is a folder with a kustomization of kind Component: name the folder, or move the file to resources
        kustomization.yaml:1: configMapGenerator a: literals[0] must be key=value
        kustomization.yaml:1: ConfigMap a: there is nothing of this name to merge with or replace; correct the name or the behavior
        kustomization.yaml:1: configMapGenerator: has no name; add one
        kustomization.yaml:1: patches[0]: patch and path exclude each other; keep one of them
        kustomization.yaml:1: patches[0]: has neither patch nor path; write the patch, or name the file that holds it
        kustomization.yaml:1: patches[0]: a JSON patch needs a target that says what it is for; add one, such as target: {kind: Deployment, name: web}
        kustomization.yaml:1: Deployment.apps web (web.yaml:1): patches[0]: operation 0 (set /spec) does not apply: "set" is no operation; use add, remove, replace, move, copy or test
        kustomization.yaml:1: patches[0].target.name: "web(" is not a regular expression; correct it, or write \ before what is meant as it stands
        kustomization.yaml:1: patches[0].target.labelSelector: the ( in "a in (b" is never closed; close it behind the last value, as in key in (a, b)
        kustomization.yaml:1: replacements[0]: the source ConfigMap x is not there; correct it, or add the resource
        kustomization.yaml:1: replacements[0]: cut at ".", the source Deployment.apps web (web.yaml:1) has 1 parts, and there is no index 3; it counts from 0
        kustomization.yaml:1: replacements[0]: the source ConfigMap web is not there (there is Deployment.apps web); correct it, or add the resource
        kustomization.yaml:1: replacements[0].targets[0].selct: unknown field; did you mean select?
        kustomization.yaml:1: patchesStrategicMerge[0]: no resource is called Deployment web; there is Deployment.apps web, compare apiVersion, kind and namespace
        kustomization.yaml:1: patchesJson6902[0]: has no target with a name; add one, such as target: {version: v1, kind: Service, name: web}
        kustomization.yaml:1: patches[0].target.labelSelector: "a b" is not a requirement; write it as key=value, key in (a, b), key or !key
        kustomization.yaml:1: patches[0]: must be a mapping with path, patch, target or options, not a string
        kustomization.yaml:1: patches: must be a list, not a mapping; begin each entry with -
        kustomization.yaml:1: labels[0].fields[0].creat: unknown field; did you mean create?
        kustomization.yaml:1: resources: sub/kustomization.yaml is a kustomization; name its folder
        kustomization.yaml:1: secretGenerator s: literals[0] must be key=value
        kustomization.yaml:1: Deployment.apps web (web.yaml:1): patches[0]: operation 0 (test /spec/replicas) does not apply: the value there is another one than the patch expects
        kustomization.yaml:1: replacements[0]: the source Deployment.apps web (web.yaml:1) has no field spec.no; correct fieldPath, or give the field a value
    "#]].assert_eq(&told);
}

#[test]
fn what_a_file_that_is_itself_wrong_names_is_looked_at_too() {
    check(
        "",
        "=== kustomization.yaml
nameprefx: x
resources: [base, missing.yaml]
patches: [{pth: p.yaml}]
=== base/kustomization.yaml
images: [nginx]
kind: Kustomisation
resources: [nameless.yaml, ../below]
=== base/nameless.yaml
kind: ConfigMap
=== below/kustomization.yaml
replicas: 3
",
        &expect![[r#"
            kustomization.yaml:1: nameprefx: unknown field; did you mean namePrefix?
            kustomization.yaml:3: patches[0].pth: unknown field; did you mean path?
            base/kustomization.yaml:2: kind: must be Kustomization or Component, not "Kustomisation"; did you mean Kustomization?
            base/kustomization.yaml:1: images[0]: must be a mapping such as {name: nginx, newTag: "1.2.3"}, not the string "nginx"
            base/nameless.yaml:1: ConfigMap has no metadata.name; every object needs one
            below/kustomization.yaml:1: replicas: must be a list, not a number; begin each entry with -
            kustomization.yaml:2: resources: there is no file or folder missing.yaml
        "#]],
    );
}

#[test]
fn each_manifest_says_where_it_was_written() {
    check(
        "",
        "=== kustomization.yaml
resources: [all.yaml]
secretGenerator:
- name: login
  literals: [a=b]
=== all.yaml
# the first line
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
",
        &expect![[r"
            all.yaml:2 ConfigMap a
            all.yaml:6 ConfigMap b
            kustomization.yaml:3 Secret login-k695gkmbtk
        "]],
    );
}

#[test]
fn a_folder_is_a_kustomization_when_it_has_the_file() {
    let tree = MemoryTree::from_iter([("a/Kustomization", ""), ("b/x.yaml", "")]);
    assert_eq!(is_kustomization(&tree, "a").unwrap().as_deref(), Some("Kustomization"));
    assert_eq!(is_kustomization(&tree, "b").unwrap(), None);
}
