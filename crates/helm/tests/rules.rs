//! Rules of charts, each on the smallest chart that shows it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod packed;

use expect_test::{Expect, expect};
use packed::packed;
use std::sync::Arc;
use tar::EntryType;
use trueup_helm::{
    Bounds, Chart, Crds, HookEvent, Leftovers, Options, Release, Rendered, Typed, Values, computed_values,
    read_values, render, set_values,
};
use trueup_model::MemoryTree;

const OUTER: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: outer\nversion: 1.0.0\n");

fn options() -> Options {
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
    Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random)
}

fn rendered_with(files: &[(&str, &str)], values: &str) -> Result<Rendered, String> {
    let mut tree: MemoryTree = files.iter().copied().collect();
    if !files.iter().any(|(path, _)| *path == "Chart.yaml") {
        tree.insert(OUTER.0, OUTER.1);
    }
    let chart = Chart::from_tree(&tree, "").map_err(|error| error.to_string())?;
    let values = read_values(values).map_err(|error| error.to_string())?;
    render(&chart, &values, &options()).map_err(|error| error.to_string())
}

fn check_with(files: &[(&str, &str)], values: &str, expected: &Expect) {
    let shown = match rendered_with(files, values) {
        Ok(rendered) => rendered.to_text(Crds::Included),
        Err(error) => format!("refused: {error}\n"),
    };
    expected.assert_eq(&shown);
}

fn check(files: &[(&str, &str)], expected: &Expect) {
    check_with(files, "", expected);
}

const INNER: (&str, &str) = ("charts/inner/Chart.yaml", "apiVersion: v2\nname: inner\nversion: 1.2.3\n");
const SHOW: (&str, &str) = ("charts/inner/templates/a.yaml", "{{ toJson .Values }}\n");

