//! A repository of 50,000 files and 500 overlays: what a commit costs depends on the commit.

use super::{Bench, branch};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trueup::render::{self, Request, Trace};
use trueup::source::{Commit, Source};
use trueup_testkit::{GitRepo, GitServer};

const OVERLAYS: usize = 500;
const OTHERS: usize = 49_000;

/// Writes a commit on top of `main` without a working tree.
pub(crate) fn import(repo: &GitRepo, files: &[(String, String)], message: &str) {
    let mut stream =
        format!("commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\n", 1_700_000_000);
    write!(stream, "data {}\n{message}\n", message.len()).unwrap();
    if message != "First" {
        stream.push_str("from refs/heads/main^0\n");
    }
    for (path, content) in files {
        write!(stream, "M 100644 inline {path}\ndata {}\n{content}\n", content.len()).unwrap();
    }
    let mut command = Command::new("git");
    command.arg("-C").arg(repo.bare_path()).args(["fast-import", "--quiet", "--force"]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn monorepo() -> GitRepo {
    let repo = GitRepo::create().unwrap();
    let object =
        |kind: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: web}}\ndata: {{a: '1'}}\n");
    let mut files = vec![
        ("base/kustomization.yaml".to_owned(), "resources: [a.yaml, b.yaml]\n".to_owned()),
        ("base/a.yaml".to_owned(), object("ConfigMap")),
        ("base/b.yaml".to_owned(), object("Secret")),
    ];
    for number in 0..OVERLAYS {
        let text =
            format!("namePrefix: o{number}-\nresources: [../../base]\npatches: [{{path: patch.yaml}}]\n");
        files.push((format!("overlays/o{number:03}/kustomization.yaml"), text));
        files.push((format!("overlays/o{number:03}/patch.yaml"), patch(number)));
    }
    let other =
        |number: usize| (format!("other/{:03}/{number:05}.txt", number / 100), format!("file {number}\n"));
    files.extend((0..OTHERS).map(other));
    import(&repo, &files, "First");
    repo
}

fn patch(value: usize) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{a: 'p{value}'}}\n")
}

fn request(number: usize) -> Request {
    Request { path: format!("overlays/o{number:03}"), ..Request::default() }
}

async fn latest(source: &Source) -> Commit {
    let head = source.poll().await.unwrap();
    source.fetch(&head).await.unwrap()
}

/// The overlays whose rendering does not hold any more, and how long it took to find that out.
fn outdated(commit: &Commit, traces: &[Trace]) -> (Vec<usize>, Duration) {
    let started = Instant::now();
    let outdated = (0..traces.len()).filter(|number| !traces[*number].holds_in(&*commit.tree)).collect();
    (outdated, started.elapsed())
}

fn render_all(commit: &Commit, numbers: impl Iterator<Item = usize>) -> (Vec<Trace>, Duration) {
    let started = Instant::now();
    let render = |number| {
        let rendered = render::build(Arc::clone(&commit.tree), &request(number)).unwrap();
        assert_eq!(rendered.manifests.len(), 2);
        rendered.trace
    };
    (numbers.map(render).collect(), started.elapsed())
}

#[tokio::test]
async fn a_commit_to_a_repository_of_fifty_thousand_files_costs_what_the_commit_changes() {
    let repo = monorepo();
    let server = GitServer::serve(&repo).unwrap();
    let bench = Bench::new();
    let source = bench.source(&server.url("config.git"), branch("main"));
    let started = Instant::now();
    let first = latest(&source).await;
    let cloned = started.elapsed();
    let (traces, rendered) = render_all(&first, 0..OVERLAYS);
    let asked = server.request_count();

    let started = Instant::now();
    assert_eq!(latest(&source).await.revision, first.revision);
    println!(
        "clone {cloned:?}, {OVERLAYS} overlays rendered in {rendered:?}, nothing new in {:?}",
        started.elapsed()
    );
    assert_eq!(server.request_count() - asked, 2, "a greeting and one list of one reference");

    let mut best = Duration::MAX;
    for (round, (path, content, expected)) in [
        ("other/000/00001.txt", "changed\n".to_owned(), vec![]),
        ("overlays/o123/patch.yaml", patch(900), vec![123]),
        ("overlays/o124/patch.yaml", patch(901), vec![123, 124]),
    ]
    .into_iter()
    .enumerate()
    {
        import(&repo, &[(path.to_owned(), content)], &format!("Change {round}"));
        let asked = server.request_count();
        let started = Instant::now();
        let commit = latest(&source).await;
        let fetched = started.elapsed();
        let (found, validated) = outdated(&commit, &traces);
        assert_eq!(found, expected, "only what the commit touches");
        let (_, again) = render_all(&commit, found.into_iter());
        println!("{path}: fetched in {fetched:?}, {OVERLAYS} traces in {validated:?}, rendered in {again:?}");
        assert_eq!(server.request_count() - asked, 4, "one list of one reference, and one fetch");
        best = best.min(fetched + validated);
    }
    assert!(best < cloned / 5, "a commit takes {best:?}, the whole repository {cloned:?}");

    import(&repo, &[("base/a.yaml".to_owned(), patch(1))], "The base");
    let commit = latest(&source).await;
    let (found, validated) = outdated(&commit, &traces);
    assert_eq!(found.len(), OVERLAYS);
    let (_, again) = render_all(&commit, found.into_iter());
    println!("the base: {OVERLAYS} traces in {validated:?}, rendered in {again:?}");
}
