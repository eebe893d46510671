//! What a tree holds that is refused is left out, so that the rest of it is compared as well.
//!
//! A tree is refused as soon as one of its many parts is. Its parts are therefore added to what is taken, half of them at
//! a time, and halves of what is refused: most parts are fine, so that a few questions find the one that is not. What
//! is built here is asked, being fast; kustomize is asked about the outcome: whether it takes the largest tree, too, and
//! refuses each part that is left out.

use super::case::Files;

/// The fields of a kustomization that every tree keeps.
const BASIC: &[&str] = &["apiVersion", "kind", "resources", "bases", "components"];

/// What is left of a tree.
pub(crate) struct Pruned {
    /// The largest tree that was taken, if any was.
    pub(crate) taken: Option<Files>,
    /// Trees that were refused: that one with each of the parts that it lacks, or the bare one.
    pub(crate) refused: Vec<Files>,
}

/// Calls `is_taken` with trees that grow from the bare one.
pub(crate) fn prune(files: &Files, is_taken: &mut dyn FnMut(&Files) -> bool) -> Pruned {
    let split: Vec<(&String, Vec<String>)> = files
        .iter()
        .filter(|(path, _)| {
            ["kustomization.yaml", "kustomization.yml", "Kustomization"]
                .iter()
                .any(|name| path.ends_with(name))
        })
        .map(|(path, text)| (path, blocks(text)))
        .collect();
    let mut kept: Vec<Vec<bool>> =
        split.iter().map(|(_, blocks)| blocks.iter().map(|block| is_basic(block)).collect()).collect();
    let tree = |kept: &[Vec<bool>]| {
        let mut tree = files.clone();
        for ((path, blocks), kept) in split.iter().zip(kept) {
            let blocks = blocks.iter().zip(kept).filter(|(_, kept)| **kept).map(|(block, _)| block.as_str());
            tree.insert((*path).clone(), blocks.collect());
        }
        tree
    };
    // A file of nothing is refused.
    for (kept, (_, blocks)) in kept.iter_mut().zip(&split) {
        if blocks.iter().zip(&*kept).all(|(block, kept)| !kept || is_header(block))
            && let Some(last) = kept.last_mut()
        {
            *last = true;
        }
    }
    let bare = tree(&kept);
    if !is_taken(&bare) {
        return Pruned { taken: None, refused: vec![bare] };
    }
    let places: Vec<(usize, usize)> = kept
        .iter()
        .enumerate()
        .flat_map(|(file, blocks)| (0..blocks.len()).map(move |block| (file, block)))
        .filter(|&(file, block)| !kept[file][block])
        .collect();
    // Together they are refused: that is known.
    let halves = places.split_at(places.len() / 2);
    let mut waiting: Vec<&[(usize, usize)]> = vec![halves.1, halves.0];
    while let Some(places) = waiting.pop() {
        let mut more = kept.clone();
        for &(file, block) in places {
            more[file][block] = true;
        }
        if places.is_empty() || is_taken(&tree(&more)) {
            kept = more;
        } else if places.len() > 1 {
            let (first, last) = places.split_at(places.len() / 2);
            waiting.extend([last, first]);
        }
    }
    let left_out = places.iter().filter(|(file, block)| !kept[*file][*block]);
    let refused = left_out.map(|&(file, block)| {
        let mut more = kept.clone();
        more[file][block] = true;
        tree(&more)
    });
    Pruned { refused: refused.collect(), taken: Some(tree(&kept)) }
}

fn key(block: &str) -> &str {
    block.split(':').next().unwrap_or_default()
}

fn is_basic(block: &str) -> bool {
    BASIC.contains(&key(block))
}

fn is_header(block: &str) -> bool {
    ["apiVersion", "kind"].contains(&key(block))
}

/// The fields of a kustomization, each with all its lines.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        match blocks.last_mut() {
            Some(block) if line.starts_with([' ', '-', '#', '\r', '\n']) => block.push_str(line),
            Some(_) | None => blocks.push(line.to_owned()),
        }
    }
    blocks
}
