use super::*;
use expect_test::{Expect, expect};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The example of the documentation.
const EXAMPLE: &str = "\
apiVersion: trueup.dev/v1alpha1
kind: Repository
metadata: {name: config}
spec:
  url: https://git.example.com/platform/config.git
  ref: {branch: main}
  interval: 30s
  secretRef: {name: config-git}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: eu-1, labels: {tier: production}}
spec:
  kubeconfig: {path: ~/.kube/config, context: eu-1}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluster
metadata: {name: us-1, labels: {tier: production}}
spec: {inCluster: true}
---
apiVersion: trueup.dev/v1alpha1
kind: Environment
metadata: {name: staging}
spec:
  cluster: eu-1
  namespace: shop-staging
  values: {replicas: 1, domain: staging.example.com, nested: {name: deep}}
  sync: {selfHeal: false, interval: 1h}
---
apiVersion: trueup.dev/v1alpha1
kind: Environment
metadata: {name: production}
spec:
  clusters: {selector: {matchLabels: {tier: production}}}
  namespace: shop
  values: {replicas: 4, domain: shop.example.com}
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: web}
spec:
  repository: config
  path: apps/web/overlays/{environment}
  environments: [staging, production]
  dependsOn: [database]
  sync: {prune: false}
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: database}
spec:
  repository: config
  path: ./apps/../apps/{app}/{values.replicas}/{{x}}
  namespace: '{namespace}-{app}'
  environments: [production]
";

fn load_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config, Problems>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let config = load(folder.path());
    (folder, config)
}

fn config(text: &str) -> Config {
    load_files(&[("trueup.yaml", text)]).1.unwrap()
}

/// The problems of files, without the folder in front; a file without a name is `trueup.yaml`.
fn problems(files: &[(&str, &str)]) -> String {
    let named: Vec<_> =
        files.iter().map(|(n, t)| (if n.is_empty() { "trueup.yaml" } else { *n }, *t)).collect();
    let (folder, config) = load_files(&named);
    let folder = folder.path().display().to_string();
    format!("{}\n", config.unwrap_err()).replace(&format!("{folder}/"), "").replace(&folder, ".")
}

/// The problems of a file.
fn refuses(text: &str, expected: &Expect) {
    refuses_files(&[("", text)], expected);
}

fn refuses_files(files: &[(&str, &str)], expected: &Expect) {
    expected.assert_eq(&problems(files));
}

/// A document of a kind.
fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: trueup.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n")
}

/// The smallest configuration that an app fits into.
fn around(app: &str) -> String {
    document("App", "web", app)
        + &document("Repository", "config", "{url: https://example.com/config.git}")
        + &document("Cluster", "eu-1", "{inCluster: true}")
        + &document(
            "Environment",
            "production",
            "{cluster: eu-1, namespace: shop, values: {domain: a.b, m: {x: 1}}}",
        )
}

