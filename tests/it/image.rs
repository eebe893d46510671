//! The Dockerfile, without a builder of images: each of its steps says what it takes and what it leaves, and the one that collects
//! what ssh needs is run on this machine. Absent: that its base images and their packages exist, and the build for musl.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What follows `FROM` up to the next one.
struct Stage {
    image: String,
    /// Word and arguments of each step.
    steps: Vec<(String, String)>,
}

impl Stage {
    fn all(&self, word: &str) -> Vec<&str> {
        self.steps.iter().filter(|(one, _)| one == word).map(|(_, rest)| rest.as_str()).collect()
    }

    fn one(&self, word: &str) -> &str {
        match self.all(word)[..] {
            [one] => one,
            ref all => panic!("{} times {word} in the stage from {}", all.len(), self.image),
        }
    }
}

/// The stages by their names; the last one has none.
fn stages() -> BTreeMap<String, Stage> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "FROM" {
            let (image, name) = rest.split_once(" AS ").unwrap_or((rest, ""));
            name.clone_into(&mut current);
            stages.insert(current.clone(), Stage { image: image.to_owned(), steps: Vec::new() });
        } else {
            let known = ["RUN", "WORKDIR", "COPY", "ARG", "USER", "ENV", "EXPOSE", "ENTRYPOINT", "CMD"];
            assert!(known.contains(&word), "{word} is no step that this test knows");
            stages.get_mut(&current).unwrap().steps.push((word.to_owned(), rest.to_owned()));
        }
    }
    stages
}

#[test]
fn every_step_of_the_image_takes_what_is_there() {
    let stages = stages();
    let (program, system, image) = (&stages["program"], &stages["system"], &stages[""]);
    assert_eq!(image.image, "scratch");
    // The compiler is the one that the sources ask for.
    let manifest = read("Cargo.toml");
    let compiler = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert_eq!(program.image, format!("docker.io/library/rust:{}-alpine", compiler.trim_matches('"')));
    // What is copied from here is here, and reaches the builder.
    let ignored: Vec<String> = read(".dockerignore").lines().map(str::to_owned).collect();
    for stage in [program, system] {
        for copy in stage.all("COPY") {
            let (from, _) = copy.split_once(' ').unwrap();
            assert!(root().join(from).exists(), "{from} is not there");
            assert!(!ignored.contains(&from.to_owned()), "{from} does not reach the builder");
        }
    }
    for needed in ["Cargo.toml", "Cargo.lock", ".cargo", "build.rs", "src", "crates", "charts"] {
        assert!(root().join(needed).exists() && !ignored.contains(&needed.to_owned()), "{needed}");
    }
    // What is copied from a stage is what the stage makes.
    assert!(
        program.all("RUN").iter().any(|run| run.starts_with("cargo build --locked --release --bin trueup "))
    );
    let made = format!("{}/target/release/trueup", program.one("WORKDIR"));
    let collected =
        system.all("RUN").into_iter().find_map(|run| run.strip_prefix("/image-root.sh ")).unwrap();
    let expected =
        [format!("--from=system {collected}/ /"), format!("--from=program {made} /usr/bin/trueup")];
    assert_eq!(image.all("COPY"), expected);
    assert_eq!(system.one("COPY"), "scripts/image-root.sh /image-root.sh");
}

#[test]
fn the_image_is_what_the_chart_expects() {
    let stages = stages();
    let image = &stages[""];
    assert_eq!(image.one("ENTRYPOINT"), r#"["/usr/bin/trueup"]"#);
    let deployment = read("charts/trueup/templates/deployment.yaml");
    let user = deployment.lines().find_map(|line| line.trim().strip_prefix("runAsUser: ")).unwrap();
    let group = deployment.lines().find_map(|line| line.trim().strip_prefix("runAsGroup: ")).unwrap();
    assert_eq!(image.one("USER"), format!("{user}:{group}"));
    let home = deployment.split("- name: HOME\n").nth(1).unwrap().lines().next().unwrap();
    let home = home.trim().strip_prefix("value: ").unwrap();
    assert!(image.one("ENV").split(' ').any(|one| one == format!("HOME={home}")));
    assert!(!deployment.contains("command:"), "the entry point is the image's");
    let values = read("charts/trueup/values.yaml");
    assert!(values.contains(&format!("  port: {}\n", image.one("EXPOSE"))));
}

/// Runs ssh as it is in the image: where that needs rights that this user does not have, with the image's loader and libraries.
fn ssh(image: &Path, argument: &str) -> std::process::Output {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if is_root {
        let mut command = Command::new("chroot");
        command.arg("--userspec=65532:65532").arg(image).args(["/usr/bin/ssh", argument, "git.example.com"]);
        return command.output().unwrap();
    }
    let files = |folder: &str| -> Vec<PathBuf> {
        let files = walk(&image.join(folder));
        files.into_iter().filter(|path| path.to_string_lossy().contains(".so")).collect()
    };
    let all: Vec<PathBuf> = ["lib", "lib64", "usr/lib"].iter().flat_map(|folder| files(folder)).collect();
    let loader =
        all.iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("ld-")).unwrap();
    let folders: Vec<String> = all.iter().map(|path| path.parent().unwrap().display().to_string()).collect();
    let mut command = Command::new(loader);
    command.args(["--library-path", &folders.join(":")]).arg(image.join("usr/bin/ssh"));
    command.args([argument, "git.example.com"]).output().unwrap()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn ssh_works_with_what_is_collected_for_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let collected = Command::new(root().join("scripts/image-root.sh")).arg(&image).output().unwrap();
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    let user = fs::read_to_string(image.join("etc/passwd")).unwrap();
    assert!(user.starts_with("trueup:x:65532:65532:"), "{user}");
    let authorities = fs::read_to_string(image.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(authorities.matches("BEGIN CERTIFICATE").count() > 50);
    // Whoever runs containers brings devices.
    fs::create_dir(image.join("dev")).unwrap();
    fs::write(image.join("dev/null"), "").unwrap();
    let free = Command::new("chmod").args(["-R", "a+rwX"]).arg(folder.path()).status().unwrap();
    assert!(free.success());
    let version = ssh(&image, "-V");
    let words = String::from_utf8_lossy(&version.stderr).into_owned();
    assert!(version.status.success() && words.starts_with("OpenSSH"), "{version:?}");
    // It knows who it is, and reads its configuration.
    let settings = ssh(&image, "-G");
    let words = String::from_utf8_lossy(&settings.stdout).into_owned();
    assert!(settings.status.success() && words.contains("hostname git.example.com"), "{settings:?}");
}
