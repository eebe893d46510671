//! Kustomize (v5.8) as a library: a folder of a [`Tree`] goes in, manifests come out in the order and
//! with the values that `kustomize build` prints.
//!
//! Everything is read through the tree and nothing else is touched: no file system, no network, no clock,
//! no environment. Equal trees give equal results. What a kustomization names in other repositories comes as trees, too:
//! a build says which it lacks ([`build_from`]). Charts are rendered by whoever calls ([`build_with_charts`]). Absent on
//! purpose: plugins that run programs or containers, which are refused with their names, files and lines.
//!
//! The way of a build: `kustomization` reads what a folder's file says; `build` collects resources and
//! bases, runs `generate` and the `transform`ers, and at the end brings `names` in line, sorts
//! (`order`) and writes the notes that were asked for (`trace`).

mod bounds;
mod build;
mod charts;
mod config;
mod crds;
mod error;
mod fields;
mod generate;
mod id;
mod kustomization;
mod load;
mod merge;
mod model;
mod names;
mod notes;
mod order;
mod parsed;
mod path;
mod plugins;
mod provenance;
mod remote;
mod resmap;
mod resource;
mod schema_choice;
mod scope;
mod shared;
mod spelled;
mod steps;
mod structured;
mod text;
mod trace;
mod transform;
mod variables;

pub use charts::{Inflate, Inflated, Inflation, ReleaseName, Uninflated};
pub use error::{Error, Errors, Failure};
pub use parsed::Parsed;
pub use remote::{Needed, Remote, Remotes};

use load::Reach;
use trueup_model::provenance::Provenance;
use trueup_model::tree::{self, Entry, EntryKind};
use trueup_model::{Manifest, Tree, TreeError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Which files a kustomization may read besides bases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadRestrictions {
    /// Only files in or below its own folder.
    #[default]
    RootOnly,
    /// Every file of the tree.
    None,
}

/// The order of the output where the kustomization does not set `sortOptions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reorder {
    /// As the files name the resources.
    None,
    /// By kind: namespaces and definitions first, webhooks last.
    Legacy,
    /// As `kustomize build` does when it is not told: by kind.
    #[default]
    Unspecified,
}

/// How to build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which files may be read.
    pub load_restrictions: LoadRestrictions,
    /// The order of the output.
    pub reorder: Reorder,
}

/// Builds the folder `root` of the tree, as `kustomize build root` does.
///
/// Each manifest carries the file and line that it came from; a generated one those of its generator.
///
/// # Errors
/// All problems that could be found in one go.
pub fn build(tree: &dyn Tree, root: &str, options: &Options) -> Result<Vec<Manifest>, Errors> {
    build::build(tree, root, *options, None, Reach::new(&Remotes::default(), None)).0
}

/// As [`build`]; files that were parsed for another build are not parsed again.
///
/// # Errors
/// All problems that could be found in one go.
pub fn build_with(
    tree: &dyn Tree,
    root: &str,
    options: &Options,
    parsed: &Parsed,
) -> Result<Vec<Manifest>, Errors> {
    build::build(tree, root, *options, Some(parsed.clone()), Reach::new(&Remotes::default(), None)).0
}

/// As [`build_with`], for a tree that names folders of other repositories, or files behind URLs.
///
/// What is not among `remotes` is asked for: whoever has put it there calls again, until nothing is lacking. A base
/// may name further ones, so that can take several calls.
///
/// # Errors
/// All remotes that are lacking, as far as the build could see; otherwise all problems that could be found in one go.
pub fn build_from(
    tree: &dyn Tree,
    root: &str,
    options: &Options,
    parsed: &Parsed,
    remotes: &Remotes,
) -> Result<Vec<Manifest>, Failure> {
    let reach = Reach::new(remotes, None);
    let (built, missing) = build::build(tree, root, *options, Some(parsed.clone()), reach);
    // What is lacking may hide other problems, and cause some.
    if missing.is_empty() { built.map_err(Failure::Errors) } else { Err(Failure::Missing(missing)) }
}

/// As [`build_from`], for a tree whose kustomizations have charts: `inflate` renders them, as `kustomize build --enable-helm`
/// has Helm do it. Without it a chart is refused.
///
/// # Errors
/// As [`build_from`]; charts that are lacking are remotes like others.
pub fn build_with_charts(
    tree: &dyn Tree,
    root: &str,
    options: &Options,
    parsed: &Parsed,
    remotes: &Remotes,
    inflate: &Inflate<'_>,
) -> Result<Vec<Manifest>, Failure> {
    let reach = Reach::new(remotes, Some(inflate));
    let (built, missing) = build::build(tree, root, *options, Some(parsed.clone()), reach);
    if missing.is_empty() { built.map_err(Failure::Errors) } else { Err(Failure::Missing(missing)) }
}

/// As [`build_with_charts`], and for each field of the manifests the file and line that it comes from.
///
/// # Errors
/// As [`build_from`].
pub fn build_with_provenance(
    tree: &dyn Tree,
    root: &str,
    options: &Options,
    remotes: &Remotes,
    inflate: Option<&Inflate<'_>>,
) -> Result<Vec<(Manifest, Provenance)>, Failure> {
    let (built, missing) = build::build_with_provenance(tree, root, *options, Reach::new(remotes, inflate));
    if missing.is_empty() { built.map_err(Failure::Errors) } else { Err(Failure::Missing(missing)) }
}

/// The name of the kustomization file in the folder `path`, if it has one.
///
/// # Errors
/// The tree cannot be read there.
pub fn is_kustomization(tree: &dyn Tree, path: &str) -> Result<Option<String>, TreeError> {
    for name in load::FILE_NAMES {
        if let Some((_, Entry { kind: EntryKind::File, .. })) = tree::resolve(tree, &tree::join(path, name)?)?
        {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
