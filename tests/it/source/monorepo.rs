//! A repository of 50,000 files and 500 overlays: what a commit costs depends on the commit.

use super::repository::git_in;
use super::{Bench, branch, generation};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trueup::render::{self, Bases, Parsed, Rendered, Request, Trace, Unrendered};
use trueup::source::{Cache, Commit, Source};
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
    let other = |number: usize| (format!("other/{:03}/{number:05}.txt", number / 100), manifest(number));
    files.extend((0..OTHERS).map(other));
    import(&repo, &files, "First");
    repo
}

/// A text of a manifest's size, and as hard to compress.
fn manifest(number: usize) -> String {
    let line =
        |n: u64| format!("key-{n}: {:016x}\n", (number as u64 * 64 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (0..40).map(line).collect()
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

/// Renders as the reconciler does: what has not been fetched is fetched for all of `paths` together.
async fn rendered(commit: &Commit, number: usize, paths: &BTreeSet<String>) -> Rendered {
    for _ in 0..8 {
        let (tree, parsed) = (Arc::clone(&commit.tree), Parsed::default());
        match render::build_from(tree, &request(number), &parsed, &Bases::new()) {
            Ok(rendered) => return rendered,
            Err(Unrendered::Absent(absent)) => {
                commit.supply(absent.own.union(paths).cloned().collect()).await.unwrap();
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("there is no end to what is needed");
}

async fn render_all(commit: &Commit, numbers: impl Iterator<Item = usize>) -> (Vec<Trace>, Duration) {
    let started = Instant::now();
    let paths = (0..OVERLAYS).map(|number| request(number).path).collect();
    let mut traces = Vec::new();
    for number in numbers {
        let rendered = rendered(commit, number, &paths).await;
        assert_eq!(rendered.manifests.len(), 2);
        traces.push(rendered.trace);
    }
    (traces, started.elapsed())
}

/// What was asked of a server since the last time.
struct Meter<'a> {
    server: &'a GitServer,
    seen: usize,
}

impl Meter<'_> {
    /// How many requests, and the bytes of the answers.
    fn read(&mut self) -> (usize, usize) {
        let requests = self.server.requests();
        let new = &requests[self.seen..];
        self.seen = requests.len();
        (new.len(), new.iter().map(|request| request.sent).sum())
    }
}

/// Follows `main` for one overlay of the monorepo; gives the bytes that a first rendering cost, and those of two commits.
async fn one_overlay(repo: &GitRepo, server: &GitServer, bench: &Bench, what: &str) -> Vec<usize> {
    let mut meter = Meter { server, seen: server.request_count() };
    let source = bench.source(&server.url("config.git"), branch("main"));
    let paths = BTreeSet::from([request(7).path]);
    let mut bytes = Vec::new();
    for (step, path, content) in [
        ("first", "none.txt", what.to_owned()),
        ("a commit elsewhere", "other/000/00002.txt", format!("changed: {what}\n")),
        ("a commit to the App", "overlays/o007/patch.yaml", patch(what.len())),
    ] {
        import(repo, &[(path.to_owned(), content)], "Change");
        let started = Instant::now();
        let commit = latest(&source).await;
        let fetched = started.elapsed();
        rendered(&commit, 7, &paths).await;
        let (requests, sent) = meter.read();
        let all = started.elapsed();
        println!(
            "{what}, {step}: {requests} requests, {sent} bytes, fetched in {fetched:?}, rendered after {all:?}"
        );
        bytes.push(sent);
    }
    bytes
}

#[tokio::test]
async fn of_a_monorepo_one_app_costs_what_it_needs() {
    let repo = monorepo();
    let server = GitServer::serve(&repo).unwrap();
    let counted = git_in(repo.bare_path(), &["count-objects", "-v"]);
    let whole = counted.lines().find_map(|line| line.strip_prefix("size-pack: ")).unwrap();
    let whole = whole.parse::<usize>().unwrap() * 1024;
    let bench = Bench::new();
    one_overlay(&repo, &server, &bench, "large, as is found out").await;
    // The first of these answers was let go of by the client, after its head; the server counts all of it.
    std::fs::remove_dir_all(generation(&bench)).unwrap();
    let again = Bench { cache: Cache::new(&bench.cache_folder()).unwrap(), ..bench };
    let part = one_overlay(&repo, &server, &again, "large, as is known").await;
    assert!(part[0] * 5 < whole, "{part:?} bytes of {whole}");
    assert!(part[1] < 10_000 && part[2] < 10_000, "later it costs what the commit changes: {part:?}");
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
    let (traces, rendered) = render_all(&first, 0..OVERLAYS).await;
    let asked = server.request_count();

    let started = Instant::now();
    assert_eq!(latest(&source).await.revision, first.revision);
    println!(
        "clone {cloned:?}, {OVERLAYS} overlays rendered in {rendered:?}, nothing new in {:?}",
        started.elapsed()
    );
    assert_eq!(server.request_count() - asked, 1, "one list of one reference");

    let mut best = Duration::MAX;
    for (round, (path, content, (expected, requests))) in [
        ("other/000/00001.txt", "changed\n".to_owned(), (vec![], 2)),
        ("overlays/o123/patch.yaml", patch(900), (vec![123], 3)),
        ("overlays/o124/patch.yaml", patch(901), (vec![123, 124], 3)),
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
        let (_, again) = render_all(&commit, found.into_iter()).await;
        println!("{path}: fetched in {fetched:?}, {OVERLAYS} traces in {validated:?}, rendered in {again:?}");
        assert_eq!(
            server.request_count() - asked,
            requests,
            "a list of one reference, folders, and files if needed"
        );
        best = best.min(fetched + validated);
    }
    assert!(best < cloned / 5, "a commit takes {best:?}, the whole repository {cloned:?}");

    import(&repo, &[("base/a.yaml".to_owned(), patch(1))], "The base");
    let commit = latest(&source).await;
    let (found, validated) = outdated(&commit, &traces);
    assert_eq!(found.len(), OVERLAYS);
    let (_, again) = render_all(&commit, found.into_iter()).await;
    println!("the base: {OVERLAYS} traces in {validated:?}, rendered in {again:?}");
}
