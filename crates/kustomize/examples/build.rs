//! `cargo run --example build -- REPOSITORY [FOLDER]` prints what `kustomize build REPOSITORY/FOLDER` prints.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use trueup_kustomize::{Options, build};
use trueup_model::{MemoryTree, yaml};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let repository = arguments.next().ok_or("name a folder")?;
    let folder = arguments.next().unwrap_or_default();
    let mut tree = MemoryTree::new();
    insert(&mut tree, Path::new(&repository), "")?;
    let manifests = build(&tree, &folder, &Options::default())?;
    let documents: Vec<String> = manifests.iter().map(|manifest| yaml::to_yaml(&manifest.value)).collect();
    std::io::stdout().write_all(documents.join("---\n").as_bytes())?;
    Ok(())
}

fn insert(tree: &mut MemoryTree, folder: &Path, below: &str) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            insert(tree, &entry.path(), &format!("{path}/"))?;
        } else {
            tree.insert(&path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}
