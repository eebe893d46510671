//! Folders of other repositories and files behind URLs: what a build asks for, and what it makes of the trees.

use std::sync::Arc;
use trueup_kustomize::{Failure, LoadRestrictions, Options, Parsed, Remote, Remotes, build_from};
use trueup_model::{MemoryTree, Tree};

const A: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

fn repository(url: &str, reference: &str) -> Remote {
    Remote::Repository { url: url.to_owned(), reference: reference.to_owned() }
}

fn tree(files: &[(&str, &str)]) -> Arc<dyn Tree> {
    Arc::new(files.iter().copied().collect::<MemoryTree>())
}

/// The ids and origins of what `app` is built to, the remotes that it lacks, or its errors; one a line.
fn render(files: &[(&str, &str)], remotes: &Remotes) -> Vec<String> {
    render_with(files, remotes, LoadRestrictions::RootOnly)
}

fn render_with(
    files: &[(&str, &str)],
    remotes: &Remotes,
    load_restrictions: LoadRestrictions,
) -> Vec<String> {
    let local: MemoryTree = files.iter().copied().collect();
    let options = Options { load_restrictions, ..Options::default() };
    match build_from(&local, "app", &options, &Parsed::default(), remotes) {
        Ok(manifests) => manifests.iter().map(|m| format!("{} {}", m.id(), m.origin)).collect(),
        Err(Failure::Missing(missing)) => {
            let needs = missing.iter().map(|needed| match needed.timeout {
                None => format!("needs {}", needed.remote),
                Some(timeout) => format!("needs {} within {timeout:?}", needed.remote),
            });
            needs.collect()
        }
        Err(Failure::Errors(errors)) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_build_asks_for_all_that_it_lacks_and_goes_on_with_what_it_is_given() {
    let app = "resources: [https://h/org/one//deploy?ref=v1, local]\n\
               components: [git@h:org/two?timeout=5]\nnamePrefix: x-\n";
    let files = [
        ("app/kustomization.yaml", app),
        ("app/local/kustomization.yaml", "resources: [a.yaml]"),
        ("app/local/a.yaml", A),
    ];
    let mut remotes = Remotes::default();
    assert_eq!(render(&files, &remotes), ["needs git@h:org/two within 5s", "needs https://h/org/one@v1"]);

    let one = tree(&[
        ("deploy/kustomization.yaml", "resources: [../base, https://h/org/three//x]"),
        ("base/kustomization.yaml", "resources: [b.yaml]"),
        ("base/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"),
    ]);
    let two = tree(&[(
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -y\n",
    )]);
    remotes.0.insert(repository("https://h/org/one", "v1"), Ok(one));
    remotes.0.insert(repository("git@h:org/two", ""), Ok(two));
    assert_eq!(render(&files, &remotes), ["needs https://h/org/three"]);

    let three = tree(&[
        ("x/kustomization.yml", "resources: [c.yaml]"),
        ("x/c.yaml", &A.replace("name: a", "name: c")),
    ]);
    remotes.0.insert(repository("https://h/org/three", ""), Ok(three));
    assert_eq!(
        render(&files, &remotes),
        [
            "ConfigMap x-a-y app/local/a.yaml:1",
            "ConfigMap x-b-y https://h/org/one@v1//base/b.yaml:1",
            "ConfigMap x-c-y https://h/org/three//x/c.yaml:1",
        ]
    );
}

#[test]
fn one_repository_at_two_references_is_two_remotes() {
    let app =
        "resources: [github.com/org/repo//a?ref=v1, 'git::https://github.com/org/repo//b?version=v2']\n";
    assert_eq!(
        render(&[("app/kustomization.yaml", app)], &Remotes::default()),
        ["needs https://github.com/org/repo@v1", "needs https://github.com/org/repo@v2"]
    );
}

#[test]
fn a_file_behind_a_url_is_read_wherever_a_file_is_wanted() {
    let app = "resources: [https://h/x/install.yaml?token=hush]\n\
               patches: [{path: https://h/x/patch.yaml}]\n\
               configMapGenerator: [{name: g, files: [k=https://h/x/data], options: {disableNameSuffixHash: true}}]\n";
    let files = [("app/kustomization.yaml", app)];
    let mut remotes = Remotes::default();
    assert_eq!(
        render(&files, &remotes),
        ["needs https://h/x/data", "needs https://h/x/install.yaml", "needs https://h/x/patch.yaml"]
    );
    for (url, content) in [
        ("https://h/x/install.yaml?token=hush", A),
        (
            "https://h/x/patch.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {patched: 'yes'}\n",
        ),
        ("https://h/x/data", "v"),
    ] {
        remotes.0.insert(Remote::File { url: url.to_owned() }, Ok(tree(&[(Remote::FILE, content)])));
    }
    assert_eq!(
        render(&files, &remotes),
        ["ConfigMap a https://h/x/install.yaml:1", "ConfigMap g app/kustomization.yaml:3"]
    );
}

#[test]
fn a_url_that_may_be_either_is_a_repository_first_and_then_a_file() {
    let files = [("app/kustomization.yaml", "resources: ['https://h/org/either?version=']\n")];
    let file = Remote::File { url: "https://h/org/either?version=".to_owned() };
    let mut remotes = Remotes::default();
    assert_eq!(render(&files, &remotes), ["needs https://h/org/either"]);
    remotes.0.insert(repository("https://h/org/either", ""), Err("nobody speaks Git there".to_owned()));
    assert_eq!(render(&files, &remotes), ["needs https://h/org/either"]);
    remotes.0.insert(file.clone(), Err("404".to_owned()));
    assert_eq!(
        render(&files, &remotes),
        [
            "app/kustomization.yaml:1: resources: https://h/org/either cannot be read: 404; as a repository, https://h/org/either cannot be read: nobody speaks Git there"
        ]
    );
    remotes.0.insert(file, Ok(tree(&[(Remote::FILE, A)])));
    assert_eq!(render(&files, &remotes), ["ConfigMap a https://h/org/either:1"]);
}

#[test]
fn what_cannot_be_read_is_named_with_the_line_that_wants_it() {
    let app = "resources:\n- https://h/org/gone?ref=v1\n- https://h/org/there//none\n- https://h/org/there//a.yaml\n\
               - https://me:hush@h/org/x\n- https://h/org/there\n";
    let mut remotes = Remotes::default();
    remotes.0.insert(repository("https://h/org/gone", "v1"), Err("no route to it".to_owned()));
    remotes.0.insert(repository("https://h/org/there", ""), Ok(tree(&[("a.yaml", A)])));
    assert_eq!(
        render(&[("app/kustomization.yaml", app)], &remotes),
        [
            "app/kustomization.yaml:2: resources: https://h/org/gone@v1 cannot be read: no route to it",
            "app/kustomization.yaml:3: resources: there is no folder https://h/org/there//none",
            "app/kustomization.yaml:4: resources: https://h/org/there//a.yaml is a file; name the folder that holds the kustomization",
            "app/kustomization.yaml:5: resources: https://…@h/… holds a password, which does not belong in a file; take it out, and give the credentials where the repositories are configured",
            "app/kustomization.yaml:6: resources: https://h/org/there//: there is no kustomization file; add one of kustomization.yaml, kustomization.yml, Kustomization",
        ]
    );
}

#[test]
fn nothing_of_another_repository_reads_outside_of_it_or_of_its_own_folder() {
    let base = "resources: [../../out, other/a.yaml, file:///srv/secret.git]\nconfigMapGenerator: [{name: g, files: [../b.txt]}]\n";
    let mut there: MemoryTree = [("deploy/kustomization.yaml", base), ("b.txt", "x")].into_iter().collect();
    there.link("deploy/other", "../../../etc");
    let mut remotes = Remotes::default();
    remotes.0.insert(repository("https://h/org/repo", ""), Ok(Arc::new(there)));
    let files = [
        ("app/kustomization.yaml", "resources: [https://h/org/repo//deploy]\n"),
        ("out/kustomization.yaml", ""),
    ];
    let expected = [
        "https://h/org/repo//deploy/kustomization.yaml:1: resources: https://h/org/repo//deploy: points to ../../out, outside the repository",
        "https://h/org/repo//deploy/kustomization.yaml:1: resources: https://h/org/repo//deploy/other: points to ../../../etc, outside the repository",
        "https://h/org/repo//deploy/kustomization.yaml:1: resources: file:///srv/secret.git is a folder of this machine, which a base of another repository may not name",
        "https://h/org/repo//deploy/kustomization.yaml:2: configMapGenerator g: https://h/org/repo//b.txt is not in or below https://h/org/repo//deploy; move it there, make its folder a base",
    ];
    assert_eq!(render(&files, &remotes), expected);
    // What the one who builds allows to his own files he does not allow to others'.
    assert_eq!(render_with(&files, &remotes, LoadRestrictions::None), expected);
}

#[test]
fn repositories_that_name_each_other_in_a_circle_are_named() {
    let mut remotes = Remotes::default();
    remotes.0.insert(
        repository("https://h/o/a", "v1"),
        Ok(tree(&[("x/kustomization.yaml", "resources: [https://h/o/b]\n")])),
    );
    remotes.0.insert(
        repository("https://h/o/b", ""),
        Ok(tree(&[("kustomization.yaml", "resources: [https://h/o/a//x?ref=v1]\n")])),
    );
    assert_eq!(
        render(&[("app/kustomization.yaml", "resources: [https://h/o/a//x?ref=v1]\n")], &remotes),
        [
            "https://h/o/b//kustomization.yaml:1: resources: the folders name each other in a circle: https://h/o/a@v1//x -> https://h/o/b// -> https://h/o/a@v1//x"
        ]
    );
}

#[test]
fn a_folder_of_the_tree_is_a_base_also_where_a_part_of_its_path_looks_like_a_host() {
    let files = [
        ("app/kustomization.yaml", "resources: [src/github.com/org/repo]\n"),
        ("app/src/github.com/org/repo/kustomization.yaml", "resources: [a.yaml]\n"),
        ("app/src/github.com/org/repo/a.yaml", A),
    ];
    assert_eq!(render(&files, &Remotes::default()), ["ConfigMap a app/src/github.com/org/repo/a.yaml:1"]);
}
