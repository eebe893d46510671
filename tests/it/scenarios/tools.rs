//! The programs that users have beside trueup: kubectl, and Helm.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a script of this repository prints: the path of a program, built where it has to be.
fn program(script: &str) -> PathBuf {
    let script = format!("{}/scripts/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(&script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{script}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The real kubectl.
pub(super) fn kubectl() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(|| program("kubectl.sh")))
}

/// The real Helm.
pub(super) fn helm() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(|| program("helm.sh")))
}
