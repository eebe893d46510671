//! Charts from a server of files and from a real OCI registry. An archive is any bytes here: nobody looks into it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use trueup::source::charts::{Chart, ChartLocation, ChartSource, ChartSpec};
use trueup::source::{Cache, Credentials, ErrorClass, Location, SourceError, Spec};
use trueup_testkit::{Access, FileServer, Registry, RegistryAccess, Transport};

use super::basic;

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn source(folder: &Path, url: &str, credentials: Credentials) -> ChartSource {
    let (location, _) = ChartLocation::parse(url).unwrap();
    let spec = ChartSpec {
        credentials,
        insecure: url.starts_with("oci://"),
        timeout: std::time::Duration::from_secs(30),
        ..ChartSpec::new(location)
    };
    Cache::new(folder).unwrap().charts(&spec)
}

fn class(result: Result<Chart, SourceError>) -> (ErrorClass, String) {
    let error = result.unwrap_err();
    (error.class(), error.to_string())
}

/// A repository with these versions of `web`, whose archives are named and filled after them.
fn repository(versions: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("charts")).unwrap();
    let mut index = "apiVersion: v1\nentries:\n  web:\n".to_owned();
    for version in versions {
        let archive = format!("archive of {version}");
        std::fs::write(folder.path().join(format!("charts/web-{version}.tgz")), &archive).unwrap();
        let hash = digest(archive.as_bytes());
        let hash = hash.trim_start_matches("sha256:");
        let _ = writeln!(
            index,
            "  - {{name: web, version: {version}, digest: {hash}, urls: [web-{version}.tgz]}}"
        );
    }
    std::fs::write(folder.path().join("charts/index.yaml"), index).unwrap();
    folder
}

/// What was asked of a server since `before`: the path's last part, and the status.
fn asked(server: &FileServer, before: usize) -> Vec<String> {
    let requests = server.requests();
    let shown = |path: &str, status: u16| format!("{} {status}", path.rsplit('/').next().unwrap());
    requests[before..].iter().map(|request| shown(&request.path, request.status)).collect()
}