#[test]
fn values_of_the_outer_chart_go_over_those_of_the_inner_and_null_takes_a_key_out() {
    check_with(
        &[
            ("values.yaml", "inner: {a: 1, m: {x: null}}\nglobal: {g: 1}\n"),
            INNER,
            ("charts/inner/values.yaml", "a: 0\nb: 0\nc: 0\nm: {x: 0, z: 0}\nglobal: {h: 2}\n"),
            SHOW,
        ],
        "inner: {b: null}",
        &expect![[r#"
            ---
            # Source: outer/charts/inner/templates/a.yaml
            {"a":1,"c":0,"global":{"g":1,"h":2},"m":{"z":0}}
        "#]],
    );
}

#[test]
fn what_an_inner_chart_adds_deep_in_a_global_its_outer_chart_sees() {
    check(
        &[
            ("values.yaml", "global: {a: {b: {}}}\n"),
            INNER,
            ("charts/inner/values.yaml", "global: {a: {b: {c: 1}}}\n"),
            ("templates/a.yaml", "{{ toJson .Values.global }}\n"),
        ],
        &expect![[r#"
            ---
            # Source: outer/templates/a.yaml
            {"a":{"b":{"c":1}}}
        "#]],
    );
}

const WANTING: &str = "apiVersion: v2\nname: outer\nversion: 1.0.0\ndependencies:\n";

#[test]
fn a_chart_under_two_aliases_is_two_charts() {
    let wanting = format!(
        "{WANTING}- {{name: inner, version: ^1.0.0, alias: one}}\n- {{name: inner, version: 1.x, alias: two}}\n"
    );
    check(
        &[
            ("Chart.yaml", &wanting),
            ("values.yaml", "one: {a: 1}\ntwo: {a: 2}\n"),
            INNER,
            ("charts/inner/templates/a.yaml", "{{ .Chart.Name }}: {{ .Values.a }}\n"),
        ],
        &expect![[r"
            ---
            # Source: outer/charts/one/templates/a.yaml
            one: 1

            ---
            # Source: outer/charts/two/templates/a.yaml
            two: 2
        "]],
    );
}

#[test]
fn a_condition_goes_over_tags() {
    let wanting = format!(
        "{WANTING}- {{name: inner, version: '*', tags: [t], condition: 'inner.none,inner.enabled'}}\n"
    );
    let names = |values: &str| {
        let files = [("Chart.yaml", wanting.as_str()), INNER, SHOW];
        rendered_with(&files, values).unwrap().manifests.len()
    };
    assert_eq!(names(""), 1);
    assert_eq!(names("tags: {t: false}"), 0);
    assert_eq!(names("tags: {t: false}\ninner: {enabled: true}"), 1);
    assert_eq!(names("inner: {enabled: false}"), 0);
}

#[test]
fn values_are_imported_from_inner_charts_below_the_chart_s_own() {
    let wanting = format!(
        "{WANTING}- {{name: inner, version: '*', import-values: [data, {{child: deep.er, parent: mine}}]}}\n"
    );
    check(
        &[
            ("Chart.yaml", &wanting),
            ("values.yaml", "a: 1\n"),
            INNER,
            ("charts/inner/values.yaml", "exports: {data: {a: 0, b: 0}}\ndeep: {er: {c: 3}}\n"),
            ("templates/a.yaml", "{{ omit .Values \"inner\" \"global\" | toJson }}\n"),
        ],
        &expect![[r#"
            ---
            # Source: outer/templates/a.yaml
            {"a":1,"b":0,"mine":{"c":3}}
        "#]],
    );
}

/// As Helm does it: what a second import adds to what a first one took over stands in the inner chart as well, unless that was empty.
#[test]
fn what_is_imported_into_an_empty_table_is_not_seen_where_that_came_from() {
    let shown = |own: &str| {
        let files = [
            (
                "Chart.yaml",
                "apiVersion: v2\nname: outer\nversion: 1.0.0\ndependencies:\n- name: inner\n  version: 1.2.3\n  \
                 import-values: [{child: b, parent: a}, some]\n",
            ),
            INNER,
            ("charts/inner/values.yaml", &format!("b: {own}\nexports: {{some: {{a: {{c: 1}}}}}}\n")),
            ("charts/inner/templates/a.yaml", "b: {{ toJson .Values.b }}\n"),
            ("templates/a.yaml", "a: {{ toJson .Values.a }}\n"),
        ];
        rendered_with(&files, "").unwrap().manifests.into_iter().map(|made| made.text).collect::<String>()
    };
    assert_eq!(shown("{}"), "b: {}\na: {\"c\":1}\n");
    assert_eq!(shown("{d: 2}"), "b: {\"c\":1,\"d\":2}\na: {\"c\":1,\"d\":2}\n");
}

#[test]
fn a_chart_that_is_missing_is_named() {
    let wanting = format!("{WANTING}- {{name: inner, version: '*'}}\n");
    check(
        &[("Chart.yaml", &wanting)],
        &expect![[r"
            refused: chart outer: an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: inner
        "]],
    );
}

#[test]
fn a_library_gives_partials_and_no_manifests() {
    check(
        &[
            ("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n"),
            ("charts/lib/templates/_p.tpl", "{{ define \"lib.p\" }}p: {{ . }}{{ end }}"),
            ("charts/lib/templates/a.yaml", "never: shown"),
            ("templates/a.yaml", "{{ include \"lib.p\" 1 }}\n"),
        ],
        &expect![[r"
            ---
            # Source: outer/templates/a.yaml
            p: 1
        "]],
    );
}

#[test]
fn hooks_stand_behind_manifests_with_their_events_and_notes_stand_nowhere() {
    let hook = "kind: Job\nmetadata:\n  name: h\n  annotations: {helm.sh/hook: 'pre-install, post-upgrade', helm.sh/hook-weight: -5, helm.sh/hook-delete-policy: hook-succeeded}\n";
    let files = [
        ("templates/h.yaml", hook),
        ("templates/z.yaml", "kind: Pod\n"),
        ("templates/NOTES.txt", "Hello {{ .Release.Name }}"),
    ];
    let rendered = rendered_with(&files, "").unwrap();
    assert_eq!(rendered.notes, "Hello rel");
    let [hook] = rendered.hooks.as_slice() else { unreachable!() };
    assert_eq!(
        (hook.weight, hook.events.as_slice()),
        (-5, &[HookEvent::PreInstall, HookEvent::PostUpgrade][..])
    );
    assert_eq!(hook.delete_policies, ["hook-succeeded"]);
    let text = rendered.to_text(Crds::Skipped);
    assert!(text.starts_with(
        "---\n# Source: outer/templates/z.yaml\nkind: Pod\n---\n# Source: outer/templates/h.yaml\n"
    ));
}

#[test]
fn refusals_of_templates_name_their_place() {
    check(
        &[("templates/a.yaml", "a: 1\nb: {{ required \"b is needed\" .Values.b }}\n")],
        &expect![[r"
            refused: execution error at (outer/templates/a.yaml:2:6): b is needed
        "]],
    );
    check(
        &[("templates/a.yaml", "{{ include \"x\" . }}{{ define \"x\" }}{{ .Values.a.b }}{{ end }}")],
        &expect![[r#"
            refused: outer/templates/a.yaml:1:3
              executing "outer/templates/a.yaml" at <include "x" .>:
                error calling include:
            outer/templates/a.yaml:1:45
              executing "x" at <.Values.a.b>:
                nil pointer evaluating interface {}.b
        "#]],
    );
    check(
        &[("templates/a.yaml", "a: [\n")],
        &expect![[r"
            refused: YAML parse error on outer/templates/a.yaml: line 1, column 4: unclosed bracket '['
        "]],
    );
}

#[test]
fn values_that_do_not_fit_the_schema_are_named_by_their_paths() {
    let schema = r#"{"type": "object", "required": ["a", "b"], "additionalProperties": false, "properties": {
        "a": {"type": ["string", "null"]}, "b": {}, "num": {"type": "integer", "maximum": 10}, "e": {"enum": ["x", "y"]},
        "global": {}
    }}"#;
    check_with(
        &[("values.schema.json", schema)],
        "num: 11\ne: z\nother: 1\n",
        &expect![[r"
            refused: values don't meet the specifications of the schema(s) in the following chart(s):
            outer:
            - at '': missing properties 'a', 'b'
            - at '': additional properties 'other' not allowed
            - at '/e': value must be one of 'x', 'y'
            - at '/num': maximum: got 11, want 10

        "]],
    );
    let parts = r##"{"$defs": {"port": {"required": ["name"], "properties": {"number": {"type": "integer"}}}}, "properties": {
        "all": {"allOf": [{"minLength": 9}, {"pattern": "^z"}]}, "any": {"anyOf": [{"minLength": 2, "pattern": "z"}, {"type": "null"}]},
        "names": {"propertyNames": {"maxLength": 3}}, "port": {"$ref": "#/$defs/port"}, "many": {"maximum": 2000},
        "needs": {"dependentRequired": {"a": ["b"]}, "properties": {"a": {"type": "string"}}}, "same": {"uniqueItems": true},
        "one": {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "known": {"properties": {"a": {}}, "unevaluatedProperties": false}
    }}"##;
    check_with(
        &[("values.schema.json", parts)],
        "all: abc\nany: x\nnames: {image: 1}\nport: {number: x}\nmany: 12345\nneeds: {a: 1}\nsame: [1, 2, 1]\none: 1\nknown: {a: 1, b: 1}\n",
        &expect![[r"
            refused: values don't meet the specifications of the schema(s) in the following chart(s):
            outer:
            - at '/all': 'allOf' failed
              - at '/all': minLength: got 3, want 9
              - at '/all': 'abc' does not match pattern '^z'
            - at '/any': 'anyOf' failed
              - at '/any': validation failed
                - at '/any': minLength: got 1, want 2
                - at '/any': 'x' does not match pattern 'z'
              - at '/any': got string, want null
            - at '/known/b': false schema
            - at '/many': maximum: got 12,345, want 2,000
            - at '/names': invalid propertyName 'image'
              - at '': maxLength: got 5, want 3
            - at '/needs': properties 'b' required, if 'a' exists
            - at '/needs/a': got number, want string
            - at '/one': 'oneOf' failed, subschemas 0, 1 matched
            - at '/port': validation failed
              - at '/port': missing property 'name'
              - at '/port/number': got string, want integer
            - at '/same': items at 0 and 2 are equal

        "]],
    );
    let remote = r#"{"properties": {"num": {"$ref": "https://example.com/schema.json"}}}"#;
    let error = rendered_with(&[("values.schema.json", remote)], "num: 1").unwrap_err();
    assert!(error.contains("https://example.com/schema.json"), "{error}");
}

#[test]
fn a_version_of_kubernetes_that_the_chart_is_not_for_is_refused() {
    check(
        &[("Chart.yaml", "apiVersion: v2\nname: outer\nversion: 1.0.0\nkubeVersion: '>=2.0-0'\n")],
        &expect![[r"
            refused: chart outer: chart requires kubeVersion: >=2.0-0 which is incompatible with Kubernetes v1.37.0
        "]],
    );
}

#[test]
fn helmignore_leaves_files_out_and_files_are_found_by_patterns() {
    check(
        &[
            (".helmignore", "*.txt\n/ci/\n"),
            ("conf/a.ini", "a=1\n"),
            ("conf/sub/b.ini", "b=1\n"),
            ("conf/no.txt", "no"),
            ("ci/c.ini", "no"),
            (
                "templates/a.yaml",
                "{{ (.Files.Glob \"**.ini\").AsConfig }}\n{{ .Files.Get \"conf/no.txt\" }}\n",
            ),
        ],
        &expect![[r"
            ---
            # Source: outer/templates/a.yaml
            a.ini: |
              a=1
            b.ini: |
              b=1
        "]],
    );
}

#[test]
fn what_a_template_changes_in_the_values_of_a_chart_that_chart_sees() {
    check(
        &[
            ("values.yaml", "inner: {}\n"),
            INNER,
            ("charts/inner/templates/a.yaml", "a: {{ .Values.added }}\n"),
            ("charts/inner/templates/deep/b.yaml", "{{- $_ := set .Values \"added\" 1 }}\n"),
        ],
        &expect![[r"
            ---
            # Source: outer/charts/inner/templates/a.yaml
            a: 1
        "]],
    );
}

#[test]
fn a_template_may_include_itself_a_thousand_times_and_no_more() {
    let counting =
        "{{ define \"c\" }}{{ if gt . 0 }}{{ include \"c\" (sub . 1) }}{{ else }}end{{ end }}{{ end }}";
    let deep = |times: usize| {
        let template = format!("{counting}a: {{{{ include \"c\" {times} }}}}\n");
        rendered_with(&[("templates/a.yaml", &template)], "")
            .map(|rendered| rendered.manifests[0].text.clone())
    };
    assert_eq!(deep(1000).unwrap(), "a: end\n");
    assert!(deep(1002).unwrap_err().contains("nested reference name: c"));
}

#[test]
fn templates_without_end_are_ended() {
    let endless = "{{ $x := \"{{ tpl .x . }}\" }}{{ tpl $x (dict \"x\" $x) }}";
    let error = rendered_with(&[("templates/a.yaml", endless)], "").unwrap_err();
    assert!(error.contains("nested deeper than allowed"), "{}", &error[error.len().saturating_sub(200)..]);
    let huge = "{{ range 100 }}{{ repeat 10000000 \"x\" }}{{ end }}";
    let error = rendered_with(&[("templates/a.yaml", huge)], "").unwrap_err();
    assert!(error.contains("larger than allowed"), "{error}");
}

#[test]
fn what_is_set_goes_over_what_the_chart_says() {
    let chart = Chart::from_tree(
        &MemoryTree::from_iter([
            OUTER,
            ("values.yaml", "a: {b: 1, c: 2}\nl: [1, 2]\n"),
            ("templates/a.yaml", "{{ toJson .Values }}\n"),
        ]),
        "",
    )
    .unwrap();
    let mut values = Values::new();
    set_values(&mut values, "a.b=x,a.c=null,l[1]=3", Typed::ByLook).unwrap();
    let rendered = render(&chart, &values, &options()).unwrap();
    assert_eq!(rendered.manifests[0].text, "{\"a\":{\"b\":\"x\"},\"l\":[null,3]}\n");
}

#[test]
fn a_packed_chart_is_read_and_a_hostile_one_refused() {
    let chart = ("web/Chart.yaml", EntryType::Regular, OUTER.1.as_bytes());
    let loaded = Chart::from_archive(&packed(&[chart]), "web.tgz").unwrap();
    assert_eq!(loaded.name(), "outer");
    let refusal = |entry| Chart::from_archive(&packed(&[chart, entry]), "web.tgz").unwrap_err().to_string();
    for (path, kind, why) in [
        ("web/../../etc/passwd", EntryType::Regular, "parent directory"),
        ("web//etc/passwd", EntryType::Regular, "absolute path"),
        ("web/link", EntryType::Symlink, "is a link"),
        ("web/link", EntryType::Link, "is a link"),
        ("web/device", EntryType::Char, "no regular file"),
    ] {
        let refusal = refusal((path, kind, b""));
        assert!(refusal.starts_with("chart web.tgz: ") && refusal.contains(why), "{path}: {refusal}");
    }
    let bomb = vec![0; 2 << 20];
    let bomb = packed(&[chart, ("web/bomb", EntryType::Regular, &bomb)]);
    assert!(bomb.len() < 10_000);
    let bounds = Bounds { bytes: 1 << 20, ..Bounds::default() };
    let error = Chart::from_archive_within(&bomb, "web.tgz", bounds).unwrap_err();
    assert!(error.to_string().contains("larger than the maximum size"));
    let bounds = Bounds { files: 1, ..Bounds::default() };
    assert!(
        Chart::from_archive_within(&bomb, "web.tgz", bounds)
            .unwrap_err()
            .to_string()
            .contains("more than 1 files")
    );
    assert!(Chart::from_archive(b"no archive", "web.tgz").is_err());
}

#[test]
fn a_chart_packed_in_a_chart_is_part_of_it() {
    let inner = packed(&[
        ("inner/Chart.yaml", EntryType::Regular, INNER.1.as_bytes()),
        ("inner/templates/a.yaml", EntryType::Regular, b"in: {{ .Chart.Version }}\n"),
        ("inner/crds/c.yaml", EntryType::Regular, b"kind: CustomResourceDefinition\n"),
    ]);
    let mut tree = MemoryTree::from_iter([OUTER]);
    tree.insert("charts/inner-1.2.3.tgz", &inner);
    let chart = Chart::from_tree(&tree, "").unwrap();
    let rendered = render(&chart, &Values::new(), &options()).unwrap();
    expect![[r"
        ---
        # Source: outer/charts/inner/crds/c.yaml
        kind: CustomResourceDefinition

        ---
        # Source: outer/charts/inner/templates/a.yaml
        in: 1.2.3
    "]]
    .assert_eq(&rendered.to_text(Crds::Included));
}

#[test]
fn the_values_that_templates_get_can_be_had_without_rendering() {
    let tree = MemoryTree::from_iter([
        OUTER,
        ("values.yaml", "a: 1\nb: {c: 1.5, d: x}\nglobal: {g: 1}\n"),
        INNER,
        ("charts/inner/values.yaml", "size: small\n"),
        ("templates/a.yaml", "{{ fail \"nothing is rendered\" }}"),
    ]);
    let chart = Chart::from_tree(&tree, "").unwrap();
    let values = computed_values(&chart, &read_values("a: null\nb: {d: other}\nmore: [1]").unwrap()).unwrap();
    let text = serde_json::to_string(&values).unwrap();
    let wanted = r#"{"b":{"c":1.5,"d":"other"},"global":{"g":1},"inner":{"global":{"g":1},"size":"small"},"more":[1]}"#;
    assert_eq!(text, wanted);
}

/// What is told of a chart with so many templates that two threads work on them, beside templates that are wrong.
fn told_of_many(wrong: &[(&str, &str)], values: &str) -> String {
    let paths: Vec<String> = (0..100).map(|number| format!("templates/fine-{number:03}.yaml")).collect();
    let fine = paths.iter().map(|path| (path.as_str(), "kind: Fine\nmetadata: {name: {{ .Values.name }}}\n"));
    let schema = ("values.schema.json", r#"{"properties": {"name": {"type": "string"}}}"#);
    let files: Vec<_> = fine.chain(wrong.iter().copied()).chain([schema]).collect();
    match rendered_with(&files, values) {
        Ok(rendered) => format!("{} manifests, notes: {}", rendered.manifests.len(), rendered.notes),
        Err(error) => error,
    }
}

#[test]
fn of_many_templates_the_same_is_told_as_of_few() {
    let notes = ("templates/NOTES.txt", "named {{ .Values.name }}");
    let (no_template, fails) =
        (("templates/fine-050.txt", "{{ if }}"), ("templates/fine-051.txt", "{{ fail `here` }}"));
    let (no_yaml, no_map) = (("templates/a.yaml", "a: [\n"), ("templates/b.yaml", "- b\n"));
    let told = |wrong: &[(&str, &str)]| told_of_many(wrong, "name: web");
    assert_eq!(told(&[notes]), "100 manifests, notes: named web");
    let all = [no_template, fails, no_yaml, no_map, notes];
    let misfit = told_of_many(&all, "name: 1");
    assert!(misfit.contains("at '/name': got number, want string"), "{misfit}");
    assert_eq!(told(&all), "parse error at (outer/templates/fine-050.txt:1): missing value for if");
    assert_eq!(told(&all[1..]), "execution error at (outer/templates/fine-051.txt:1:3): here");
    for wrong in [&all[2..], &[no_map, no_yaml]] {
        assert!(told(wrong).contains("outer/templates/a.yaml"), "{}", told(wrong));
    }
}

#[test]
fn what_is_left_of_a_rendering_changes_nothing_of_it() {
    let tree: MemoryTree = [OUTER, INNER, SHOW].into_iter().collect();
    let chart = Chart::from_tree(&tree, "").unwrap();
    let taken_apart = render(&chart, &Values::new(), &options()).unwrap();
    let left = Options { leftovers: Leftovers::Left, ..options() };
    assert_eq!(render(&chart, &Values::new(), &left).unwrap(), taken_apart);
}
