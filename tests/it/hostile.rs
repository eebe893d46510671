//! Charts that mean harm, given to the program itself: each ends with an error that says what is wrong, while the system lets
//! the process have no more than so much memory and so much time of a processor.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The address space that the process may have, in KiB.
const MEMORY: &str = "2097152";
/// The seconds of a processor that it may take, without optimisation.
const SECONDS: &str = "180";

const METADATA: &str = "apiVersion: v2\nname: bad\nversion: 1.0.0\n";

/// What `trueup render` makes of it, within the limits.
fn render(chart: &Path) -> Output {
    let limited = "ulimit -v \"$1\" && ulimit -t \"$2\" && exec \"$3\" render \"$4\"";
    Command::new("sh")
        .args(["-c", limited, "sh", MEMORY, SECONDS, env!("CARGO_BIN_EXE_trueup")])
        .arg(chart)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn is_refused(chart: &Path, words: &str) {
    let output = render(chart);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}: {:?} {errors}", output.status);
    assert!(errors.contains(words) && errors.len() < 4000, "{words}: {errors}");
    assert!(output.stdout.is_empty(), "{words}: nothing is printed");
}

/// A chart with one template.
fn of_template(folder: &Path, template: &str) -> PathBuf {
    let chart = folder.join("bad");
    std::fs::create_dir_all(chart.join("templates")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), METADATA).unwrap();
    std::fs::write(chart.join("templates/a.yaml"), template).unwrap();
    chart
}

/// A packed chart of these entries, as no honest tool would pack it.
fn archive(folder: &Path, entries: impl Iterator<Item = (String, u64, &'static [u8])>) -> PathBuf {
    let mut tar = Vec::new();
    for (path, size, data) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(data);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    let path = folder.join("bad.tgz");
    let out = std::fs::File::create(&path).unwrap();
    // The system's own is fast enough for what is large.
    let mut gzip = Command::new("gzip").arg("-1").stdin(Stdio::piped()).stdout(out).spawn().unwrap();
    gzip.stdin.take().unwrap().write_all(&tar).unwrap();
    assert!(gzip.wait().unwrap().success());
    path
}

fn metadata() -> (String, u64, &'static [u8]) {
    ("bad/Chart.yaml".to_owned(), METADATA.len() as u64, METADATA.as_bytes())
}

#[test]
fn templates_that_mean_harm_end_with_an_error_within_the_limits() {
    for (template, words) in [
        ("{{ $x := \"{{ tpl .x . }}\" }}{{ tpl $x (dict \"x\" $x) }}", "nested deeper than allowed"),
        ("{{ repeat 10737418240 \"x\" }}", "larger than allowed"),
        ("{{ $x := \"xxxxxxxx\" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}", "larger than allowed"),
        ("{{ mustRegexMatch \"((a{1000}){1000}){1000}\" \"a\" }}", "bad/templates/a.yaml:1"),
        ("{{ until 2000000000 }}", "than allowed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        is_refused(&of_template(folder.path(), template), words);
    }
    // What takes other engines for ever is nothing to this one.
    let folder = tempfile::tempdir().unwrap();
    let harmless = "a: {{ regexMatch \"(a*)*(a|aa)+$\" (repeat 100000 \"a\" | printf \"%sb\") }}\n";
    let output = render(&of_template(folder.path(), harmless));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a: false"));
}

#[test]
fn archives_that_mean_harm_end_with_an_error_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let escaping = [metadata(), ("bad/../../etc/passwd".to_owned(), 1, &b"x"[..])];
    is_refused(&archive(folder.path(), escaping.into_iter()), "parent directory");

    let huge = [metadata(), ("bad/values.yaml".to_owned(), 8 << 30, &b"a: 1\n"[..])];
    is_refused(&archive(folder.path(), huge.into_iter()), "larger than the maximum size");

    let many = (0..100_000).map(|number| (format!("bad/templates/{number}.yaml"), 5, &b"a: 1\n"[..]));
    is_refused(&archive(folder.path(), std::iter::once(metadata()).chain(many)), "more than 20000 files");
}

#[test]
fn an_archive_that_grows_without_end_is_read_no_further_than_allowed() {
    // Twice this is more than a chart may have, in a few hundred kilobytes.
    const NOTHING: u64 = 60 << 20;
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("bad");
    std::fs::create_dir_all(chart.join("files")).unwrap();
    std::fs::write(chart.join("Chart.yaml"), METADATA).unwrap();
    for name in ["0", "1"] {
        let nothing = std::fs::File::create(chart.join("files").join(name)).unwrap();
        nothing.set_len(NOTHING).unwrap();
    }
    let packed = folder.path().join("bomb.tgz");
    let tar = Command::new("tar").arg("-czf").arg(&packed).arg("-C").arg(folder.path()).arg("bad").status();
    assert!(tar.unwrap().success());
    assert!(std::fs::metadata(&packed).unwrap().len() < 1 << 20);
    is_refused(&packed, "larger than the maximum size");
}
