//! What the figures were measured on.

use std::process::Command;

/// The day, as it is written on a page.
pub(crate) fn today() -> String {
    jiff::Zoned::now().date().to_string()
}

/// Its cores, processor, memory and kernel, in words.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Command::new("uname").arg("-sm").output().map(|output| output.stdout).unwrap_or_default();
    let kernel = String::from_utf8_lossy(&kernel).trim().to_owned();
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "processor unknown".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB", (kib + (1 << 19)) >> 20));
    format!("a machine with {cores} cores ({processor}{memory}, {kernel})")
}

/// What a file of the kernel says under a name, the first time.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
