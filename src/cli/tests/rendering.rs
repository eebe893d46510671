//! `trueup render` of folders and charts on disk.

use super::{Arguments, Session, Verdict, expect, plain, trueup};
use clap::Parser as _;
use flate2::{Compression, write::GzEncoder};
use std::path::Path;

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_folder_is_rendered_as_kustomize_builds_it_with_its_two_flags() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    write("shared/b.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}");
    write("app/n.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: n}}");
    write("app/kustomization.yaml", "resources: [../shared/b.yaml, n.yaml]");
    let app = folder.path().join("app");
    let render = async |flags: &[&str]| {
        trueup(&[&["render", app.to_str().unwrap(), "-o", "name"], flags].concat()).await
    };

    for flags in [&[][..], &["--load-restrictor", "root"], &["--load-restrictor", "LoadRestrictionsRootOnly"]]
    {
        let error = render(flags).await.unwrap_err().to_string();
        assert!(error.contains("shared/b.yaml is not in or below app"), "{flags:?}: {error}");
    }
    for (flags, wanted) in [
        (&["--load-restrictor", "none"][..], "Namespace n\nConfigMap b\n"),
        (&["--load-restrictor", "LoadRestrictionsNone", "--reorder", "legacy"], "Namespace n\nConfigMap b\n"),
        (&["--load-restrictor", "none", "--reorder", "none"], "ConfigMap b\nNamespace n\n"),
    ] {
        assert_eq!(render(flags).await.unwrap(), (Verdict::Fine, wanted.to_owned()), "{flags:?}");
    }
    let error = trueup(&["render", "web@staging", "--reorder", "none"]).await.unwrap_err().to_string();
    assert_eq!(error, "--load-restrictor and --reorder are for folders; web@staging is none");
}

