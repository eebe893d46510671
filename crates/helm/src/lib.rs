#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod archive;
mod beside;
mod capabilities;
mod chart;
mod coalesce;
mod engine;
mod error;
mod glob;
mod ignore;
mod load;
mod lock;
mod manifest;
mod metadata;
mod path_pattern;
mod record;
mod refusal;
mod render;
mod schema;
mod semver;
mod set;
mod show;
mod unit;
mod values;

pub use archive::Bounds;
pub use capabilities::{Capabilities, HELM_VERSION, InvalidKubeVersion, KubeVersion};
pub use chart::{Chart, File};
pub use engine::STACK;
pub use error::Error;
pub use load::unpacked;
pub use lock::Lock;
pub use manifest::{Detail, Hook, HookEvent, Manifest};
pub use metadata::{Dependency, Maintainer, Metadata};
pub use record::{InvalidRecord, ReleaseRecord};
pub use render::{
    Action, Call, Calls, Crd, Crds, Leftovers, Lookup, Options, Random, Release, RenderBounds, Rendered,
    Resolve, Schemas, computed_values, release_name, render, texts,
};
pub use semver::is_compatible;
pub use set::{InvalidSet, ReadFile, Typed, set_files, set_values};
pub use show::NotShown;
pub use values::{Values, ValuesError, merge_values, read_values};
