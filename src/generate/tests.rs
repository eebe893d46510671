use super::*;
use expect_test::{Expect, expect};
use trueup_model::Origin;
use trueup_model::tree::MemoryTree;

fn ground(files: &[(&str, &str)]) -> BTreeMap<String, Arc<dyn Tree>> {
    let tree: MemoryTree = files.iter().copied().collect();
    BTreeMap::from([("config".to_owned(), Arc::new(tree) as Arc<dyn Tree>)])
}

fn set(spec: &str) -> Declared<AppSetSpec> {
    let spec = trueup_model::yaml::parse(spec).unwrap()[0].to_value();
    let metadata = crate::config::Metadata { name: "set".to_owned(), ..Default::default() };
    Declared { metadata, spec: serde_json::from_value(spec).unwrap(), origin: Origin::default() }
}

fn clusters() -> BTreeMap<String, Declared<ClusterSpec>> {
    let cluster = |(name, tier): (&str, &str)| {
        let metadata = crate::config::Metadata {
            name: name.to_owned(),
            labels: [("tier".to_owned(), tier.to_owned())].into(),
            ..Default::default()
        };
        (name.to_owned(), Declared { metadata, spec: ClusterSpec::default(), origin: Origin::default() })
    };
    [("eu-1", "production"), ("us-1", "production"), ("test", "test")].map(cluster).into()
}

const TEMPLATE: &str = "{metadata: {name: '{folder.name}'}, spec: {repository: config, path: '{folder.path}', environments: [test]}}";

/// Each App as `name: path in environments`, or why there are none.
fn check(files: &[(&str, &str)], generators: &str, template: &str, expected: &Expect) {
    let (trees, clusters) = (ground(files), clusters());
    let ground = Ground {
        trees: &trees,
        clusters: &clusters,
        broken: &[],
        pulls: &BTreeMap::new(),
        remembered: &Remembered::new(),
        now: Timestamp::UNIX_EPOCH,
    };
    let set = set(&format!("{{generators: {generators}, template: {template}}}"));
    let told = match make(&set, &ground) {
        Ok(Asked { apps, .. }) => {
            let line = |(name, app): (&String, &crate::config::AppSpec)| {
                let path = app.path.as_deref().unwrap_or_default();
                format!("{name}: {path} in {}\n", app.environments.join(", "))
            };
            apps.iter().map(line).collect::<Vec<String>>().concat()
        }
        Err(why) => format!("{why}\n"),
    };
    expected.assert_eq(&told);
}