#[tokio::test]
async fn an_index_is_read_again_only_if_it_changed_and_an_archive_once() {
    let files = repository(&["1.2.0", "1.10.0", "2.0.0-rc.1"]);
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let charts = source(folder.path(), &server.url("charts"), Credentials::default());
    let chart = charts.fetch("web", "^1").await.unwrap();
    assert_eq!((chart.version.as_str(), &chart.bytes[..]), ("1.10.0", &b"archive of 1.10.0"[..]));
    assert_eq!(chart.digest, digest(b"archive of 1.10.0"));
    assert_eq!(asked(&server, 0), ["index.yaml 200", "web-1.10.0.tgz 200"]);

    assert_eq!(charts.fetch("web", "").await.unwrap(), chart);
    assert_eq!(asked(&server, 2), ["index.yaml 304"]);
    assert_eq!(charts.fetch("web", "1.2.x").await.unwrap().version, "1.2.0");
    assert_eq!(asked(&server, 3), ["index.yaml 304", "web-1.2.0.tgz 200"]);

    let restarted = source(folder.path(), &server.url("charts"), Credentials::default());
    assert_eq!(restarted.fetch("web", "^1").await.unwrap(), chart);
    assert_eq!(asked(&server, 5), ["index.yaml 304"]);

    let more = repository(&["1.2.0", "1.10.0", "1.11.0"]);
    for name in ["index.yaml", "web-1.11.0.tgz"] {
        std::fs::copy(more.path().join("charts").join(name), files.path().join("charts").join(name)).unwrap();
    }
    assert_eq!(restarted.fetch("web", "^1").await.unwrap().version, "1.11.0");
    assert_eq!(asked(&server, 6), ["index.yaml 200", "web-1.11.0.tgz 200"]);

    server.pause().unwrap();
    assert_eq!(class(restarted.fetch("web", "^1").await).0, ErrorClass::Unreachable);
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_is_near() {
    let files = repository(&["1.2.0", "1.10.0"]);
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let charts = source(folder.path(), &server.url("charts"), Credentials::default());
    let place = server.url("charts");
    for (name, range, expected) in [
        ("wbe", "", format!("{place} has no chart wbe; near matches: web")),
        ("web", "^2", format!("{place} has no chart web with a version in ^2; near matches: 1.10.0, 1.2.0")),
    ] {
        assert_eq!(class(charts.fetch(name, range).await), (ErrorClass::RefMissing, expected));
    }
    let (kind, text) = class(charts.fetch("web", "newest").await);
    assert!(kind == ErrorClass::Invalid && text.contains("improper constraint"), "{text}");
    let nothing = source(folder.path(), &server.url("elsewhere"), Credentials::default());
    assert_eq!(class(nothing.fetch("web", "").await).0, ErrorClass::RefMissing);
    std::fs::remove_file(files.path().join("charts/web-1.10.0.tgz")).unwrap();
    let (kind, text) = class(charts.fetch("web", "").await);
    assert!(kind == ErrorClass::RefMissing && text.contains("archive of web 1.10.0"), "{text}");
}

#[tokio::test]
async fn an_archive_that_is_not_the_promised_one_is_refused() {
    let files = repository(&["1.2.0"]);
    std::fs::write(files.path().join("charts/web-1.2.0.tgz"), "something else").unwrap();
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let charts = source(folder.path(), &server.url("charts"), Credentials::default());
    let (kind, text) = class(charts.fetch("web", "").await);
    assert!(kind == ErrorClass::Damaged && text.contains(&digest(b"something else")), "{text}");
}

#[tokio::test]
async fn credentials_and_authorities_let_in_and_go_to_no_other_server() {
    let files = repository(&["1.2.0"]);
    let access = || Access::Basic { user: "me".into(), password: "secret".into() };
    let server = FileServer::start(files.path(), access(), Transport::Tls).unwrap();
    let url = server.url("charts");
    let with = |credentials: Credentials| Credentials {
        ca_pem: server.authority().map(str::to_owned),
        ..credentials
    };
    let fetch = async |credentials| {
        let folder = tempfile::tempdir().unwrap();
        source(folder.path(), &url, credentials).fetch("web", "").await
    };
    assert_eq!(class(fetch(basic("me", "secret")).await).0, ErrorClass::TlsCa);
    assert_eq!(class(fetch(with(Credentials::default())).await).0, ErrorClass::Authentication);
    let (kind, text) = class(fetch(with(basic("me", "wrong"))).await);
    assert!(kind == ErrorClass::Authentication && !text.contains("wrong"), "{text}");
    assert_eq!(fetch(with(basic("me", "secret"))).await.unwrap().version, "1.2.0");
    server.set_access(Access::Bearer { token: "ticket".into() });
    let token =
        Credentials { bearer_token: Some(trueup::source::Secret::new("ticket")), ..Credentials::default() };
    assert_eq!(fetch(with(token)).await.unwrap().version, "1.2.0");

    // An index may lead elsewhere, where the same password would let in.
    let elsewhere = FileServer::start(files.path(), access(), Transport::Plain).unwrap();
    let leading = tempfile::tempdir().unwrap();
    let index = format!(
        "apiVersion: v1\nentries: {{web: [{{name: web, version: 1.2.0, urls: ['{}']}}]}}\n",
        elsewhere.url("charts/web-1.2.0.tgz")
    );
    std::fs::write(leading.path().join("index.yaml"), index).unwrap();
    let leading = FileServer::start(leading.path(), access(), Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let charts = source(folder.path(), &leading.url(""), basic("me", "secret"));
    assert_eq!(class(charts.fetch("web", "").await).0, ErrorClass::Authentication);
    assert_eq!(asked(&elsewhere, 0), ["web-1.2.0.tgz 401"]);
}

/// Pushes what a manifest of that kind of parts names, under a tag; gives the manifest's digest.
pub(crate) async fn push(
    registry: &Registry,
    path: &str,
    tag: &str,
    archive: &[u8],
    kinds: [&str; 2],
) -> String {
    let authority = registry.authority().map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).unwrap());
    let client = reqwest::Client::builder().tls_certs_merge(authority).build().unwrap();
    let base = format!("{}/{path}", registry.url());
    let start = || client.post(format!("{base}/blobs/uploads/"));
    let refused = start().send().await.unwrap();
    // Realm, service and scope stand between quotes.
    let challenge =
        refused.headers().get("www-authenticate").map(|header| header.to_str().unwrap().to_owned());
    let parts: Vec<&str> = challenge.as_deref().unwrap_or_default().split('"').collect();
    let token = match &parts[..] {
        ["Bearer realm=", realm, _, service, _, scope, ..] => {
            let url = format!("{realm}?service={service}&scope={scope}");
            let asked = client.get(url).basic_auth(Registry::USER, Some(Registry::PASSWORD));
            let answer: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
            Some(answer["token"].as_str().unwrap().to_owned())
        }
        _ => None,
    };
    let let_in = |request: reqwest::RequestBuilder| match &token {
        Some(token) => request.bearer_auth(token),
        None => request.basic_auth(Registry::USER, Some(Registry::PASSWORD)),
    };
    let config = json!({ "apiVersion": "v2", "name": "web", "version": tag.replace('_', "+") }).to_string();
    let mut described = Vec::new();
    for (bytes, kind) in [(config.as_bytes(), kinds[0]), (archive, kinds[1])] {
        let begun = let_in(start()).send().await.unwrap();
        assert_eq!(begun.status(), 202, "{:?}", begun.text().await);
        let location = begun.headers()["location"].to_str().unwrap().to_owned();
        let mut url = reqwest::Url::parse(&registry.url()).unwrap().join(&location).unwrap();
        url.query_pairs_mut().append_pair("digest", &digest(bytes));
        let request = client.put(url).body(bytes.to_vec());
        let stored = let_in(request).header("content-type", "application/octet-stream").send().await.unwrap();
        assert_eq!(stored.status(), 201);
        described.push(json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() }));
    }
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind, "config": described[0], "layers": [described[1]],
    });
    let manifest = manifest.to_string();
    let request = client.put(format!("{base}/manifests/{tag}")).header("content-type", kind);
    let stored = let_in(request.body(manifest.clone())).send().await.unwrap();
    assert_eq!(stored.status(), 201, "{:?}", stored.text().await);
    digest(manifest.as_bytes())
}

