//! `helm template` in a few lines: `cargo run --example template -- CHART.tgz [VALUES.yaml]...`

use std::sync::Arc;
use trueup_helm::{Chart, Crds, Options, Release, Values, merge_values, read_values, render};
use trueup_model::MemoryTree;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which chart?")?;
    let chart = if std::path::Path::new(&path).is_dir() {
        let mut tree = MemoryTree::new();
        fill(&mut tree, path.as_ref(), "")?;
        Chart::from_tree(&tree, "")?
    } else {
        Chart::from_archive(&std::fs::read(&path)?, &path)?
    };
    let mut values = Values::new();
    for file in arguments {
        merge_values(&mut values, read_values(&std::fs::read_to_string(file)?)?);
    }
    // An example makes no secrets that anybody should use.
    let mut state = 1_u8;
    let random = std::sync::Mutex::new(move || {
        state = state.wrapping_mul(141).wrapping_add(3);
        state
    });
    let random = Arc::new(move |bytes: &mut [u8]| {
        if let Ok(mut next) = random.lock() {
            bytes.fill_with(&mut *next);
        }
    });
    let options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random);
    let rendered = render(&chart, &values, &options)?;
    std::io::Write::write_all(&mut std::io::stdout(), rendered.to_text(Crds::Included).as_bytes())?;
    Ok(())
}

fn fill(tree: &mut MemoryTree, folder: &std::path::Path, below: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            fill(tree, &entry.path(), &format!("{path}/"))?;
        } else {
            tree.insert(&path, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}
