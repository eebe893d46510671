//! Processes that do not outlive their owner.
//!
//! Each server runs under a small shell that holds the read end of a pipe. The pipe closes when the owner drops its end and
//! also when the owner's process ends in any way, SIGKILL included; then the shell kills the server and waits for it. That
//! is the portable way without `unsafe` (`PR_SET_PDEATHSIG` would need it).

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The number of a process that was waited for may be another one's a moment later, so signals go to those only that were not: the
/// server is killed by the shell that waits for it, and the one that reads the pipe is ended only where it has not ended by itself.
const RUN: &str = r#"
exec 3<&0 </dev/null
over=
trap 'over=yes; kill -KILL "$server"' USR1
"$@" 3<&- &
server=$!
( while read -r _ <&3; do :; done; kill -USR1 "$$" ) 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
status=$?
if [ -n "$over" ]; then
    wait "$server"
    exit 137
fi
trap '' USR1
kill "$watch" 2>/dev/null
exit "$status"
"#;

/// The servers of a folder are killed at the same moment as this runs, so the folder may be written to for an instant longer.
const REMOVE: &str = r#"
while read -r _; do :; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" 2>/dev/null && exit 0
    sleep 0.3
done
"#;

/// A server process and the pipe that keeps it alive.
#[derive(Debug)]
pub(crate) struct Supervised {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    shell: Child,
    alive: Option<ChildStdin>,
    log: PathBuf,
}

impl Supervised {
    /// Starts `program`; what it prints goes to `<folder>/<name>.log`.
    pub(crate) fn spawn(name: &str, program: &Path, arguments: &[String], folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut shell = shell(RUN)
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name} through sh"))?;
        let alive = shell.stdin.take();
        let program = program.to_owned();
        Ok(Self { name: name.to_owned(), program, arguments: arguments.to_vec(), shell, alive, log })
    }

    /// Starts the server again if it has ended.
    pub(crate) fn revive(&mut self) -> Result<()> {
        if self.ended()?.is_some() {
            let folder = self.log.parent().context("the log stands in no folder")?;
            *self = Self::spawn(&self.name, &self.program, &self.arguments, folder)?;
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How the server ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.shell.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    /// The last lines that the server printed, for error messages.
    pub(crate) fn last_words(&self) -> String {
        let text =
            fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// How many lines that the server printed hold `text`.
    pub(crate) fn count_of(&self, text: &str) -> usize {
        let said = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).lines().filter(|line| line.contains(text)).count()
    }

    /// Kills the server and returns when it is gone.
    pub(crate) fn stop(&mut self) {
        drop(self.alive.take());
        // The shell ends on its own; an error here could only mean that it was waited for already.
        let _ = self.shell.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A temporary folder that is removed when its owner is gone, in whatever way.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    remover: Child,
}

impl Folder {
    pub(crate) fn create(kind: &str) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix(&format!("trueup-{kind}-"))
            .tempdir()
            .context("cannot create a temporary folder")?
            .keep();
        let remover = shell(REMOVE)
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        Ok(Self { path, remover })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        for _ in 0..100 {
            if !matches!(self.remover.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A shell in a process group of its own, so that Ctrl-C in a terminal reaches the owner first and only.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("supervise").process_group(0);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::wait_until;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn no_signal_goes_to_a_number_that_may_be_another_ones_by_then() -> Result<()> {
        let told = format!("kill() {{ command kill \"$@\" || echo missed; }}\n{RUN}");
        for (server, code) in [("exec sleep 1000", 137), ("exit 7", 7)] {
            let mut command = shell(&told);
            command.args(["sh", "-c", server]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn()?;
            let alive = child.stdin.take();
            if code == 7 {
                let ended = || Ok(child.try_wait()?);
                wait_until("it ends by itself", SOON, ended)?;
            }
            drop(alive);
            let output = child.wait_with_output()?;
            assert_eq!(
                (output.status.code(), String::from_utf8_lossy(&output.stdout)),
                (Some(code), "".into())
            );
        }
        Ok(())
    }

    #[test]
    fn a_server_that_ended_is_started_again_and_one_that_runs_is_left_alone() -> Result<()> {
        let folder = Folder::create("supervised")?;
        let gate = folder.path().join("gate");
        let script = format!("echo started; test -e {0} || exit 1; exec sleep 1000", gate.display());
        let mut server =
            Supervised::spawn("server", Path::new("sh"), &["-c".to_owned(), script], folder.path())?;
        wait_until("the server ends", SOON, || server.ended())?;
        File::create(&gate)?;
        server.revive()?;
        wait_until("the server starts again", SOON, || Ok((server.count_of("started") == 2).then_some(())))?;
        server.revive()?;
        assert_eq!((server.ended()?, server.count_of("started")), (None, 2));
        Ok(())
    }
}