const CHART: [&str; 2] =
    ["application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"];

#[tokio::test]
async fn a_registry_gives_the_newest_version_in_the_range_and_its_digest() {
    let registry = Registry::start(RegistryAccess::Anyone, Transport::Plain).unwrap();
    let mut digests = Vec::new();
    for tag in ["1.2.0", "1.10.0", "1.10.1_build.5", "2.0.0-rc.1", "latest"] {
        let archive = format!("archive of {tag}");
        digests.push(push(&registry, "charts/web", tag, archive.as_bytes(), CHART).await);
    }
    push(&registry, "images/web", "1.0.0", b"no chart", ["application/vnd.oci.image.config.v1+json", "x/y"])
        .await;
    let folder = tempfile::tempdir().unwrap();
    let charts = source(folder.path(), &format!("oci://{}/charts", registry.host()), Credentials::default());
    for (range, version, digest) in [
        ("", "1.10.1+build.5", &digests[2]),
        ("~1.2", "1.2.0", &digests[0]),
        ("1.10.0", "1.10.0", &digests[1]),
        (">=2.0.0-0", "2.0.0-rc.1", &digests[3]),
        ("1.10.1+build.5", "1.10.1+build.5", &digests[2]),
    ] {
        let chart = charts.fetch("web", range).await.unwrap();
        assert_eq!((chart.version.as_str(), &chart.digest), (version, digest), "{range}");
        let archive = format!("archive of {}", version.replace('+', "_"));
        assert_eq!(&chart.bytes[..], archive.as_bytes(), "{range}");
    }
    let (kind, text) = class(charts.fetch("web", "^3").await);
    assert!(kind == ErrorClass::RefMissing && text.contains("near matches: 2.0.0-rc.1"), "{text}");
    assert_eq!(class(charts.fetch("web", "3.0.0").await).0, ErrorClass::RefMissing);
    assert_eq!(class(charts.fetch("none", "").await).0, ErrorClass::RefMissing);
    let images =
        source(folder.path(), &format!("oci://{}/images/web", registry.host()), Credentials::default());
    let (kind, text) = class(images.fetch("", "1.0.0").await);
    assert!(kind == ErrorClass::Invalid && text.contains("it is no chart"), "{text}");

    // What is named by its digest is the same for ever, and needs nobody once it is here.
    let pinned = format!("oci://{}/charts/web@{}", registry.host(), digests[0]);
    drop(registry);
    let pinned = source(folder.path(), &pinned, Credentials::default());
    assert_eq!(
        class(pinned.fetch("", "^1").await).0,
        ErrorClass::Unreachable,
        "its description was never read"
    );
    let tagged = charts.fetch("web", "1.2.0").await;
    assert_eq!(class(tagged).0, ErrorClass::Unreachable);
}

#[tokio::test]
async fn what_is_named_by_its_digest_is_asked_for_once() {
    let registry = Registry::start(RegistryAccess::Anyone, Transport::Plain).unwrap();
    let digest = push(&registry, "charts/web", "1.2.0", b"archive", CHART).await;
    let folder = tempfile::tempdir().unwrap();
    let pinned = format!("oci://{}/charts/web@{digest}", registry.host());
    let charts = source(folder.path(), &pinned, Credentials::default());
    let chart = charts.fetch("", "^1").await.unwrap();
    assert_eq!((chart.version.as_str(), &chart.digest), ("1.2.0", &digest));
    assert_eq!(class(charts.fetch("", "^2").await).0, ErrorClass::RefMissing);
    drop(registry);
    assert_eq!(charts.fetch("", "").await.unwrap(), chart);
}

