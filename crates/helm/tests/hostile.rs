//! Charts that mean harm end in an error that says where, within bounds that are counted and not clocked.

#![allow(clippy::unwrap_used, reason = "a test")]

mod packed;

use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;
use std::sync::Arc;
use tar::{EntryType, Header};
use trueup_helm::{
    Bounds, Chart, Error, Options, Release, RenderBounds, Rendered, Values, read_values, render,
};
use trueup_model::MemoryTree;

const METADATA: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: bad\nversion: 1.0.0\n");

/// Bounds that a harmless chart never meets, and that are soon met.
fn options() -> Options {
    let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
    let mut options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random);
    options.bounds = RenderBounds { steps: 2_000_000, output: 2 << 20 };
    options
}

fn rendered(files: &[(&str, &str)], values: &str) -> Result<Rendered, Error> {
    let mut tree = MemoryTree::from_iter([METADATA]);
    for (path, text) in files {
        tree.insert(path, text);
    }
    render(&Chart::from_tree(&tree, "")?, &read_values(values).unwrap(), &options())
}

/// The template ends with a bound's error that names its place.
#[track_caller]
fn is_ended(template: &str, why: &str) {
    let error = rendered(&[("templates/a.yaml", template)], "").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Limit(_)), "{template}: {text}");
    assert!(
        text.contains("bad/templates/a.yaml:1:") && text.contains(why) && text.len() < 1000,
        "{template}: {text}"
    );
}

#[test]
fn what_calls_itself_without_end_is_ended() {
    is_ended("{{ $x := \"{{ tpl .x . }}\" }}{{ tpl $x (dict \"x\" $x) }}", "nested deeper than allowed");
    is_ended(
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "nested deeper than allowed",
    );
    is_ended(
        "{{ define \"b\" }}{{ tpl \"{{ include `b` . }}{{ include `b` . }}\" . }}{{ end }}{{ range 1000000 }}{{ include \"b\" $ }}{{ end }}",
        "than allowed",
    );
}

#[test]
fn what_would_fill_the_memory_is_ended() {
    for (template, why) in [
        ("{{ repeat 10737418240 \"x\" }}", "larger than allowed"),
        ("{{ range 10000 }}{{ repeat 1000000 \"x\" }}{{ end }}", "larger than allowed"),
        ("{{ $x := \"xxxxxxxx\" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}", "larger than allowed"),
        ("{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ $x }}", "than allowed"),
        (
            "{{ $x := dict }}{{ range 64 }}{{ $x = dict \"a\" $x \"b\" $x }}{{ end }}{{ deepCopy $x | len }}",
            "than allowed",
        ),
        ("{{ until 2000000000 }}", "than allowed"),
        ("{{ indent 1000000000 \"a\\nb\" }}", "larger than allowed"),
        ("{{ printf \"%1000000d\" 1 | repeat 1000 }}", "larger than allowed"),
        ("{{ range 1000000000 }}{{ end }}", "more steps than allowed"),
        ("{{ $x := list }}{{ range 1000000 }}{{ $x = append $x 1 }}{{ end }}", "than allowed"),
        ("{{ .Values | toYaml | repeat 100000000 }}", "larger than allowed"),
    ] {
        is_ended(template, why);
    }
}

#[test]
fn shared_values_do_not_grow_when_they_are_written_as_yaml_json_or_toml() {
    let doubled = "{{ $x := dict \"v\" 1 }}{{ range 64 }}{{ $x = dict \"a\" $x \"b\" $x }}{{ end }}";
    for end in
        ["toYaml", "toYamlPretty", "toJson", "mustToJson", "toPrettyJson", "toToml", "mustToYaml", "deepCopy"]
    {
        is_ended(&format!("{doubled}{{{{ {end} $x }}}}"), "than allowed");
    }
    is_ended(&format!("{doubled}{{{{ merge (dict) $x | len }}}}{{{{ toYaml $x }}}}"), "than allowed");
}

