//! trueup

pub mod source;