const FILES: &[(&str, &str)] = &[
    ("apps/web/kustomization.yaml", "x"),
    ("apps/api/a.yaml", "x"),
    ("apps/legacy-a/a.yaml", "x"),
    ("teams/a/app.yaml", "name: one\npath: charts/one\ndeep: {environment: staging}\n"),
    ("teams/b/app.json", r#"[{"name": "two", "path": "charts/two"}, {"name": "three", "path": "x"}]"#),
    ("broken/app.yaml", "a: [\n"),
    ("broken/text.yaml", "just text\n"),
    ("broken/empty.yaml", "# nothing\n"),
];

#[test]
fn folders_make_an_app_each() {
    check(
        FILES,
        "[{folders: {repository: config, paths: ['apps/*'], exclude: ['apps/legacy-*']}}]",
        TEMPLATE,
        &expect![[r"
            api: apps/api in test
            web: apps/web in test
        "]],
    );
}

#[test]
fn what_files_say_is_put_into_the_template() {
    check(
        FILES,
        "[{files: {repository: config, paths: [teams/*/app.yaml, 'teams/*/*.json']}}]",
        "{metadata: {name: '{item.name}'}, spec: {repository: config, path: '{item.path}/{environment}', environments: [test]}}",
        &expect![[r"
            one: charts/one/{environment} in test
            three: x/{environment} in test
            two: charts/two/{environment} in test
        "]],
    );
    check(
        FILES,
        "[{files: {repository: config, paths: [teams/*/app.yaml]}}]",
        "{metadata: {name: '{item.name}-{file.name}'}, spec: {repository: config, path: '{file.folder}', environments: ['{item.deep.environment}']}}",
        &expect![[r"
            one-app: teams/a in staging
        "]],
    );
}

#[test]
fn clusters_lists_and_their_matrix_make_apps() {
    check(
        &[],
        "[{matrix: [{clusters: {selector: {matchLabels: {tier: production}}}}, {list: [{name: logs, size: 1}, {name: metrics, size: 2}]}]}, {list: [{name: extra, size: 5}]}]",
        "{metadata: {name: '{item.name}'}, spec: {repository: config, path: '{item.size}', environments: [test]}}",
        &expect![[r"
            spec.template.metadata.name: the name `logs` comes twice: for cluster.name eu-1, item.name logs, item.size 1 and cluster.name us-1, item.name logs, item.size 1
        "]],
    );
    check(
        &[],
        "[{matrix: [{clusters: {selector: {matchLabels: {tier: production}}}}, {list: [{name: logs, size: 1}, {name: metrics, size: 2}]}]}]",
        "{metadata: {name: '{item.name}-{cluster.name}'}, spec: {repository: config, path: '{item.size}/{cluster.labels.tier}', environments: ['{cluster.name}']}}",
        &expect![[r"
            logs-eu-1: 1/production in eu-1
            logs-us-1: 1/production in us-1
            metrics-eu-1: 2/production in eu-1
            metrics-us-1: 2/production in us-1
        "]],
    );
    check(
        &[],
        "[{clusters: {}}]",
        "{metadata: {name: '{cluster.name}'}, spec: {repository: config, path: a, environments: [test]}}",
        &expect![[r"
            eu-1: a in test
            test: a in test
            us-1: a in test
        "]],
    );
}

#[test]
fn what_cannot_be_read_says_nothing_of_any_app() {
    let files = |paths: &str| format!("[{{files: {{repository: config, paths: [{paths}]}}}}]");
    let named =
        "{metadata: {name: '{item.name}'}, spec: {repository: config, path: a, environments: [test]}}";
    for (generators, template, expected) in [
        (
            "[{folders: {repository: other, paths: ['apps/*']}}]".to_owned(),
            TEMPLATE,
            expect![[r"
                spec.generators[0].folders.repository: the Repository `other` has not been read
            "]],
        ),
        (
            "[{folders: {repository: config, paths: ['apps/*', 'gone/*']}}]".to_owned(),
            TEMPLATE,
            expect![[r"
                spec.generators[0].folders.paths[1]: gone: there is no such file or folder in the repository
            "]],
        ),
        (
            files("broken/app.yaml"),
            named,
            expect![[r"
                spec.generators[0].files: broken/app.yaml: line 1: unclosed bracket '['
            "]],
        ),
        (
            files("broken/text.yaml"),
            named,
            expect![[r"
                spec.generators[0].files: broken/text.yaml: is neither a mapping nor a list of mappings
            "]],
        ),
        (
            files("broken/empty.yaml"),
            named,
            expect![[r"
                spec.generators[0].files: broken/empty.yaml: says nothing
            "]],
        ),
        (
            files("teams/a/app.yaml"),
            "{metadata: {name: '{item.nam}'}, spec: {repository: config, path: a, environments: [test]}}",
            expect![[r"
                spec.template.metadata.name: unknown placeholder `{item.nam}`, did you mean `item.name`? (for file.path teams/a/app.yaml, item.deep.environment staging, item.name one)
            "]],
        ),
        (
            "[{list: [{name: A B}]}]".to_owned(),
            named,
            expect![[r#"
                spec.template.metadata.name: "A B" cannot be a name: at most 63 lower-case letters, digits and `-`, a letter or digit at both ends (for item.name A B)
            "#]],
        ),
        (
            "[{matrix: [{list: [{name: a}]}, {list: [{name: b}]}]}]".to_owned(),
            named,
            expect![[r"
                spec.generators[0].matrix[1].list: `{item.name}` comes from two generators of the matrix
            "]],
        ),
    ] {
        check(FILES, &generators, template, &expected);
    }
}

#[test]
fn a_cluster_that_cannot_be_used_may_have_any_labels() {
    let (trees, clusters) = (ground(&[]), clusters());
    let broken = ["far".to_owned()];
    let ground = Ground {
        trees: &trees,
        clusters: &clusters,
        broken: &broken,
        pulls: &BTreeMap::new(),
        remembered: &Remembered::new(),
        now: Timestamp::UNIX_EPOCH,
    };
    let template = "{metadata: {name: a}, spec: {repository: config, path: a, environments: [test]}}";
    let set = |generators: &str| set(&format!("{{generators: {generators}, template: {template}}}"));
    let why = make(&set("[{clusters: {}}]"), &ground).unwrap_err().to_string();
    assert!(why.contains("the Cluster `far` cannot be used"), "{why}");
    assert_eq!(make(&set("[{list: [{}]}]"), &ground).unwrap().apps.len(), 1);
}

/// What comes of three requests, the branches of two of which make the same slug.
fn of_requests(name: &str, path: &str, seen: &Remembered) -> Result<Asked, Unmade> {
    use crate::source::forge::{PullRequest, Pushers, State};
    let branches = [(1, "feature/a"), (2, "feature-a"), (3, "日本")];
    let request = |(number, branch): (u64, &str)| PullRequest {
        number,
        title: "{{ x }}\n".to_owned(),
        branch: branch.to_owned(),
        target_branch: "main".to_owned(),
        head: Some(format!("{number:040x}")),
        labels: Vec::new(),
        author: "ann".to_owned(),
        pushed_by: Pushers::Own,
        updated: None,
        state: State::Open,
    };
    let open = branches.map(|branch| (branch.0, request(branch))).into();
    let listing = Arc::new(pulls::Listing { open, closed: BTreeSet::new() });
    let place = "spec.generators[0].pullRequests".to_owned();
    let (trees, clusters, pulls) = (ground(&[]), clusters(), BTreeMap::from([(place, listing)]));
    let ground = Ground {
        trees: &trees,
        clusters: &clusters,
        broken: &[],
        pulls: &pulls,
        remembered: seen,
        now: Timestamp::UNIX_EPOCH,
    };
    let set = set(&format!(
        "{{generators: [{{pullRequests: {{gitea: {{owner: a, repo: b, api: 'http://localhost:1'}}}}}}], template: {{metadata: {{name: '{name}'}}, spec: {{repository: config, path: '{path}', environments: [test]}}}}}}"
    ));
    make(&set, &ground)
}

#[test]
fn a_branch_that_makes_no_name_stops_no_other_request() {
    let asked = of_requests("preview-{pull.branch_slug}", "app", &Remembered::new()).unwrap();
    assert_eq!(asked.apps.keys().collect::<Vec<_>>(), ["preview-feature-a"]);
    assert_eq!(asked.seen["a/b#1"].apps, BTreeSet::from(["preview-feature-a".to_owned()]));
    assert!(asked.seen["a/b#2"].apps.is_empty());
    expect![[r#"
        #2: spec.template.metadata.name: the name `preview-feature-a` comes twice: for pull.number 1 and pull.number 2
        #3: spec.template.metadata.name: "preview-" cannot be a name: at most 63 lower-case letters, digits and `-`, a letter or digit at both ends (for pull.number 3)"#]]
    .assert_eq(&asked.notes.join("\n"));
}

#[test]
fn a_template_that_makes_no_name_of_any_request_is_wrong() {
    let why = of_requests("Preview-{pull.number}", "app", &Remembered::new()).unwrap_err().to_string();
    assert!(why.contains("\"Preview-1\" cannot be a name"), "{why}");
}

#[test]
fn what_somebody_wrote_reaches_no_path() {
    let why = of_requests("p-{pull.number}", "app/{pull.title}", &Remembered::new()).unwrap_err();
    expect!["spec.template.spec.path: `{pull.title}` may be any text that somebody wrote: it is for `helm.values` alone; `{pull.number}`, `{pull.branch_slug}` and `{pull.head_sha}` are safe everywhere (for pull.number 1)"].assert_eq(&why.to_string());
}