#[tokio::test]
async fn a_registry_lets_in_by_password_or_by_a_token_for_it() {
    for (access, transport) in [
        (RegistryAccess::Basic, Transport::Plain),
        (RegistryAccess::Token, Transport::Plain),
        (RegistryAccess::Basic, Transport::Tls),
    ] {
        let registry = Registry::start(access, transport).unwrap();
        let digest = push(&registry, "charts/web", "1.2.0", b"archive", CHART).await;
        push(&registry, "charts/api", "3.0.0", b"another", CHART).await;
        let folder = tempfile::tempdir().unwrap();
        let (location, _) = ChartLocation::parse(&format!("oci://{}/charts", registry.host())).unwrap();
        let cache = Cache::new(folder.path()).unwrap();
        let open = |credentials: Credentials| {
            cache.charts(&ChartSpec {
                credentials: Credentials { ca_pem: registry.authority().map(str::to_owned), ..credentials },
                insecure: transport == Transport::Plain,
                ..ChartSpec::new(location.clone())
            })
        };
        let nobody = open(Credentials::default());
        assert_eq!(class(nobody.fetch("web", "").await).0, ErrorClass::Authentication, "{access:?}");
        let (kind, text) = class(open(basic(Registry::USER, "wrong")).fetch("web", "").await);
        assert!(kind == ErrorClass::Authentication && !text.contains("wrong"), "{access:?} {text}");
        let charts = open(basic(Registry::USER, Registry::PASSWORD));
        for _ in 0..2 {
            let chart = charts.fetch("web", "^1").await.unwrap();
            assert_eq!((&chart.digest, &chart.bytes[..]), (&digest, &b"archive"[..]), "{access:?}");
            // A token is for one chart.
            assert_eq!(charts.fetch("api", "").await.unwrap().version, "3.0.0", "{access:?}");
        }
    }
}

#[tokio::test]
async fn an_archive_that_no_digest_is_promised_of_is_transferred_only_if_it_changed() {
    let files = repository(&["1.2.0"]);
    let index = files.path().join("charts/index.yaml");
    std::fs::write(
        &index,
        "apiVersion: v1\nentries: {web: [{name: web, version: 1.2.0, urls: [web-1.2.0.tgz]}]}\n",
    )
    .unwrap();
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = || source(folder.path(), &server.url("charts"), Credentials::default());
    let charts = open();
    let chart = charts.fetch("web", "").await.unwrap();
    assert_eq!(charts.fetch("web", "").await.unwrap(), chart);
    assert_eq!(open().fetch("web", "").await.unwrap(), chart);
    let unchanged = ["index.yaml 304", "web-1.2.0.tgz 304"];
    assert_eq!(asked(&server, 2), [unchanged, unchanged].concat());

    std::fs::write(files.path().join("charts/web-1.2.0.tgz"), "put in its place").unwrap();
    let other = charts.fetch("web", "").await.unwrap();
    assert_eq!(&other.bytes[..], b"put in its place");
    assert_eq!(asked(&server, 6), ["index.yaml 304", "web-1.2.0.tgz 200"]);
}

#[tokio::test]
async fn a_chart_is_a_source_whose_revision_is_its_version_and_digest() {
    let files = repository(&["1.2.0", "2.0.0"]);
    let server = FileServer::start(files.path(), Access::Anyone, Transport::Plain).unwrap();
    let registry = Registry::start(RegistryAccess::Anyone, Transport::Plain).unwrap();
    let pushed = push(&registry, "charts/web", "1.2.0", b"archive of 1.2.0", CHART).await;
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path()).unwrap();
    let open = |repository: &str, range: &str| {
        let spec = Spec { insecure: true, ..Spec::new(Location::chart(repository, "web", range).unwrap()) };
        cache.open(spec).unwrap()
    };
    let (place, oci) = (server.url("charts"), format!("oci://{}/charts", registry.host()));
    let both = [(&place, digest(b"archive of 1.2.0")), (&oci, pushed)];
    for (repository, digest) in &both {
        let source = open(repository, "^1");
        let head = source.poll().await.unwrap();
        assert_eq!(head.revision, format!("1.2.0@{digest}"));
        let commit = source.fetch(&head).await.unwrap();
        assert_eq!(&commit.tree.read("content").unwrap()[..], b"archive of 1.2.0");
    }
    let exact = open(&place, "1.2.0");
    let first = exact.poll().await.unwrap();
    let before = server.requests().len();
    assert_eq!(exact.poll().await.unwrap(), first);
    assert_eq!(server.requests().len(), before, "a version that is named is asked for once");

    // Whoever starts anew has what was fetched before, and nobody else.
    server.pause().unwrap();
    drop(registry);
    for (repository, digest) in &both {
        let source = open(repository, "^1");
        assert!(source.poll().await.is_err());
        let kept = source.kept(&format!("1.2.0@{digest}")).await.unwrap().unwrap();
        assert_eq!(&kept.tree.read("content").unwrap()[..], b"archive of 1.2.0");
        assert!(source.kept("1.2.0@sha256:0000").await.unwrap().is_none());
    }
}