#[test]
fn what_holds_itself_is_refused() {
    for end in ["toYaml", "toJson", "toToml", "print", "deepCopy", "mustToYaml", "toYamlPretty"] {
        let template = format!("{{{{ $x := dict }}}}{{{{ $_ := set $x \"x\" $x }}}}{{{{ {end} $x }}}}");
        match rendered(&[("templates/a.yaml", &template)], "") {
            Ok(rendered) => assert!(rendered.manifests.is_empty(), "{end}: {:?}", rendered.manifests),
            // In Helm, too, `toToml` gives what is wrong as its text.
            Err(Error::Manifest { template, .. }) => assert_eq!(template, "bad/templates/a.yaml", "{end}"),
            Err(error) => assert!(error.to_string().contains("bad/templates/a.yaml:1:"), "{end}: {error}"),
        }
    }
}

#[test]
fn a_regular_expression_takes_no_more_than_its_text_and_its_size_allow() {
    let bomb = "{{ regexMatch \"(a*)*(a|aa)+$\" (repeat 100000 \"a\" | printf \"%sb\") }}";
    assert_eq!(
        rendered(&[("templates/a.yaml", &format!("a: {bomb}\n"))], "").unwrap().manifests[0].text,
        "a: false\n"
    );
    let error =
        rendered(&[("templates/a.yaml", "{{ mustRegexMatch \"((a{1000}){1000}){1000}\" \"a\" }}")], "")
            .unwrap_err();
    assert!(error.to_string().contains("bad/templates/a.yaml:1:"), "{error}");
}

#[test]
fn all_templates_of_a_chart_share_one_budget() {
    let work = "{{ range 30000 }}{{ end }}a: 1\n";
    let names: Vec<String> = (0..200).map(|number| format!("templates/{number:03}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), work)).collect();
    assert_eq!(rendered(&files[..10], "").unwrap().manifests.len(), 10);
    let error = rendered(&files, "").unwrap_err();
    assert!(
        matches!(error, Error::Limit(_)) && error.to_string().contains("more steps than allowed"),
        "{error}"
    );
}

#[test]
fn a_chart_of_more_files_than_allowed_is_refused() {
    let mut tree = MemoryTree::from_iter([METADATA]);
    for number in 0..=Bounds::default().files {
        tree.insert(&format!("templates/{number}.yaml"), "");
    }
    let error = Chart::from_tree(&tree, "").unwrap_err().to_string();
    assert!(error.contains("more than 20000 files"), "{error}");
}

#[test]
fn values_that_repeat_themselves_are_refused_with_their_line() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        let number = level.to_string();
        bomb.extend(["a", &number, ": &a", &number, " [", &[before.as_str(); 9].join(", "), "]\n"]);
    }
    let error = rendered(&[("values.yaml", &bomb)], "").unwrap_err().to_string();
    assert!(
        error.starts_with("chart bad: values.yaml: line ") && error.contains("repeats too much"),
        "{error}"
    );
    let error = read_values(&bomb).unwrap_err().to_string();
    assert!(error.starts_with("line "), "{error}");
    // A template that reads it is told, as it is of all that cannot be read.
    let template = "{{ $m := .Files.Get \"bomb.yaml\" | fromYaml }}error: {{ $m.Error | quote }}\n";
    let made = rendered(&[("bomb.yaml", &bomb), ("templates/a.yaml", template)], "").unwrap();
    assert!(made.manifests[0].text.contains("repeats too much"), "{}", made.manifests[0].text);
}

#[test]
fn values_that_are_nested_too_deeply_are_refused_with_their_line() {
    let deep = format!("a: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let error = rendered(&[("values.yaml", &deep)], "").unwrap_err().to_string();
    assert!(error.starts_with("chart bad: values.yaml: line 1"), "{error}");
}

#[test]
fn a_huge_file_of_values_is_refused_before_it_is_read() {
    let large = vec![b'#'; 2 << 20];
    let archive = packed(&[("bad/values.yaml", EntryType::Regular, &large)]);
    let bounds = Bounds { bytes: 1 << 20, ..Bounds::default() };
    let error = Chart::from_archive_within(&archive, "bad.tgz", bounds).unwrap_err().to_string();
    assert!(error.contains("larger than the maximum size 1048576"), "{error}");
}

/// A packed chart of these entries, beside its metadata.
fn packed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let own = ("bad/Chart.yaml", EntryType::Regular, METADATA.1.as_bytes());
    packed::packed(&[&[own], entries].concat())
}

