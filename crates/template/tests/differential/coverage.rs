//! That no function of Sprig's goes untested: each is called with arguments of all sorts.

use super::grow::TEXTS;
use super::host;
use super::oracle::{Case, Oracle};
use super::sprig::data;
use std::collections::BTreeMap;
use trueup_template::{ErrorKind, Signature, Type};

/// What Helm takes away.
const REMOVED: [&str; 2] = ["env", "expandenv"];
/// Those whose results are compared by other means: in `crypto.rs`, or in the corpus by what is not random.
const BY_CHANCE: [&str; 23] = [
    "ago",
    "bcrypt",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "keys",
    "now",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "uuidv4",
    "values",
    // It is asked of the machine's own network there.
    "getHostByName",
];

/// A sort of argument: what stands for one of that type.
type Sort = (&'static str, fn(&Type) -> &'static str);

const SORTS: [Sort; 10] = [
    ("of the type", |wanted| match wanted {
        Type::Text => "`some text`",
        Type::Int(_) | Type::Uint(_) => "2",
        Type::Float(_) => "1.5",
        Type::Bool => "true",
        Type::Map(_) => ".map",
        Type::Object(name) if &**name == "time.Time" => ".times.a",
        _ => ".list",
    }),
    ("nil", |_| "nil"),
    ("a missing value", |_| ".missing"),
    ("empty", |wanted| match wanted {
        Type::Text => "``",
        Type::Int(_) | Type::Uint(_) => "0",
        Type::Float(_) => "0.0",
        Type::Bool => "false",
        Type::Map(_) => "(dict)",
        _ => "(list)",
    }),
    ("unicode", |wanted| match wanted {
        Type::Int(_) | Type::Uint(_) => "1",
        Type::Map(_) => "(dict `é世` `🎉`)",
        Type::List(_) => "(list `é世` `🎉`)",
        _ => "`é世🎉\u{301}ß`",
    }),
    ("no UTF-8", |wanted| match wanted {
        Type::Int(_) | Type::Uint(_) => "1",
        Type::Map(_) => ".texts",
        _ => ".texts.t5",
    }),
    ("negative", |wanted| match wanted {
        Type::Text => "`-7`",
        Type::Map(_) => ".other",
        _ => "-3",
    }),
    ("huge", |wanted| match wanted {
        Type::Text => "`99999999999999999999`",
        Type::Float(_) => "1e300",
        Type::Map(_) => ".map",
        _ => "9223372036854775807",
    }),
    ("of the wrong type", |wanted| match wanted {
        Type::Text | Type::Int(_) | Type::Uint(_) | Type::Float(_) | Type::Bool => ".map",
        _ => "true",
    }),
    ("no number", |wanted| match wanted {
        Type::Text => "`NaN`",
        Type::Map(_) => ".nilmap",
        _ => ".nan",
    }),
];

/// Where a function takes a time; what is none is now to it, and what is too late is a time in Go alone.
fn time_at(name: &str) -> Option<usize> {
    match name {
        "date" | "dateInZone" | "date_in_zone" => Some(1),
        "htmlDate" | "htmlDateInZone" => Some(0),
        _ => None,
    }
}

const TIMES: [&str; 7] = [".times.a", ".times.b", ".times.c", ".times.d", "0", "-1", "1700000000"];

/// A function's call with arguments of one sort; `spread` of them where it takes any number.
fn call(name: &str, signature: &Signature, number: usize, spread: usize) -> String {
    let sort = &SORTS[number];
    let parameters = signature.parameters();
    let fixed = parameters.len() - usize::from(signature.is_variadic());
    let rest = parameters[fixed..].iter().cycle().take(if signature.is_variadic() { spread } else { 0 });
    let time = TIMES[number % TIMES.len()];
    let argument = |(at, wanted)| if time_at(name) == Some(at) { time } else { (sort.1)(wanted) };
    let arguments = parameters[..fixed].iter().chain(rest).enumerate().map(argument);
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_function_of_sprig_goes_without_calls_of_all_sorts() {
    assert!(std::str::from_utf8(TEXTS[5]).is_err(), "the text that is no UTF-8 has moved");
    let (deterministic, by_chance) = (host::sprig_functions(), host::random_functions());
    let (mut oracle, data) = (Oracle::start(), data());
    let mut different = Vec::new();
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for name in oracle.functions().into_iter().filter(|name| !REMOVED.contains(&name.as_str())) {
        let calls = calls.entry(name.clone()).or_default();
        if BY_CHANCE.contains(&name.as_str()) {
            let ours = deterministic.get(name.as_bytes()).or_else(|| by_chance.get(name.as_bytes()));
            assert!(ours.is_some(), "{name} is not there");
            continue;
        }
        let signature = deterministic.get(name.as_bytes());
        let signature = signature.unwrap_or_else(|| panic!("{name} is not there")).signature();
        let texts = (0..SORTS.len())
            .flat_map(|number| [0, 1, 3].map(|spread| call(&name, signature, number, spread)));
        let mut texts: Vec<_> = texts.collect();
        texts.extend([name.clone(), format!("{name} `a` `b` `c` `d` `e` `f` `g`")]);
        texts.sort();
        texts.dedup();
        for text in texts {
            // What a regular expression finds in broken UTF-8 is left open.
            if text.contains("egex") && text.contains(".texts.t5") {
                continue;
            }
            let verb = if signature.result().to_string() == "time.Time" { "%v" } else { "%#v" };
            let mut case =
                Case::of(format!("{{{{ $x := {text} }}}}{{{{ printf `{verb} %T` $x $x }}}}"), data.clone());
            case.sprig = true;
            // Where our bounds are met Go may fill the memory.
            if host::execute(&case).is_err_and(|error| error.kind() == ErrorKind::Limit) {
                continue;
            }
            *calls += 1;
            different.extend(super::difference(&mut oracle, &case));
        }
    }
    for case in super::corpus().iter().filter(|case| case.sprig) {
        let text: String = case.templates.iter().map(|(_, text)| String::from_utf8_lossy(text)).collect();
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        for word in words {
            if let Some(calls) = calls.get_mut(word) {
                *calls += 1;
            }
        }
    }
    let listed: Vec<_> = calls.iter().map(|(name, calls)| format!("{name} {calls}")).collect();
    println!("{} functions, {} calls: {}", calls.len(), calls.values().sum::<usize>(), listed.join(", "));
    let few: Vec<_> = calls.iter().filter(|(_, calls)| **calls < 5).collect();
    assert!(few.is_empty(), "fewer than five calls: {few:?}");
    assert!(different.is_empty(), "{} differ\n{}", different.len(), different.concat());
}
