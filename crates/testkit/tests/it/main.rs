//! The servers that other tests rely on do what they are said to do.

mod control_plane;
mod git;
mod patch_keys;