#[tokio::test]
async fn a_chart_is_rendered_as_helm_templates_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/values.yaml", "replicas: 1");
    write("web/crds/w.yaml", "{kind: CustomResourceDefinition, metadata: {name: w}}\n");
    write(
        "web/templates/a.yaml",
        "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\n\
         replicas: {{ .Values.replicas }}\nkube: {{ .Capabilities.KubeVersion.Minor }}\n\
         has: {{ .Capabilities.APIVersions.Has \"x/v1\" }}\ntag: {{ .Values.tag | quote }}\n",
    );
    write("values.yaml", "{replicas: 2, tag: no}");
    let (web, values) = (folder.path().join("web"), folder.path().join("values.yaml"));
    let (web, values) = (web.to_str().unwrap(), values.to_str().unwrap());
    let flags = [
        "--release-name",
        "rel",
        "-n",
        "shop",
        "-f",
        values,
        "--set",
        "tag=1\\,2",
        "--kube-version",
        "1.36.3",
    ];
    let (_, text) = trueup(&[&["render", web, "-a", "x/v1,y/v1"], &flags[..]].concat()).await.unwrap();
    expect![[r#"
        ---
        # Source: web/templates/a.yaml
        kind: ConfigMap
        metadata: {name: rel, namespace: shop}
        replicas: 2
        kube: 36
        has: true
        tag: "1,2"
    "#]]
    .assert_eq(&text);
    let (_, names) = trueup(&["render", web, "--include-crds", "-o", "name"]).await.unwrap();
    assert_eq!(names, "CustomResourceDefinition w\nConfigMap default/release-name\n");

    let error = trueup(&["render", web, "--set", "a"]).await.unwrap_err().to_string();
    assert_eq!(error, "failed parsing --set data: key \"a\" has no value");
    let error = trueup(&["render", "web@staging", "--set", "a=1"]).await.unwrap_err().to_string();
    assert_eq!(error, "web@staging is no chart: --values, --set and the like are for charts");
}

#[tokio::test]
async fn a_chart_takes_the_flags_of_helm_template() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/crds/w.yaml", "kind: CustomResourceDefinition\n");
    write(
        "web/templates/a.yaml",
        "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\nupgrade: {{ .Release.IsUpgrade }}\nv: {{ toJson .Values }}\n",
    );
    write("web/templates/b.yaml", "kind: Secret\nmetadata: {name: b}\n");
    write(
        "web/templates/hook.yaml",
        "kind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n",
    );
    write("web/templates/test.yaml", "kind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n");
    write("text", "from a file");
    let (web, text) = (folder.path().join("web"), folder.path().join("text"));
    let (web, text) = (web.to_str().unwrap(), text.to_str().unwrap());
    let render = async |flags: &[&str]| {
        trueup(&[&["render", web], flags].concat())
            .await
            .map(|(_, printed)| printed)
            .map_err(|error| error.to_string())
    };

    let file = format!("f={text}");
    let flags = ["--set-file", &file, "--set-literal", "l=a,b={c}\\", "--set", "l=x,s=1", "--is-upgrade"];
    let only = ["--show-only", "templates/a.yaml", "--name-template", "{{ upper \"ab\" | lower }}"];
    assert_eq!(
        render(&[&flags[..], &only].concat()).await.unwrap(),
        "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\nmetadata: {name: ab}\nupgrade: true\n\
         v: {\"f\":\"from a file\",\"l\":\"a,b={c}\\\\\",\"s\":1}\n\n"
    );
    let names = async |flags: &[&str]| render(&[flags, &["-o", "name"]].concat()).await.unwrap();
    assert_eq!(names(&["--no-hooks"]).await, "Secret b\nConfigMap release-name\n");
    assert_eq!(names(&["--skip-tests", "--skip-crds"]).await, "Secret b\nConfigMap release-name\nJob h\n");
    let two = render(&["-s", "templates/[bt]*.yaml"]).await.unwrap();
    assert!(two.contains("kind: Secret") && two.contains("kind: Pod") && !two.contains("ConfigMap"), "{two}");
    put(folder.path(), "one.yaml", "a: 1\nb: 1");
    put(folder.path(), "two.yaml", "b: 2");
    let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
    let files = [path("one.yaml"), path("two.yaml")].join(",");
    let given = render(&["-f", &files, "-s", "templates/a.yaml"]).await.unwrap();
    assert!(given.contains(r#"v: {"a":1,"b":2}"#), "{given}");
    for (flags, why) in [
        (&["-s", "templates/none.yaml"][..], "could not find template templates/none.yaml in chart"),
        (&["--set-file", "a=/no/such/file"], "failed parsing --set-file data: /no/such/file: "),
        (&["--set-literal", "a"], "failed parsing --set-literal data: key \"a\" has no value"),
        (&["-s", "templates/a.yaml", "-o", "json"], "--show-only goes with -o yaml"),
    ] {
        let error = render(flags).await.unwrap_err();
        assert!(error.starts_with(why), "{flags:?}: {error}");
    }
}

#[tokio::test]
async fn a_line_for_helm_template_does_the_same_here() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/crds/w.yaml", "kind: CustomResourceDefinition\n");
    write("web/templates/NOTES.txt", "notes");
    write(
        "web/templates/a.yaml",
        "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\nat: {{ getHostByName \"127.0.0.1\" | quote }}\n",
    );
    write("plain/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}");
    let (web, plain, out) =
        (folder.path().join("web"), folder.path().join("plain"), folder.path().join("out"));
    let (web, plain, out) = (web.to_str().unwrap(), plain.to_str().unwrap(), out.to_str().unwrap());
    let render = async |flags: &[&str]| {
        let made = trueup(&[&["render"], flags].concat()).await;
        made.map(|(_, printed)| printed).map_err(|error| error.to_string())
    };
    let made = |name: &str, address: &str| {
        format!(
            "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\nmetadata: {{name: {name}}}\nat: \"{address}\"\n"
        )
    };

    let without_effect = [
        "--dry-run=client --hide-notes --render-subchart-notes --wait --wait-for-jobs --timeout 5m --description d",
        "--dry-run --wait=legacy --create-namespace --replace --disable-openapi-validation --labels a=b,c=d -l e=f",
        "--atomic --rollback-on-failure --kubeconfig /none --kube-context none --kube-as-user me --qps 2.5 -g",
        "--server-side=false --take-ownership --force --registry-config /none --skip-crds --keyring /none",
    ];
    for flags in without_effect {
        let flags: Vec<&str> = [web].into_iter().chain(flags.split(' ')).collect();
        assert_eq!(render(&flags).await.unwrap(), made("release-name", ""), "{flags:?}");
    }
    assert_eq!(render(&["shop", web, "--enable-dns"]).await.unwrap(), made("shop", "127.0.0.1"));
    let with_crds = render(&["shop", web, "--include-crds", "--skip-crds"]).await.unwrap();
    assert!(with_crds.contains("# Source: web/crds/w.yaml"), "{with_crds}");
    let told = render(&["shop", web, "--output-dir", out, "--release-name"]).await.unwrap();
    assert_eq!(told, format!("wrote {out}/shop/web/templates/a.yaml\n"));

    let asks_a_cluster = "a chart is rendered without a cluster";
    for (flags, why) in [
        (&["shop", web, "-g"][..], "cannot set --generate-name and also specify a name"),
        (&["shop", web, "--name-template", "x"], "cannot set --name-template and also specify a name"),
        (&["shop", web, "--release-name", "other"], "two names: shop and other"),
        (&[web, "--validate"], &format!("--validate: {asks_a_cluster}")),
        (&[web, "--dry-run=server"], &format!("--dry-run=server: {asks_a_cluster}")),
        (&[web, "--post-renderer", "cat"], "--post-renderer: lay a kustomization over the chart"),
        (&[web, "--wait=sometimes"], "error: invalid value 'sometimes' for '--wait"),
        (&["shop", plain], &format!("{plain}: is no chart, and takes no name: shop")),
        (&[plain, "--wait"], &format!("{plain} is no chart: ")),
    ] {
        let error = render(flags).await.unwrap_err();
        assert!(error.starts_with(why), "{flags:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_yaml_is_printed_where_one_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/templates/a.yaml", "a: b: {{ .Release.Name }}\n");
    write("web/templates/empty.yaml", "\n");
    let web = folder.path().join("web");
    let web = web.to_str().unwrap();
    let error = trueup(&["render", web]).await.unwrap_err().to_string();
    assert!(error.starts_with("YAML parse error on web/templates/a.yaml: "), "{error}");
    assert!(error.ends_with("\n\nUse --debug flag to render out invalid YAML"), "{error}");

    let arguments = Arguments::try_parse_from(["trueup", "render", "shop", web, "--debug"]).unwrap();
    let session = Session::new(&arguments.global).unwrap();
    let mut out = Vec::new();
    let error = arguments.command.run(&session, &mut out).await.unwrap_err().to_string();
    assert_eq!(plain(&out), "---\n# Source: web/templates/a.yaml\na: b: shop\n\n");
    assert!(error.starts_with("YAML parse error on ") && !error.contains("--debug"), "{error}");
}

#[tokio::test]
async fn what_a_chart_makes_is_written_into_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/charts/db/Chart.yaml", "{apiVersion: v2, name: db, version: 1.0.0}");
    write("web/charts/db/templates/db.yaml", "kind: ConfigMap\nmetadata: {name: db}\n");
    write("web/crds/w.yaml", "kind: CustomResourceDefinition\n");
    write(
        "web/templates/a.yaml",
        "kind: Service\nmetadata: {name: s}\n---\nkind: ConfigMap\nmetadata: {name: a}\n",
    );
    write(
        "web/templates/hook.yaml",
        "kind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n",
    );
    write("out/web/templates/a.yaml", "what was there before");
    let (web, out) = (folder.path().join("web"), folder.path().join("out"));
    let (web, out) = (web.to_str().unwrap(), out.to_str().unwrap());
    let (_, told) = trueup(&["render", web, "--include-crds", "--output-dir", out]).await.unwrap();
    expect![[r"
        wrote out/web/crds/w.yaml
        wrote out/web/charts/db/templates/db.yaml
        wrote out/web/templates/a.yaml
        wrote out/web/templates/hook.yaml
    "]]
    .assert_eq(&told.replace(out, "out"));
    let text = std::fs::read_to_string(folder.path().join("out/web/templates/a.yaml")).unwrap();
    assert_eq!(
        text,
        "---\n# Source: web/templates/a.yaml\nkind: ConfigMap\nmetadata: {name: a}\n\n\
         ---\n# Source: web/templates/a.yaml\nkind: Service\nmetadata: {name: s}\n\n"
    );
}

#[tokio::test]
async fn values_may_come_from_a_url_and_need_not_fit_the_schema_if_so_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/values.schema.json", r#"{"properties": {"replicas": {"type": "integer"}}}"#);
    write("web/templates/a.yaml", "kind: ConfigMap\nv: {{ toJson .Values }}\n");
    let web = folder.path().join("web");
    let web = web.to_str().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new().route("/values.yaml", axum::routing::get(async || "replicas: many\n"));
    let server = tokio::spawn(axum::serve(listener, routes).into_future());
    let url = format!("http://{address}/values.yaml?token=hidden");

    let error = trueup(&["render", web, "-f", &url]).await.unwrap_err().to_string();
    assert!(error.contains("/replicas") || error.contains("replicas"), "{error}");
    let (_, text) = trueup(&["render", web, "-f", &url, "--skip-schema-validation"]).await.unwrap();
    assert!(text.contains(r#"v: {"replicas":"many"}"#), "{text}");
    let (_, text) = trueup(&["render", web, "-f", &url, "--values"]).await.unwrap();
    assert_eq!(text, format!("replicas: many  # http://{address}/values.yaml:1\n"));
    let missing = format!("http://{address}/none.yaml?token=hidden");
    let error = format!("{:#}", trueup(&["render", web, "-f", &missing]).await.unwrap_err());
    assert!(error.contains("/none.yaml") && error.contains("404") && !error.contains("hidden"), "{error}");
    server.abort();
}

/// A packed chart of that version, which says so.
fn packed(version: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, text) in [
        ("web/Chart.yaml", format!("{{apiVersion: v2, name: web, version: {version}}}")),
        ("web/templates/a.yaml", "kind: ConfigMap\nmetadata: {name: '{{ .Chart.Version }}'}\n".to_owned()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn a_chart_may_be_in_a_repository_or_behind_a_url() {
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    let index = "apiVersion: v1\nentries:\n  web:\n  - {name: web, version: 2.0.0-rc.1, urls: [c.tgz]}\n  \
        - {name: web, version: 1.1.0, urls: [b.tgz]}\n  - {name: web, version: 1.0.0, urls: [a.tgz]}\n";
    // "me:pw"
    let let_in =
        |headers: &HeaderMap| headers.get("authorization").is_some_and(|given| given == "Basic bWU6cHc=");
    let closed = async move |headers: HeaderMap| {
        if let_in(&headers) { Ok(index) } else { Err(StatusCode::UNAUTHORIZED) }
    };
    let mut routes = axum::Router::new()
        .route("/index.yaml", get(async move || index))
        .route("/closed/index.yaml", get(closed));
    for (file, version) in [("a", "1.0.0"), ("b", "1.1.0"), ("c", "2.0.0-rc.1")] {
        let archive = packed(version);
        routes = routes.route(
            &format!("/{file}.tgz"),
            get({
                let archive = archive.clone();
                async move || archive
            }),
        );
        routes = routes.route(&format!("/closed/{file}.tgz"), get(async move || archive));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, routes).into_future());
    let (closed, file) = (format!("{url}/closed"), format!("{url}/a.tgz"));
    let named = async |flags: &[&str]| {
        let made = trueup(&[&["render"], flags, &["-o", "name"]].concat()).await;
        made.map(|(_, names)| names).map_err(|error| format!("{error:#}"))
    };

    for (flags, version) in [
        (&["web", "--repo", &url][..], "1.1.0"),
        (&["shop", "web", "--repo", &url, "--version", "~1.0"], "1.0.0"),
        (&["web", "--repo", &url, "--devel"], "2.0.0-rc.1"),
        (&["web", "--repo", &url, "--devel", "--version", "^1"], "1.1.0"),
        (&["web", "--repo", &closed, "--username", "me", "--password", "pw"], "1.1.0"),
        (&["shop", &file], "1.0.0"),
    ] {
        assert_eq!(named(flags).await.unwrap(), format!("ConfigMap {version}\n"), "{flags:?}");
    }
    for (flags, why) in [
        (&["web", "--repo", &url, "--version", "^3"][..], "^3"),
        (&["other", "--repo", &url], "other"),
        (&["web", "--repo", &closed, "--username", "me", "--password", "wrong"], "401"),
        (&["web", "--repo", "git@example.com:charts"], "charts are read from https, http and oci"),
        (&["web", "--repo", &url, "--ca-file", "/no/such/file"], "/no/such/file"),
    ] {
        let error = named(flags).await.unwrap_err();
        assert!(error.contains(why) && !error.contains("wrong"), "{flags:?}: {error}");
    }
    server.abort();
}

#[tokio::test]
async fn a_chart_and_a_kustomization_are_rendered_with_the_charts_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-{{ .Chart.Name }}'}\n";
    write("lib/Chart.yaml", "{apiVersion: v2, name: lib, version: 1.4.0}");
    write("lib/templates/a.yaml", template);
    write(
        "app/charts/web/Chart.yaml",
        "{apiVersion: v2, name: web, version: 1.0.0, dependencies: [{name: lib, version: ^1, repository: 'file://../../../lib'}]}",
    );
    write("app/charts/web/templates/a.yaml", template);
    write("app/kustomization.yaml", "namePrefix: a-\nhelmCharts: [{name: web, releaseName: shop}]\n");
    let path = |below: &str| folder.path().join(below).to_str().unwrap().to_owned();
    let names = async |what: &str| trueup(&["render", what, "--enable-helm", "-o", "name"]).await.unwrap().1;
    assert_eq!(names(&path("app")).await, "ConfigMap a-shop-lib\nConfigMap a-shop-web\n");
    assert_eq!(
        names(&path("app/charts/web")).await,
        "ConfigMap release-name-lib\nConfigMap release-name-web\n"
    );

    write("lib/Chart.yaml", "{apiVersion: v2, name: lib, version: 2.0.0}");
    for what in ["app", "app/charts/web"] {
        let error = trueup(&["render", &path(what)]).await.unwrap_err().to_string();
        assert!(
            error.contains("web/Chart.yaml: dependency lib ^1 of file://../../../lib: the chart in"),
            "{error}"
        );
        assert!(error.contains("has the version 2.0.0"), "{error}");
    }
}

#[tokio::test]
async fn the_values_of_a_chart_are_shown_with_where_each_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("web/Chart.yaml", "{apiVersion: v2, name: web, version: 1.0.0}");
    write("web/values.yaml", "replicas: 1\nimage: {name: web, tag: latest}\n");
    write("values.yaml", "replicas: 2\n");
    let (web, values) = (folder.path().join("web"), folder.path().join("values.yaml"));
    let (web, values) = (web.to_str().unwrap(), values.to_str().unwrap());
    let flags = ["render", web, "-f", values, "--set", "image.tag=v1", "--values"];
    let (_, text) = trueup(&flags).await.unwrap();
    expect![[r"
        image:
          name: web  # chart web
          tag: v1    # --set
        replicas: 2  # values.yaml:1
    "]]
    .assert_eq(&text.replace(values, "values.yaml"));
    let (_, json) = trueup(&[&flags[..], &["-o", "json"]].concat()).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["values"]["image"]["tag"], "v1");
    assert_eq!(told["sources"][2], serde_json::json!({"path": "/replicas", "source": values, "line": 1}));

    write("plain/a.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}");
    let plain = folder.path().join("plain");
    let error = trueup(&["render", plain.to_str().unwrap(), "--values"]).await.unwrap_err().to_string();
    assert!(error.ends_with("is no chart, and has no values"), "{error}");
}

#[tokio::test]
async fn a_folder_in_no_repository_is_rendered_with_what_stands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| put(folder.path(), path, text);
    write("envs/staging/kustomization.yaml", "resources: [../../base]\nnameSuffix: \"-1\"");
    write("base/kustomization.yaml", "resources: [all.yaml]");
    write("base/all.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}");
    let staging = folder.path().join("envs/staging");
    let render =
        async |flags: &[&str]| trueup(&[&["render", staging.to_str().unwrap()], flags].concat()).await;

    assert_eq!(render(&["-o", "name"]).await.unwrap(), (Verdict::Fine, "ConfigMap a-1\n".to_owned()));
    let (_, sources) = render(&["--provenance"]).await.unwrap();
    assert!(sources.contains("# base/all.yaml:1"), "named from the lowest folder that holds all: {sources}");

    write("base/kustomization.yaml", "resources: [all.yml]");
    let error = render(&[]).await.unwrap_err().to_string();
    assert!(
        error.starts_with("base/kustomization.yaml:1: resources: there is no file or folder base/all.yml"),
        "{error}"
    );

    // What Git ignores is not to be applied, but it is there.
    write("base/kustomization.yaml", "resources: [all.yaml]");
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    write(".gitignore", "all.yaml\n");
    assert_eq!(render(&["-o", "name"]).await.unwrap(), (Verdict::Fine, "ConfigMap a-1\n".to_owned()));
}
