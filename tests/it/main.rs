//! All integration tests in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says what this machine lacks for it")]

mod demo;
mod hostile;
mod image;
mod imagined;
mod proof;
mod scenarios;
mod source;
