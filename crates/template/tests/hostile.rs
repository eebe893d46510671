//! Templates that want everything: they end with an error, in memory that is bounded.
//!
//! Each case runs in a process of its own that may not have much memory: what grows without bound dies there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says what it did")]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::process::Command;
use std::rc::Rc;
use trueup_template::{Error, ErrorKind, Function, Functions, Limits, Templates, Value, sprig};

/// A quarter of what is allowed otherwise: a build without optimisation is slow.
const FUEL: u64 = 25_000_000;
const OUTPUT: usize = 64 << 20;
/// What the process of the cases may have, in kilobytes: a quarter of two gigabytes.
const MEMORY: u64 = 512 << 10;

fn functions() -> Functions {
    let mut all = sprig::functions();
    let random: sprig::Random = Rc::new(|bytes| bytes.fill(0x5a));
    let now: sprig::Now = Rc::new(|| Timestamp::UNIX_EPOCH);
    for more in [
        sprig::random_functions(&random).unwrap(),
        sprig::certificate_functions(&random, &now).unwrap(),
        sprig::date_functions(&now, &TimeZone::UTC).unwrap(),
    ] {
        all.extend(more);
    }
    all.insert(
        "include",
        Function::new("func(string, interface {}) (string, error)", |context, arguments| {
            Ok(context.execute(arguments.text(0)?, arguments.any(1).clone())?.into())
        })
        .unwrap(),
    );
    all.insert(
        "tpl",
        Function::new("func(string, interface {}) (string, error)", |context, arguments| {
            let mut templates = context.templates().clone();
            context.spend(arguments.text(0)?.len() as u64)?;
            templates.parse("tpl", arguments.text(0)?)?;
            Ok(context.execute_in(&templates, b"tpl", arguments.any(1).clone())?.into())
        })
        .unwrap(),
    );
    all
}

fn execute(text: &str, limits: &Limits<'_>) -> Result<Vec<u8>, Error> {
    let mut templates = Templates::new("all").with_functions(functions());
    templates.parse("main", text)?;
    templates.execute("main", Value::map([("text", Value::text("{{ tpl .text . }}"))]), limits)
}

/// Templates that no bound lets through.
const REFUSED: &[&str] = &[
    // Recursion.
    "{{ template `main` . }}",
    "{{ include `main` . }}",
    "{{ tpl .text . }}",
    "{{ include `main` . }}{{ include `main` . }}",
    "{{ range 2 }}{{ if true }}{{ with 1 }}{{ (include `main` $) }}{{ end }}{{ end }}{{ end }}",
    // Texts.
    "{{ repeat 10737418240 `x` }}",
    "{{ repeat 9223372036854775807 `x` }}",
    "{{ repeat 100000 (repeat 100000 `x`) | len }}",
    "{{ indent 10737418240 `x` }}",
    "{{ nindent 10000000 (repeat 1000000 `\n`) | len }}",
    "{{ printf `%10737418240d` 1 }}{{ printf `%999999d%999999d` 1 2 | repeat 1000 }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = cat $x $x }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = quote $x $x }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = b64enc $x }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = toJson (list $x $x) }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = join $x (list $x $x $x) }}{{ end }}",
    "{{ $x := `x` }}{{ range 64 }}{{ $x = urlquery $x $x }}{{ end }}",
    "{{ replace `a` (repeat 1000000 `b`) (repeat 1000000 `a`) | len }}",
    "{{ regexReplaceAll `a` (repeat 1000000 `a`) (repeat 1000000 `b`) | len }}",
    "{{ regexReplaceAll `(a+)` (repeat 1000000 `a`) (repeat 1000000 `$1`) | len }}",
    "{{ wrapWith 1 (repeat 100000 `-`) (repeat 100000 `a b `) | len }}",
    "{{ randAlphaNum 10737418240 }}",
    "{{ randBytes 10737418240 }}",
    "{{ range 1000000000 }}{{ randAlphaNum 1000 }}{{ end }}",
    "{{ range 1000000000 }}{{ uuidv4 }}{{ end }}",
    // Lists and maps.
    "{{ until 10737418240 | len }}",
    "{{ untilStep 0 9223372036854775807 1 | len }}",
    "{{ seq 10737418240 | len }}",
    "{{ range 10737418240 }}{{ end }}",
    "{{ $x := list }}{{ range 10737418240 }}{{ $x = append $x 1 }}{{ end }}",
    "{{ $x := list 1 }}{{ range 64 }}{{ $x = concat $x $x }}{{ end }}",
    "{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ $x | toString | repeat 1000 }}",
    "{{ $x := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ end }}{{ deepCopy $x | len }}",
    "{{ $x := dict }}{{ range $i, $_ := until 10000000 }}{{ $_ := set $x (toString $i) (list $i $i $i) }}{{ end }}",
    "{{ $x := dict }}{{ range 10737418240 }}{{ $x = merge $x (dict uuidv4 1) }}{{ $_ := set $x (print (len $x)) $x }}{{ end }}",
    "{{ splitList `` (repeat 100000000 `x`) | len }}",
    "{{ regexFindAll `` (repeat 100000000 `x`) -1 | len }}",
    "{{ regexSplit `` (repeat 100000000 `x`) -1 | len }}",
    "{{ chunk 1 (until 100000000) | len }}",
    "{{ fromJson (printf `[%s1]` (repeat 50000000 `1,`)) | len }}",
    // What holds itself.
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ $x }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ toJson $x }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ deepCopy $x | len }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ $y := dict }}{{ $_ := set $y `x` $y }}{{ deepEqual $x $y }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ $y := dict }}{{ $_ := set $y `x` $y }}{{ merge $x $y | len }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ printf `%#v` $x }}",
    "{{ $x := dict }}{{ $_ := set $x `x` $x }}{{ toString $x }}",
    // Keys take time.
    "{{ range 1000000 }}{{ genPrivateKey `rsa` }}{{ end }}",
    "{{ range 1000000 }}{{ bcrypt `x` }}{{ end }}",
    "{{ range 1000000 }}{{ derivePassword 1 `long` `a` `b` `c` }}{{ end }}",
];

