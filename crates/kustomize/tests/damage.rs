//! Damaged files never bring a build down: it gives manifests or errors, whatever the bytes are.

use std::path::{Path, PathBuf};
use trueup_kustomize::{Options, build};
use trueup_model::MemoryTree;

/// Damages of each case.
const ROUNDS: u64 = 12;
/// What is put into a file, besides what is taken out of it.
const PIECES: &[&str] =
    &["- ", ": ", "null", "[]", "{}", "\n", "'", "..", "/", "$patch: delete\n", "-1", "*a", "&a ", "é"];

fn cases_folder() -> PathBuf {
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
        PathBuf::from,
    )
}

/// A small generator of numbers (`SplitMix64`), so that each run damages the same places.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap_or_default()
    }
}

fn damage(text: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let at = numbers.below(bytes.len() + 1);
    match numbers.below(4) {
        0 => bytes.truncate(at),
        1 => {
            let end = (at + 1 + numbers.below(12)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        2 => bytes.insert(at, u8::try_from(numbers.below(256)).unwrap_or_default()),
        _ => {
            let piece = PIECES[numbers.below(PIECES.len())];
            bytes.splice(at..at, piece.bytes());
        }
    }
    bytes
}

#[test]
fn a_damaged_file_gives_an_error_and_never_a_panic() {
    let folder = cases_folder().join("kustomize");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("the conformance cases are missing: there is no folder {}", folder.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut refused = 0_usize;
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let case: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let root = case["root"].as_str().unwrap().trim_start_matches('/').trim_start_matches('.').to_owned();
        let files: Vec<(&str, &str)> = case["files"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, text)| (path.trim_start_matches('/'), text.as_str().unwrap()))
            .collect();
        for round in 0..ROUNDS {
            let mut numbers = Numbers(round);
            let mut tree: MemoryTree = files.iter().copied().collect();
            let (path, text) = files[numbers.below(files.len())];
            tree.insert(path, damage(text, &mut numbers));
            refused += usize::from(build(&tree, &root, &Options::default()).is_err());
        }
    }
    assert!(refused > 0, "some damage must have been noticed");
}