#[test]
fn targets_are_apps_in_environments_on_clusters() {
    let config = config(EXAMPLE);
    let targets: Vec<String> = config
        .targets()
        .iter()
        .map(|t| format!("{} {} {:?} {:?}", t.name, t.path, t.namespace.as_deref().unwrap(), t.depends_on))
        .collect();
    expect![[r#"
        database@production/eu-1 apps/database/4/{x} "shop-database" []
        database@production/us-1 apps/database/4/{x} "shop-database" []
        web@production/eu-1 apps/web/overlays/production "shop" ["database@production/eu-1"]
        web@production/us-1 apps/web/overlays/production "shop" ["database@production/us-1"]
        web@staging apps/web/overlays/staging "shop-staging" []"#]]
    .assert_eq(&targets.join("\n"));
    assert_eq!(config.target("web@staging").unwrap().cluster, "eu-1");
}

#[test]
fn an_app_that_shares_no_environment_is_waited_for_on_the_same_cluster() {
    let text = around("{repository: config, path: a, environments: [production], dependsOn: [crds]}")
        + &document("App", "crds", "{repository: config, path: crds, environments: [shared, elsewhere]}")
        + &document("Environment", "shared", "{cluster: eu-1}")
        + &document("Environment", "elsewhere", "{cluster: us-1}")
        + &document("Cluster", "us-1", "{inCluster: true}");
    assert_eq!(config(&text).target("web@production").unwrap().depends_on, ["crds@shared"]);
}

#[test]
fn what_an_app_says_comes_before_what_its_environment_says() {
    let config = config(EXAMPLE);
    let staging = config.target("web@staging").unwrap().sync;
    let expected = SyncPolicy {
        prune: false,
        self_heal: false,
        interval: Duration::from_hours(1),
        ..SyncPolicy::default()
    };
    assert_eq!(staging, expected);
    assert_eq!(config.target("database@production/eu-1").unwrap().sync, SyncPolicy::default());
}

#[test]
fn all_errors_are_reported_with_their_position() {
    refuses(
        "\
apiVersion: trueup.dev/v1alpha1
kind: Repository
metadata: {name: config}
spec:
  ulr: https://git.example.com/config.git
  intervall: 30s
  timeout: 5 parsecs
  worktree: maybe
  ref: {brunch: main}
---
apiVersion: trueup.dev/v1alpha1
kind: Cluser
metadata: {name: eu-1}
---
apiVersion: v1
kind: ConfigMap
---
apiVersion: trueup.dev/v1alpha1
kind: App
metadata: {name: web, lables: {a: b}}
spec:
  repository: config
  path: 5
  environments: production
  substitute: strictly
  retry: {limit: -1, backoff: {initial: 0s}}
",
        &expect![[r#"
            trueup.yaml:5:3: unknown field `ulr` in spec, did you mean `url`?
            trueup.yaml:6:3: unknown field `intervall` in spec, did you mean `interval`?
            trueup.yaml:7:12: spec.timeout: "5 parsecs" is not a duration such as 30s, 5m or 1h 30m
            trueup.yaml:8:13: spec.worktree: expected true or false, found text
            trueup.yaml:9:9: unknown field `brunch` in spec.ref, did you mean `branch`?
            trueup.yaml:12:7: unknown kind `Cluser`, did you mean `Cluster`?
            trueup.yaml:15:13: apiVersion `v1` is not trueup's: it has to be `trueup.dev/v1alpha1`
            trueup.yaml:20:23: unknown field `lables` in metadata, did you mean `labels`?
            trueup.yaml:23:9: spec.path: expected text, found a number, put it in quotes
            trueup.yaml:24:17: spec.environments: expected a list, found text
            trueup.yaml:25:15: spec.substitute: `strictly` is not possible, did you mean `strict`?
            trueup.yaml:26:18: spec.retry.limit: has to be 0 or more
            trueup.yaml:26:41: spec.retry.backoff.initial: a duration has to be longer than nothing
        "#]],
    );
}

#[test]
fn a_reference_to_nothing_names_the_nearest_thing() {
    let app = "{repository: confg, path: a, environments: [prodution, staging], dependsOn: [wbe]}";
    refuses(
        &around(app),
        &expect![[r"
        trueup.yaml:4:51: there is no Environment `prodution`, did you mean `production`?
        trueup.yaml:4:62: there is no Environment `staging`, known: `production`
        trueup.yaml:4:84: there is no App `wbe`, did you mean `web`?
    "]],
    );
    refuses(
        &(document("Environment", "staging", "{clusters: {names: [eu-2], selector: {matchLabels: {a: b}}}}")
            + &document("Environment", "other", "{clusters: {selector: {matchLabels: {a: b}}}}")
            + &document("Cluster", "eu-1", "{inCluster: true}")),
        &expect![[r"
            trueup.yaml:4:27: there is no Cluster `eu-2`, did you mean `eu-1`?
            trueup.yaml:9:29: no Cluster carries these labels
        "]],
    );
}

#[test]
fn a_rollout_names_clusters_that_are_there_and_lets_at_least_one_begin() {
    refuses(
        &(document(
            "Environment",
            "staging",
            "{cluster: eu-1, rollout: {maxUnavailable: 0}, sync: {maxPrune: 10 of 20}}",
        ) + &document(
            "Environment",
            "other",
            "{clusters: {names: [eu-1]}, rollout: {waves: [{names: [eu-2]}, {}], maxUnavailable: 110%}, sync: {maxPrune: -1}}",
        ) + &document(
            "Environment",
            "third",
            "{clusters: {names: [eu-1]}, rollout: {waves: [{names: [eu-2]}, {}], maxUnavailable: 0%}}",
        ) + &document("Cluster", "eu-1", "{inCluster: true}")),
        &expect![[r#"
            trueup.yaml:4:70: spec.sync.maxPrune: "10 of 20" is neither a number of objects such as 5 nor a share such as 10%
            trueup.yaml:9:91: spec.rollout.maxUnavailable: "110%" is more than 100%
            trueup.yaml:9:115: spec.sync.maxPrune: has to be 0 or more
            trueup.yaml:14:62: there is no Cluster `eu-2`, did you mean `eu-1`?
            trueup.yaml:14:70: needs `names` or a `selector`
            trueup.yaml:14:91: with none under way at once no rollout ever begins
        "#]],
    );
}

#[test]
fn the_place_of_a_target_in_a_rollout_is_the_first_group_that_has_its_cluster() {
    let cluster = |name: &str, tier: &str| {
        document("Cluster", name, "{inCluster: true}")
            .replace(&format!("name: {name}"), &format!("name: {name}, labels: {{tier: {tier}}}"))
    };
    let text = document("Repository", "config", "{url: https://example.com/c.git}")
        + &document("App", "web", "{repository: config, path: a, environments: [production]}")
        + &document(
            "Environment",
            "production",
            "{clusters: {names: [a, b, c, d]}, rollout: {waves: [{selector: {matchLabels: {tier: first}}}, {names: [a, c]}], maxUnavailable: 25%}}",
        )
        + &cluster("a", "first")
        + &cluster("b", "second")
        + &cluster("c", "second")
        + &cluster("d", "first");
    let config = config(&text);
    let waves: Vec<(&str, usize)> = config
        .targets()
        .iter()
        .map(|target| (target.cluster.as_str(), target.rollout.unwrap().wave))
        .collect();
    assert_eq!(waves, [("a", 0), ("b", 2), ("c", 1), ("d", 0)]);
    assert_eq!(config.targets()[0].rollout.unwrap().most, Some(Budget::Percent(25)));
}

#[test]
fn a_reference_to_a_broken_object_is_no_second_problem() {
    let text = document("Repository", "config", "{url: https://example.com/c.git, x: 1}")
        + &document("App", "web", "{repository: config, path: a, environments: [production]}")
        + &document("Environment", "production", "{cluster: eu-1}")
        + &document("Cluster", "eu-1", "{inCluster: yes please}");
    refuses(
        &text,
        &expect![[r"
            trueup.yaml:4:40: unknown field `x` in spec, known: `credentials`, `insecure`, `interval`, `maxPrune`, `ref`, `secretRef`, `suspend`, `timeout`, `url`, `webhook`, `worktree`
            trueup.yaml:19:19: spec.inCluster: expected true or false, found text
        "]],
    );
}

#[test]
fn a_secret_is_never_written_in_the_configuration_and_never_shown() {
    let text = document("Repository", "a", "{url: 'https://me:hunter2@example.com/c.git'}")
        + &document(
            "Repository",
            "b",
            "{url: https://example.com/c.git, credentials: {username: {value: me}, password: hunter2}}",
        )
        + &document(
            "Repository",
            "c",
            "{url: https://example.com/c.git, credentials: {bearerToken: {value: hunter2}}}",
        );
    refuses(
        &text,
        &expect![[r"
        trueup.yaml:4:13: a password does not belong in the URL: use `secretRef`, or `credentials` with {env: NAME} or {file: PATH}
        trueup.yaml:9:87: spec.credentials.password: a secret is never written here: say {env: NAME} or {file: PATH}, or use `secretRef`
        trueup.yaml:14:67: spec.credentials.bearerToken: a secret is never written here: say {env: NAME} or {file: PATH}, or use `secretRef`
    "]],
    );
    let problems = load_files(&[("a.yaml", &text)]).1.unwrap_err();
    assert!(!problems.to_string().contains("hunter2"));
}

#[test]
fn what_is_wrong_inside_of_one_object_is_found() {
    let mut found = String::new();
    for (kind, spec) in [
        ("Repository", "{url: 'git://example.com/c.git'}"),
        ("Repository", "{url: 'https://'}"),
        ("Repository", "{url: 'file://config'}"),
        ("Repository", "{url: https://example.com, worktree: true}"),
        ("Repository", "{url: /srv/c, worktree: true, ref: {tag: v1}}"),
        ("Repository", "{url: https://example.com, ref: {semver: '>=x'}}"),
        ("Repository", "{url: https://example.com, ref: {commit: abc}}"),
        ("Repository", "{url: https://example.com, ref: {branch: 'a b'}}"),
        ("Repository", "{url: https://example.com, ref: {branch: a, tag: b}}"),
        ("Repository", "{url: https://example.com, ref: {}}"),
        ("Repository", "{url: https://example.com, ref: main}"),
        ("Repository", "{url: https://example.com, webhook: {}}"),
        ("Repository", "{url: https://example.com, webhook: {secret: {env: A}, secretRef: {name: b}}}"),
        ("Repository", "{url: https://example.com, webhook: {secret: hush}}"),
        ("Cluster", "{}"),
        ("Cluster", "{inCluster: true, kubeconfig: {}}"),
        ("Cluster", "{inCluster: true, maxInFlight: 0}"),
        ("Environment", "{namespace: Shop}"),
        ("Environment", "{cluster: 5}"),
    ] {
        found += &problems(&[("", &document(kind, "x", spec))]);
    }
    expect![[r#"
        trueup.yaml:4:13: `git://` is not a way to reach a repository, known: `https`, `http`, `ssh`, `file`
        trueup.yaml:4:13: the URL names no host
        trueup.yaml:4:13: a file:// URL needs an absolute path, such as file:///srv/config.git
        trueup.yaml:4:44: only a local folder has a working tree
        trueup.yaml:4:31: a working tree has no `ref`: take one of the two out
        trueup.yaml:4:48: ">=x" is not a range of versions such as `>=1.2, <2`: unexpected character 'x' while parsing major version number
        trueup.yaml:4:48: "abc" is not a full commit id of 40 or 64 digits
        trueup.yaml:4:48: "a b" cannot be the name of a branch
        trueup.yaml:4:51: spec.ref: `branch` and `tag` exclude each other
        trueup.yaml:4:39: spec.ref: needs one of: branch, tag, semver, commit
        trueup.yaml:4:39: spec.ref: expected a mapping with one of: branch, tag, semver, commit
        trueup.yaml:4:43: a webhook needs its secret from `secret` or from `secretRef`: one of the two
        trueup.yaml:4:43: a webhook needs its secret from `secret` or from `secretRef`: one of the two
        trueup.yaml:4:52: spec.webhook.secret: a secret is never written here: say {env: NAME} or {file: PATH}, or use `secretRef`
        trueup.yaml:4:7: a cluster is reached through exactly one of `kubeconfig`, `secretRef`, `inCluster: true` and `agent`
        trueup.yaml:4:7: a cluster is reached through exactly one of `kubeconfig`, `secretRef`, `inCluster: true` and `agent`
        trueup.yaml:4:38: spec.maxInFlight: has to be 1 or more
        trueup.yaml:4:7: an environment needs `cluster` or `clusters`
        trueup.yaml:4:19: "Shop" cannot be a namespace: at most 63 lower-case letters, digits and `-`
        trueup.yaml:4:17: spec.cluster: expected text, found a number, put it in quotes
    "#]].assert_eq(&found);
}

#[test]
fn what_is_wrong_with_an_app_is_found() {
    let mut found = String::new();
    for app in [
        "path: 'a/{enviroment}'",
        "path: 'a/{values.domian}'",
        "path: 'a/{values.m}'",
        "path: 'a/{values.nothing}'",
        "path: 'a/{app'",
        "path: 'a/app}'",
        "path: ../a",
        "path: /a",
        "path: a, namespace: '{values.domain}'",
        "path: a, prune: true, sync: {prune: true}",
        "path: a, retry: {backoff: {initial: 1h}}",
        "path: a, dependsOn: [web, web]",
        "path: a, ignore: [{kind: Deployment}]",
        "path: a, ignore: [{fields: [spec.replicas, /metadata, '/spec/x/[name']}]",
    ] {
        let app = format!("{{repository: config, environments: [production], {app}}}");
        found += &problems(&[("", &around(&app))]);
    }
    found += &problems(&[("", &around("{repository: config, path: a, environments: []}"))]);
    expect![[r#"
        trueup.yaml:4:62: unknown placeholder `{enviroment}` in environment production, did you mean `environment`?
        trueup.yaml:4:62: unknown placeholder `{values.domian}` in environment production, did you mean `values.domain`?
        trueup.yaml:4:62: unknown placeholder `{values.m}` in environment production, did you mean `values.m.x`?
        trueup.yaml:4:62: unknown placeholder `{values.nothing}` in environment production, known: `app`, `cluster`, `environment`, `namespace`, `values.domain`, `values.m.x`
        trueup.yaml:4:62: a `{` without its `}`: write `{{` for the brace itself
        trueup.yaml:4:62: a `}` without its `{`: write `}}` for the brace itself
        trueup.yaml:4:62: `../a` leaves the repository
        trueup.yaml:4:62: `/a` is absolute: write the path from the repository's root, without the first `/`
        trueup.yaml:4:76: "a.b" cannot be a namespace: at most 63 lower-case letters, digits and `-`
        trueup.yaml:4:72: `prune` is short for `sync.prune`: write one of the two
        trueup.yaml:4:92: the first pause cannot be longer than `max`
        trueup.yaml:4:77: apps wait for each other in a circle: web -> web
        trueup.yaml:4:82: `web` is listed twice
        trueup.yaml:4:82: apps wait for each other in a circle: web -> web
        trueup.yaml:4:74: a rule needs `fields` or `managers`: all of an object cannot be left to others
        trueup.yaml:4:84: "spec.replicas": a field is written as a JSON pointer, such as /spec/replicas
        trueup.yaml:4:99: "/metadata": /metadata/name is part of what makes an object the object that it is
        trueup.yaml:4:110: "/spec/x/[name": "[name" is no selector of a list item: write [name=app]
        trueup.yaml:4:51: an app needs at least one environment
    "#]].assert_eq(&found);
}

#[test]
fn apps_that_name_the_same_reference_share_a_source() {
    let app = |name: &str, reference: &str| {
        let spec = format!("{{repository: config, {reference} path: a, environments: [production]}}");
        document("App", name, &spec)
    };
    let id = "0123456789abcdef0123456789abcdef01234567";
    let config = config(
        &(around("{repository: config, path: a, environments: [production]}")
            .replace("config.git}", "config.git, ref: {branch: main}, interval: 7s, maxPrune: 3}")
            + &app("one", "ref: {branch: 'for/{environment}'},")
            + &app("two", "ref: {branch: for/production},")
            + &app("three", &format!("ref: {{commit: {id}}},"))
            + &app("same", "ref: {branch: main},")),
    );
    let told = |target: &Target| format!("{} {} {}", target.name, target.repository, target.source());
    let targets: Vec<String> = config.targets().iter().map(told).collect();
    expect![[r"
        one@production config config@branch/for/production
        same@production config config
        three@production config config@commit/0123456789abcdef0123456789abcdef01234567
        two@production config config@branch/for/production
        web@production config config"]]
    .assert_eq(&targets.join("\n"));
    let sources = config.sources();
    assert!(sources.keys().all(|name| repository_of(name) == "config"));
    let plain = &config.repositories["config"].spec;
    let references: Vec<_> = sources.values().map(|source| source.reference.clone().unwrap()).collect();
    assert_eq!(
        references,
        [
            Reference::Branch("main".to_owned()),
            Reference::Branch("for/production".to_owned()),
            Reference::Commit(id.to_owned())
        ]
    );
    for source in sources.into_values() {
        assert_eq!(RepositorySpec { reference: plain.reference.clone(), ..source }, *plain);
    }
}

#[test]
fn what_is_wrong_with_the_reference_of_an_app_is_found() {
    let mut found = String::new();
    for (reference, repository) in [
        ("{commit: abc}", "https://example.com/c.git"),
        ("{branch: 'a..b'}", "https://example.com/c.git"),
        ("{branch: '{values.m}'}", "https://example.com/c.git"),
        ("{tag: '{values.domain}..'}", "https://example.com/c.git"),
        ("{semver: new}", "https://example.com/c.git"),
        ("{branch: a, tag: b}", "https://example.com/c.git"),
        ("{branch: a}", "/srv/c, worktree: true"),
    ] {
        let app = format!("{{repository: config, environments: [production], path: a, ref: {reference}}}");
        found += &problems(&[("", &around(&app).replace("https://example.com/config.git", repository))]);
    }
    expect![[r#"
        trueup.yaml:4:79: "abc" is not a full commit id of 40 or 64 digits
        trueup.yaml:4:79: "a..b" cannot be the name of a branch
        trueup.yaml:4:79: unknown placeholder `{values.m}` in environment production, did you mean `values.m.x`?
        trueup.yaml:4:76: "a.b.." cannot be the name of a tag
        trueup.yaml:4:79: "new" is not a range of versions such as `>=1.2, <2`: unexpected character 'n' while parsing major version number
        trueup.yaml:4:82: spec.ref: `branch` and `tag` exclude each other
        trueup.yaml:4:70: Repository `config` reads its working tree, which has no other commits: take `worktree` out there, or `ref` here
    "#]].assert_eq(&found);
}

#[test]
fn a_chart_stands_in_the_repository_or_elsewhere_and_its_values_keep_their_nulls() {
    let target = |helm: &str| {
        let app = format!("{{repository: config, environments: [production], helm: {helm}}}");
        let config = config(&around(&app));
        config.target("web@production").unwrap().helm.clone().unwrap()
    };
    let own = target(
        "{chart: 'charts/{app}', valuesFiles: ['v/{environment}.yaml'], values: {a: null, b: {c: null}}}",
    );
    assert_eq!(own.chart, Chart::InRepository("charts/web".to_owned()));
    assert_eq!((own.release.as_str(), own.values_files), ("web", vec!["v/production.yaml".to_owned()]));
    assert_eq!(serde_json::to_value(&own.values).unwrap(), serde_json::json!({"a": null, "b": {"c": null}}));
    let from = target(
        "{chart: x, valuesFrom: [{kind: ConfigMap, name: 'v-{environment}'}, {kind: Secret, name: s, key: k, targetPath: a.b, optional: true}]}",
    );
    let [first, second] = from.values_from.as_slice() else { panic!("{from:?}") };
    assert_eq!(
        (first.name.as_str(), first.key.as_str(), first.optional),
        ("v-production", "values.yaml", false)
    );
    assert_eq!((second.kind, second.target_path.as_deref()), (ValuesKind::Secret, Some("a.b")));
    assert!(second.optional);
    let elsewhere = target("{repository: 'oci://host/charts', chart: x, releaseName: '{app}-{environment}'}");
    let (repository, name) = ("oci://host/charts".to_owned(), "x".to_owned());
    assert_eq!(elsewhere.chart, Chart::Elsewhere { repository, name, version: String::new() });
    assert_eq!(elsewhere.release, "web-production");
}

#[test]
fn what_is_wrong_with_a_chart_is_found_with_its_place() {
    for (app, expected) in [
        (
            "{repository: config, environments: [production]}",
            "missing field `path` in spec: an app needs a `path`, or `helm`",
        ),
        ("{repository: config, environments: [production], helm: {}}", "missing field `chart` in spec.helm"),
        (
            "{repository: config, environments: [production], helm: {chrt: a}}",
            "unknown field `chrt` in spec.helm, did you mean `chart`?",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, version: ^1}}",
            "is for charts with a `repository`; this one is in the App's own repository",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: ../a}}",
            "`../a` leaves the repository",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, valuesFiles: [a, '{enviroment}']}}",
            "unknown placeholder `{enviroment}` in environment production, did you mean `environment`?",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, repository: 'git@host:a'}}",
            "charts come from `https://`, `http://` or `oci://`",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, repository: 'https://me:pw@host/a'}}",
            "credentials do not belong in the URL: use `secretRef` or `credentials`",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, valuesFrom: [{kind: Secret, name: ''}]}}",
            "`name` is empty",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, valuesFrom: [{kind: Scret, name: a}]}}",
            "Secret",
        ),
        (
            "{repository: config, environments: [production], helm: {chart: a, valuesFrom: [{kind: Secret, name: '{enviroment}'}]}}",
            "unknown placeholder `{enviroment}`",
        ),
        (
            "{repository: config, environments: [production], recurse: true, helm: {chart: a}}",
            "is for folders of plain manifests, and this App has a chart",
        ),
    ] {
        let found = problems(&[("trueup.yaml", &around(app))]);
        assert!(found.contains(expected) && found.contains("trueup.yaml:4:"), "{app}\n{found}");
        assert!(!found.contains("pw"), "{found}");
    }
}

#[test]
fn a_circle_of_dependencies_is_named_once() {
    let app = |name: &str, on: &str| {
        document(
            "App",
            name,
            &format!("{{repository: config, path: a, environments: [production], dependsOn: [{on}]}}"),
        )
    };
    let text = app("a", "b") + &app("b", "c") + &app("c", "web");
    let text = around("{repository: config, path: a, environments: [production], dependsOn: [a]}") + &text;
    refuses(
        &text,
        &expect![[r"
        trueup.yaml:4:77: apps wait for each other in a circle: a -> b -> c -> web -> a
    "]],
    );
    refuses(
        &around("{repository: config, path: a, environments: [production], dependsOn: [web]}"),
        &expect![[r"
        trueup.yaml:4:77: apps wait for each other in a circle: web -> web
    "]],
    );
}

#[test]
fn names_are_unique_for_a_kind_across_files_and_fit_into_names_of_objects() {
    let cluster = document("Cluster", "eu-1", "{inCluster: true}");
    let app = document("App", "we.b", "{repository: r, path: a, environments: [eu-1]}");
    let environment = document("Environment", "eu-1", "{cluster: eu-1}");
    refuses_files(
        &[("a.yaml", &cluster), ("b/c.yml", &cluster), ("d.json", "[1]"), ("e.yaml", &(app + &environment))],
        &expect![[r#"
            b/c.yml:3:18: there is already a Cluster `eu-1`, at a.yaml:1
            d.json:1:1: a document has to be a mapping with apiVersion, kind, metadata and spec
            e.yaml:3:18: "we.b" cannot be a name: at most 63 lower-case letters, digits and `-`, a letter or digit at both ends
        "#]],
    );
}

#[test]
fn a_folder_is_read_without_its_hidden_files() {
    let (_folder, config) = load_files(&[
        ("a/trueup.yaml", EXAMPLE),
        (".hidden.yaml", "]"),
        ("..2026/x.yaml", "]"),
        ("notes.txt", "]"),
    ]);
    assert_eq!(config.unwrap().apps.len(), 2);
    refuses_files(
        &[("notes.txt", "")],
        &expect![[r"
            .: there is no .yaml, .yml or .json file in this folder
        "]],
    );
    refuses(
        "a: [",
        &expect![[r"
        trueup.yaml:1:4: unclosed bracket '['
    "]],
    );
}

#[test]
fn paths_of_this_machine_are_relative_to_the_file_that_names_them() {
    let text = document("Repository", "r", "{url: ./config, credentials: {sshKey: {file: keys/id}}}")
        + &document("Cluster", "c", "{kubeconfig: {path: kubeconfig}}");
    let (folder, config) = load_files(&[("sub/trueup.yaml", &text)]);
    let config = config.unwrap();
    let folder = folder.path().join("sub");
    assert_eq!(config.repositories["r"].spec.location(), Location::Folder(folder.join("config")));
    let key = config.repositories["r"].spec.credentials.clone().unwrap().ssh_key.unwrap();
    assert_eq!(key, Secret::File(folder.join("keys/id").to_string_lossy().into_owned()));
    let Some(Access::Kubeconfig(kubeconfig)) = config.clusters["c"].spec.access() else { panic!() };
    assert_eq!(kubeconfig.path.as_deref(), folder.join("kubeconfig").to_str());
}

#[test]
fn a_url_is_a_remote_and_all_else_a_folder() {
    for (url, remote) in [
        ("https://example.com/c.git", true),
        ("ssh://git@example.com/c.git", true),
        ("git@example.com:platform/c.git", true),
        ("file:///srv/c.git", true),
        ("/srv/c.git", false),
        ("./a:b", false),
        ("config", false),
    ] {
        let spec: RepositorySpec = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
        assert_eq!(matches!(spec.location(), Location::Remote(_)), remote, "{url}");
    }
}

#[test]
fn the_fingerprint_changes_with_the_content_and_not_with_the_layout() {
    let before = config(EXAMPLE).fingerprint();
    assert_eq!(config(&format!("# a comment\n{EXAMPLE}")).fingerprint().len(), 32);
    let folderless = document("Cluster", "c", "{inCluster: true}");
    let reordered =
        document("Cluster", "c", "{inCluster: true, maxInFlight: null}").replace("---", "--- # x");
    assert_eq!(config(&folderless).fingerprint(), config(&reordered).fingerprint());
    assert_ne!(before, config(&EXAMPLE.replace("replicas: 4", "replicas: 5")).fingerprint());
}

#[test]
fn the_schema_has_every_kind_with_descriptions_and_defaults() {
    let schema = schema();
    assert_eq!(schema["oneOf"].as_array().unwrap().len(), 5);
    let repository = &schema["$defs"]["RepositorySpec"];
    assert_eq!(repository["additionalProperties"], false);
    assert_eq!(repository["required"], serde_json::json!(["url"]));
    assert_eq!(repository["properties"]["interval"]["default"], "30s");
    for kind in Kind::ALL {
        let document = &schema["$defs"][kind.as_str()];
        assert_eq!(document["properties"]["kind"]["const"], kind.as_str());
        assert!(document["description"].as_str().is_some_and(|text| !text.is_empty()), "{kind}");
        let spec = &schema["$defs"][format!("{kind}Spec")]["properties"];
        for (name, field) in spec.as_object().unwrap() {
            assert!(field["description"].is_string(), "{kind}.{name} is not described");
        }
    }
}

#[test]
fn a_custom_resource_is_read_by_the_same_types() {
    let spec = serde_json::json!({ "cluster": "eu-1", "sync": { "interval": "1h" } });
    let spec: EnvironmentSpec = serde_json::from_value(spec).unwrap();
    assert_eq!(spec.sync.interval, Some(Duration::from_hours(1)));
    let unknown = serde_json::from_value::<EnvironmentSpec>(serde_json::json!({ "clutser": "eu-1" }));
    assert!(unknown.unwrap_err().to_string().contains("unknown field"));
}

async fn next(watch: &mut Watch) -> Result<Config, Problems> {
    tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap()
}

fn one_cluster(name: &str) -> String {
    document("Cluster", name, "{inCluster: true}")
}

#[tokio::test]
async fn a_changed_file_is_loaded_again_and_a_broken_one_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trueup.yaml");
    fs::write(&path, one_cluster("a")).unwrap();
    let mut watch = watch(&path).unwrap();
    assert!(next(&mut watch).await.unwrap().clusters.contains_key("a"));
    fs::write(&path, "a: [").unwrap();
    assert!(next(&mut watch).await.is_err());
    // As editors do: a new file is renamed over the old one.
    let swap = folder.path().join("trueup.yaml.swp");
    fs::write(&swap, one_cluster("b")).unwrap();
    fs::rename(&swap, &path).unwrap();
    assert!(next(&mut watch).await.unwrap().clusters.contains_key("b"));
    watch.reload();
    assert!(next(&mut watch).await.unwrap().clusters.contains_key("b"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_mounted_config_map_is_followed_through_its_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let version = |name: &str, cluster: &str| {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("trueup.yaml"), one_cluster(cluster)).unwrap();
        symlink(name, folder.path().join("..data_tmp")).unwrap();
        fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    version("..2026_1", "a");
    symlink("..data/trueup.yaml", folder.path().join("trueup.yaml")).unwrap();
    for path in [folder.path(), &folder.path().join("trueup.yaml")] {
        check_swap(path, &version).await;
    }
}

#[cfg(unix)]
async fn check_swap(path: &Path, version: &impl Fn(&str, &str)) {
    let mut watch = watch(path).unwrap();
    assert!(next(&mut watch).await.is_ok());
    let name = if path.is_dir() { "b" } else { "c" };
    version(&format!("..2026_{name}"), name);
    assert!(next(&mut watch).await.unwrap().clusters.contains_key(name));
}