/// Templates that are only large, or refused as Go refuses them.
const ENDING: &[&str] = &[
    "{{ regexMatch `(a*)*b` (repeat 100000 `a`) }}",
    "{{ regexMatch `(a|a)*b` (repeat 100000 `a`) }}",
    "{{ regexMatch `^(([a-z])+.)+[A-Z]([a-z])+$` (repeat 100000 `a`) }}",
    "{{ regexMatch `((((a{100}){100}){100}){100})` `a` }}",
    "{{ regexMatch `(x{1000}){1000}` `a` }}",
    "{{ regexMatch (repeat 1000000 `(`) `a` }}",
    "{{ regexMatch (printf `%sa%s` (repeat 10000 `(`) (repeat 10000 `)`)) `a` }}",
    "{{ regexMatch (repeat 20000 `a?`) (repeat 1000 `a`) }}",
    "{{ regexReplaceAll `(\\\\pL{900}){2}` (repeat 10000 `é`) `` | len }}",
    "{{ fromJson (repeat 1000000 `[`) }}",
    "{{ fromJson (printf `%s%s` (repeat 9000 `[`) (repeat 9000 `]`)) | len }}",
    "{{ semverCompare (repeat 100000 `1 `) `1.2.3` }}",
    "{{ $x := list }}{{ range 1000000 }}{{ $x = list $x }}{{ end }}{{ len $x }}",
    "{{ $x := list }}{{ range 1000000 }}{{ $x = list $x }}{{ end }}{{ $x | toString | len }}",
    "{{ $x := list }}{{ range 1000000 }}{{ $x = list $x }}{{ end }}{{ $x | toJson | len }}",
    "{{ $x := list }}{{ range 1000000 }}{{ $x = list $x }}{{ end }}{{ $x | deepCopy | len }}",
    "{{ $x := list }}{{ range 1000000 }}{{ $x = list $x }}{{ end }}{{ deepEqual $x (list $x) }}",
    "{{ $x := dict }}{{ range 1000000 }}{{ $x = dict `x` $x }}{{ end }}{{ merge (dict) $x | len }}",
    "{{ $x := dict }}{{ range 1000000 }}{{ $x = dict `x` $x }}{{ end }}{{ mergeOverwrite $x (deepCopy $x) | len }}",
];

/// How a case is named where it is shown.
fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

const CASE: &str = "TRUEUP_HOSTILE_CASE";

#[test]
fn one_case() {
    let Ok(case) = std::env::var(CASE) else {
        println!("it is run by the test below, in processes that may not take much memory");
        return;
    };
    let case: usize = case.parse().unwrap();
    let text = REFUSED.iter().chain(ENDING).nth(case).unwrap();
    // What is done a million times takes steps and nothing else.
    let fuel = if ["range 10", "{{ $x | toString"].iter().any(|long| text.contains(long)) {
        FUEL / 16
    } else {
        FUEL
    };
    let output = if text.contains("toString | repeat") { OUTPUT / 64 } else { OUTPUT };
    let limits = Limits { fuel, output, ..Limits::default() };
    let result = execute(text, &limits);
    if case < REFUSED.len() {
        let error = result.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Limit, "{}", short(&error.to_string()));
        assert!(error.to_string().len() < 1000, "{error}");
    }
    println!("ended");
}

#[test]
fn hostile_templates_end_with_an_error_in_bounded_memory() {
    let program = std::env::current_exe().unwrap();
    let mut failed = Vec::new();
    for (case, text) in REFUSED.iter().chain(ENDING).enumerate() {
        let began = std::time::Instant::now();
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" --exact one_case --nocapture")])
            .arg(&program)
            .env(CASE, case.to_string())
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("sh runs");
        println!("{:?} {}", began.elapsed(), short(text));
        if !output.status.success() || !String::from_utf8_lossy(&output.stdout).contains("ended") {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            failed.push(format!("{}\n{}\n{}\n", short(text), output.status, short(why.trim())));
        }
    }
    assert!(failed.is_empty(), "{}", failed.concat());
}

#[test]
fn a_hundred_thousand_templates_are_parsed_and_found() {
    let mut templates = Templates::new("all").with_functions(functions());
    let texts: Vec<_> = (0..100_000).map(|n| format!("{{{{ define `t{n}` }}}}{n}{{{{ end }}}}")).collect();
    let texts = texts.concat();
    templates.parse("main", format!("{texts}{{{{ include `t99999` . }}}}")).unwrap();
    assert_eq!(templates.execute("main", Value::Nil, &Limits::default()).unwrap(), b"99999");
    for n in 0..1000 {
        let mut copy = templates.clone();
        copy.parse("one", format!("{{{{ define `t{n}` }}}}own{{{{ end }}}}")).unwrap();
        assert_eq!(copy.execute(&format!("t{n}"), Value::Nil, &Limits::default()).unwrap(), b"own");
    }
}

#[test]
fn a_thousand_includes_stand_within_one_another_on_a_small_stack() {
    let text = "{{ define `in` }}{{ range tuple . }}{{ if . }}{{ with (sub . 1) }}\
                {{ include `in` (. | int) | trim }}{{ end }}{{ end }}{{ end }}x{{ end }}{{ include `in` 998 }}";
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let run = thread.spawn(move || execute(text, &Limits::default()).map(|output| output.len()));
    assert_eq!(run.unwrap().join().unwrap().unwrap(), 998);
}
