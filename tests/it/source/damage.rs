use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use trueup_model::TreeError;
use trueup_model::tree::read_text;

use super::server::Server;
use super::*;

/// A way to break a mirror.
type Damage = fn(&Path);

fn pack(git_dir: &Path, extension: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(git_dir.join("objects/pack")).unwrap();
    let mut found = entries.map(|entry| entry.unwrap().path());
    let found = found.find(|path| path.extension() == Some(extension.as_ref())).unwrap();
    std::fs::set_permissions(&found, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    found
}

fn overwrite(path: &Path, at: SeekFrom, bytes: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(at).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_mirror_is_found_at_the_next_fetch_and_cloned_anew() {
    let damages: [(&str, Damage); 9] = [
        ("the pack is gone", |at| std::fs::remove_file(pack(at, "pack")).unwrap()),
        ("the index is gone", |at| std::fs::remove_file(pack(at, "idx")).unwrap()),
        ("the pack is cut off", |at| {
            std::fs::File::options().write(true).open(pack(at, "pack")).unwrap().set_len(40).unwrap();
        }),
        ("the pack starts with noise", |at| overwrite(&pack(at, "pack"), SeekFrom::Start(12), &[0xff; 60])),
        ("the index is noise", |at| std::fs::write(pack(at, "idx"), [0x5a; 2000]).unwrap()),
        ("HEAD is gone", |at| std::fs::remove_file(at.join("HEAD")).unwrap()),
        ("the configuration is noise", |at| std::fs::write(at.join("config"), "[[[").unwrap()),
        ("all is gone", |at| std::fs::remove_dir_all(at).unwrap()),
        ("the folder is empty", |at| {
            std::fs::remove_dir_all(at).unwrap();
            std::fs::create_dir(at).unwrap();
        }),
    ];
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    for (what, damage) in damages {
        let bench = Bench::new();
        read(&bench.source(&server.url(), branch("main")), "a.yaml").await;
        damage(&generation(&bench));
        server.requests();
        let restarted = Cache::new(&bench.cache_folder()).unwrap();
        let source = restarted.open(spec(&server.url(), branch("main"))).unwrap();
        assert_eq!(read(&source, "a.yaml").await, "one\n", "{what}");
        assert_eq!(count(&server.requests(), "fetch"), 1, "{what}");
        repository::git_in(&generation(&bench), &["fsck"]);
        assert_eq!(read(&source, "base/b.yaml").await, "b\n", "{what}");
        assert_eq!(count(&server.requests(), "fetch"), 0, "{what}: once is enough");
    }
}

#[tokio::test]
async fn damage_that_hinders_the_next_commit_is_healed_on_the_way() {
    let damages: [(&str, Damage); 3] = [
        ("the boundary is noise", |at| std::fs::write(at.join("shallow"), "noise\n").unwrap()),
        ("a lock was left", |at| std::fs::write(at.join("shallow.lock"), "").unwrap()),
        ("the packs cannot be written", |at| {
            std::fs::remove_dir_all(at.join("objects/pack")).unwrap();
            std::fs::write(at.join("objects/pack"), "").unwrap();
        }),
    ];
    for (what, damage) in damages {
        let repository = one_commit();
        let server = Server::start(repository.parent()).await;
        let bench = Bench::new();
        let source = bench.source(&server.url(), branch("main"));
        read(&source, "a.yaml").await;
        damage(&generation(&bench));
        repository.write("a.yaml", "two\n");
        repository.commit("Second");
        assert_eq!(read(&source, "a.yaml").await, "two\n", "{what}");
    }
}

#[tokio::test]
async fn content_that_does_not_fit_its_id_is_never_given_out() {
    let repository = one_commit();
    // Too random to be compressed, so that the flipped bytes are the file's own.
    let noise = lines(4000, |n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    repository.write("noise.yaml", &noise);
    repository.commit("Noise");
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    read(&bench.source(&server.url(), branch("main")), "a.yaml").await;
    overwrite(&pack(&generation(&bench), "pack"), SeekFrom::End(-9000), &[0x00; 8]);

    let restarted = Cache::new(&bench.cache_folder()).unwrap();
    let source = restarted.open(spec(&server.url(), branch("main"))).unwrap();
    let head = source.poll().await.unwrap();
    let commit = source.fetch(&head).await.unwrap();
    let read = read_text(&*commit.tree, "noise.yaml");
    assert!(matches!(read, Err(TreeError::Store { .. })), "{read:?}");
    assert!(source.is_damaged(), "the next fetch is worth it although nothing moved");
    let commit = source.fetch(&head).await.unwrap();
    assert!(!source.is_damaged());
    assert_eq!(read_text(&*commit.tree, "noise.yaml").unwrap(), noise);
}

#[tokio::test]
async fn many_fetches_do_not_gather_packs_without_end() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    let first = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    for number in 0..54 {
        repository.write("a.yaml", &format!("{number}\n"));
        repository.commit("More");
        assert_eq!(read(&source, "a.yaml").await, format!("{number}\n"));
    }
    let packs = std::fs::read_dir(generation(&bench).join("objects/pack")).unwrap().count() / 2;
    assert!(packs < 10, "{packs} packs");
    assert_eq!(read_text(&*first.tree, "base/b.yaml").unwrap(), "b\n", "a tree that is held stays readable");
    drop(first);
    assert!(generation(&bench).ends_with("g2"), "{}", generation(&bench).display());
}

#[tokio::test]
async fn a_generation_goes_when_no_tree_of_it_is_held_any_more() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    let held = source.fetch(&source.poll().await.unwrap()).await.unwrap();
    let mut places = vec![generation(&bench)];
    let there = |places: &[PathBuf]| places.iter().map(|place| place.exists()).collect::<Vec<_>>();
    // A program that another test starts at that moment holds what this process holds until it runs: then it goes a round later.
    for number in 0..20 {
        std::fs::write(generation(&bench).join("shallow"), "noise\n").unwrap();
        repository.write("a.yaml", &format!("{number}\n"));
        repository.commit("More");
        assert_eq!(read(&source, "a.yaml").await, format!("{number}\n"));
        places.push(generation(&bench));
        if number >= 2 && there(&places[..3]) == [true, false, false] {
            break;
        }
    }
    assert_eq!(there(&places[..3]), [true, false, false], "what is held stays, and nothing else");
    assert!(places.pop().unwrap().exists(), "what counts stays");
    assert_eq!(read_text(&*held.tree, "a.yaml").unwrap(), "one\n");
}

const CHILD: &str = "TRUEUP_TEST_FETCHES";

/// Not a rule of its own: what the killed process of the next test runs.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(text) = std::env::var(CHILD) else { return };
    let (url, folder) = text.split_once(' ').unwrap();
    let source = Cache::new(Path::new(folder)).unwrap().open(spec(url, branch("main"))).unwrap();
    read(&source, "a.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_in_the_middle_of_a_fetch_leaves_a_mirror_that_works() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let mut cut_off = 0;
    for number in 0..20_u64 {
        if number % 3 == 0 {
            // Every third is a first clone.
            let _ = std::fs::remove_dir_all(bench.cache_folder().join("git"));
        }
        let big = lines(20_000, |n| format!("{:x}", (n + number * 7).wrapping_mul(0x9e37_79b9)));
        repository.write("big.yaml", &big);
        repository.write("a.yaml", &format!("{number}\n"));
        repository.commit("More");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "source::damage::the_process_that_is_killed"])
            .env(CHILD, format!("{} {}", server.url(), bench.cache_folder().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(8 * (number + 1))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        server.requests();
        let restarted = Cache::new(&bench.cache_folder()).unwrap();
        let source = restarted.open(spec(&server.url(), branch("main"))).unwrap();
        assert_eq!(read(&source, "a.yaml").await, format!("{number}\n"));
        cut_off += count(&server.requests(), "fetch");
        assert_eq!(read(&source, "big.yaml").await, big);
        repository::git_in(&generation(&bench), &["fsck"]);
    }
    assert!(cut_off > 0, "none was killed before its fetch was done");
}