#[test]
fn an_archive_s_size_is_counted_as_it_is_unpacked_and_not_as_it_says() {
    // Ten archives within one another would be 100 MiB each time; the bounds are one for all.
    let mut bomb = packed(&[("bad/zeros", EntryType::Regular, &vec![0; 512 << 10])]);
    for _ in 0..3 {
        bomb = packed(&[
            ("bad/charts/bad-1.0.0.tgz", EntryType::Regular, &bomb),
            ("bad/zeros", EntryType::Regular, &vec![0; 512 << 10]),
        ]);
    }
    assert!(bomb.len() < 64 << 10);
    let within = |bytes| Chart::from_archive_within(&bomb, "bad.tgz", Bounds { bytes, ..Bounds::default() });
    assert!(within(3 << 20).is_ok());
    assert!(within(1 << 20).unwrap_err().to_string().contains("larger than the maximum size"));
    let depth = Bounds { depth: 2, ..Bounds::default() };
    let error = Chart::from_archive_within(&bomb, "bad.tgz", depth).unwrap_err().to_string();
    assert!(error.contains("more than 2 deep"), "{error}");
    // One that says to be huge and is cut off.
    let mut header = Header::new_gnu();
    header.set_path("bad/huge").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut cut = GzEncoder::new(Vec::new(), Compression::fast());
    cut.write_all(header.as_bytes()).unwrap();
    let error = Chart::from_archive(&cut.finish().unwrap(), "bad.tgz").unwrap_err().to_string();
    assert!(error.contains("larger than the maximum size"), "{error}");
}

#[test]
fn archives_and_folders_lead_nowhere_else() {
    for (path, kind) in [
        ("bad/../../etc/passwd", EntryType::Regular),
        ("bad/../..", EntryType::Regular),
        ("bad//etc/passwd", EntryType::Regular),
        ("bad\\..\\..\\x", EntryType::Regular),
        ("bad/link", EntryType::Symlink),
        ("bad/link", EntryType::Link),
        ("bad/fifo", EntryType::Fifo),
    ] {
        let refusal = Chart::from_archive(&packed(&[(path, kind, b"")]), "bad.tgz");
        assert!(refusal.is_err(), "{path} was taken");
    }
    let files = [(
        "templates/a.yaml",
        "a: {{ .Files.Get \"../../etc/passwd\" | quote }}{{ .Files.Get \"/etc/passwd\" }}\n",
    )];
    assert_eq!(rendered(&files, "").unwrap().manifests[0].text, "a: \"\"\n");
}

#[test]
fn a_caller_can_end_it_at_any_time() {
    let mut options = options();
    options.stop = Some(Arc::new(|| true));
    let tree = MemoryTree::from_iter([METADATA, ("templates/a.yaml", "{{ range 100000 }}{{ end }}")]);
    let chart = Chart::from_tree(&tree, "").unwrap();
    let error = render(&chart, &Values::new(), &options).unwrap_err();
    assert!(error.to_string().contains("was stopped"), "{error}");
}

#[test]
fn a_table_that_is_taken_over_into_itself_is_refused() {
    let chart = "apiVersion: v2\nname: bad\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.0.0, import-values: [IMPORTS]}]\n";
    let taken = |imports: &str| {
        let text = chart.replace("IMPORTS", imports);
        let files = [
            ("Chart.yaml", &*text),
            ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
            ("charts/sub/values.yaml", "data: {x: 1}\n"),
            ("templates/a.yaml", "kind: A\nmetadata: {name: a}\ndata: {{ .Values.a.x }}\n"),
        ];
        rendered(&files, "").map(|rendered| rendered.manifests.len())
    };
    assert_eq!(taken("{child: data, parent: a}, {child: data, parent: b}").unwrap(), 1);
    let within = taken("{child: data, parent: a}, {child: data, parent: a.b}").unwrap_err().to_string();
    assert!(within.contains("import-values of sub") && within.contains("one is within itself"), "{within}");
}
