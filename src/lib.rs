//! trueup

pub mod config;
