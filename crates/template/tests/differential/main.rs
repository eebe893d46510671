//! Held to the original: templates and data through Go's text/template (a small Go program, `tests/oracle`) and through
//! this crate must give the same bytes, and the same words where they fail. A corpus of templates stands in
//! `tests/corpus`; others grow at random.
//!
//! `TRUEUP_FUZZ_TEMPLATES` says how many, `TRUEUP_FUZZ_SEED` where to begin.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says how much it compared")]

mod coverage;
mod crypto;
mod grow;
mod host;
mod oracle;
mod sprig;

use oracle::{Case, Oracle};
use std::fs;
use std::path::Path;
use trueup_template::ErrorKind;

/// Whether both say the same. Addresses, of which ours are all zero, are no difference.
fn difference(oracle: &mut Oracle, case: &Case) -> Option<String> {
    let ours = match host::execute(case) {
        // Go has no bounds: where ours are met it may not come back.
        Err(error) if error.kind() == ErrorKind::Limit => return None,
        ours => {
            ours.map(|output| without_addresses(&output)).map_err(|error| without_addresses(error.as_bytes()))
        }
    };
    let theirs = oracle.execute(case);
    let theirs = theirs.map(|output| without_addresses(&output)).map_err(|error| without_addresses(&error));
    if theirs == ours {
        return None;
    }
    let show = |result: &Result<Vec<u8>, Vec<u8>>| match result {
        Ok(output) => format!("output {:?}", String::from_utf8_lossy(output)),
        Err(error) => format!("error  {}", String::from_utf8_lossy(error)),
    };
    let text = |(name, text): &(String, Vec<u8>)| format!("⟪{name}⟫{}", String::from_utf8_lossy(text));
    let texts = case.templates.iter().map(text).collect::<Vec<_>>().concat();
    Some(format!("{texts} {}\n  theirs {}\n  ours   {}\n", case.missing, show(&theirs), show(&ours)))
}

/// What looks like an address becomes that of nothing.
fn without_addresses(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"0x") {
        let digits = rest[at + 2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        out.extend_from_slice(&rest[..at + 2]);
        let digits = if (6..=12).contains(&digits) {
            out.push(b'0');
            digits
        } else {
            out.extend_from_slice(&rest[at + 2..at + 2 + digits]);
            digits
        };
        rest = &rest[at + 2 + digits..];
    }
    out.extend_from_slice(rest);
    out
}

/// A line of the corpus. `⏎` is a newline, `⟪name⟫` begins another template, and the last one is executed.
fn parse_case(line: &str, missing: &'static str, delimiters: &[String; 2], data: &serde_json::Value) -> Case {
    let text = line.replace('⏎', "\n");
    let mut case = Case::of(text.clone(), data.clone());
    if text.starts_with('⟪') {
        case.templates = text
            .split('⟪')
            .filter_map(|part| part.split_once('⟫'))
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .collect();
        case.name.clone_from(&case.templates.last().unwrap().0);
    }
    case.missing = missing;
    case.delimiters.clone_from(delimiters);
    case
}

pub(crate) fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let data = fs::read_to_string(folder.join("data.json")).unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "txt")) {
        let (mut missing, mut delimiters) = ("", [String::new(), String::new()]);
        for line in fs::read_to_string(path).unwrap().lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] | ["#", ..] => {}
                ["@missing", "zero"] => missing = "zero",
                ["@missing", "error"] => missing = "error",
                ["@missing", _] => missing = "",
                ["@delimiters", left, right] => delimiters = [left.to_owned(), right.to_owned()],
                ["@delimiters"] => delimiters = [String::new(), String::new()],
                _ => {
                    let mut case = parse_case(line, missing, &delimiters, &data);
                    case.sprig =
                        path.file_name().is_some_and(|name| name == "sprig.txt" || name == "random.txt");
                    cases.push(case);
                }
            }
        }
    }
    cases
}

#[test]
fn the_corpus_gives_what_go_gives() {
    let mut oracle = Oracle::start();
    let cases = corpus();
    assert!(cases.len() > 300, "the corpus has become small: {}", cases.len());
    let different: Vec<_> = cases.iter().filter_map(|case| difference(&mut oracle, case)).collect();
    println!("{} templates, {} differences", cases.len(), different.len());
    assert!(different.is_empty(), "{}", different.concat());
}

#[test]
fn random_templates_give_what_go_gives() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (count, first) = (number("TRUEUP_FUZZ_TEMPLATES", 500), number("TRUEUP_FUZZ_SEED", 0));
    let mut oracle = Oracle::start();
    let (mut different, mut failing) = (Vec::new(), 0);
    for seed in first..first + count {
        let case = grow::case(seed);
        let ours = host::execute(&case);
        failing += u64::from(ours.is_err());
        if let Some(difference) = difference(&mut oracle, &case) {
            different.push(format!("seed {seed}: {difference}"));
        }
    }
    println!("{count} templates, {failing} of them fail, {} differences", different.len());
    assert!(different.is_empty(), "{}", different.iter().take(20).cloned().collect::<String>());
}

#[test]
fn letters_digits_and_printable_characters_are_those_of_go() {
    let mut oracle = Oracle::start();
    // The tables are the crate's own affair: what an identifier is and what %q escapes shows them.
    for first in (0x100..0x0011_0000_u32).step_by(256).filter(|first| *first < 0x4000 || first % 0x3100 == 0)
    {
        let classes = oracle.characters(first);
        for (c, class) in
            (first..first + 256).zip(classes).filter_map(|(code, class)| Some((char::from_u32(code)?, class)))
        {
            let class = class - b'0';
            let word = host::execute(&Case::of(format!("{{{{$a{c} := 1}}}}"), serde_json::Value::Null));
            assert_eq!(word.is_ok(), class & 3 != 0, "{:x} as a letter or digit", u32::from(c));
            let quoted =
                host::execute(&Case::of(format!("{{{{printf `%q` `{c}`}}}}"), serde_json::Value::Null));
            assert_eq!(
                quoted.ok() == Some(format!("\"{c}\"").into_bytes()),
                class & 4 != 0,
                "{:x} in %q",
                u32::from(c)
            );
        }
    }
}
