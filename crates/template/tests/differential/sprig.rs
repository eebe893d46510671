//! Sprig's functions with arguments at random: mostly of the types that they want.

use super::grow::{Random, TEXTS};
use super::host;
use super::oracle::{Case, Oracle};
use serde_json::{Value, json};
use trueup_template::{Signature, Type};

/// Go gives these in the order of chance.
const UNORDERED: [&str; 2] = ["keys", "values"];

pub(crate) fn data() -> Value {
    let texts: serde_json::Map<String, Value> = TEXTS
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("t{index}"), json!({ "text": super::oracle::hex(text) })))
        .collect();
    json!({ "map": {
        "texts": { "map": texts },
        "nil": {}, "int": { "int": 5 }, "neg": { "int64": -3 }, "u": { "uint64": u64::MAX }, "f": { "float": "2.5" },
        "big": { "float": "1e300" }, "nan": { "float": "NaN" }, "t": { "bool": true }, "zero": { "int": 0 },
        "list": { "list": [{ "int": 1 }, { "text": "62" }, {}, { "float": "1.5" }, { "text": "62" }, { "list": [] }] },
        "strs": { "texts": ["b", "a", "c", "a"] }, "ints": { "ints": [3, 1, 2, 3] }, "empty": { "list": [] },
        "nillist": { "nillist": true }, "nilmap": { "nilmap": true }, "tm": { "textmap": { "k": "v" } },
        "bytes": { "bytes": "6869ff" },
        "times": { "map": {
            "a": { "time": 1_700_000_000_123_456_789_i64 }, "b": { "time": 0 }, "c": { "time": -5_000_000_001_i64 },
            "d": { "time": 1_720_000_000_500_000_000_i64 },
        } },
        "map": { "map": { "a": { "int": 1 }, "b": { "map": { "c": { "text": "64" } } }, "e": { "text": "" }, "n": {} } },
        "other": { "map": { "a": { "int": 2 }, "b": { "map": { "c": { "text": "" }, "d": { "int": 4 } } }, "e": { "text": "65" }, "z": { "bool": false } } },
    } })
}

fn text(random: &mut Random) -> String {
    const WORDS: [&str; 34] = [
        "``",
        "`a`",
        "`hello world`",
        "`HTTPServer`",
        "`some_words`",
        "`Bld4Floor3rd`",
        "`http2xx`",
        "`foo-bar baz`",
        "`éÀß世`",
        "`a,b,,c`",
        "`,`",
        "` `",
        "`/a/b/../c.tar.gz`",
        "`./x//y/`",
        "`..`",
        "`aGVsbG8=`",
        "`aGVsbG8`",
        "`NBSWY3DP`",
        "`NBSWY3DPEE======`",
        "`12`",
        "`-7`",
        "`0x1f`",
        "`010`",
        "`1.50`",
        "`3.00`",
        "`1e3`",
        "`a\nb\n`",
        "`  pad\t`",
        "`int`",
        "`string`",
        "`map`",
        "`c`",
        "`b`",
        "`The quick brown fox jumps over the lazy dog`",
    ];
    if random.one_in(3) {
        return format!(".texts.t{}", random.below(TEXTS.len()));
    }
    random.pick(&WORDS).to_owned()
}

fn of_any_type(random: &mut Random) -> String {
    const ANY: [&str; 30] = [
        "nil",
        ".nil",
        ".missing",
        "1",
        "0",
        "-5",
        "2.5",
        "true",
        "false",
        ".int",
        ".neg",
        ".u",
        ".f",
        ".big",
        ".nan",
        ".zero",
        ".list",
        ".strs",
        ".ints",
        ".empty",
        ".nillist",
        ".nilmap",
        ".tm",
        ".bytes",
        ".map",
        ".other",
        "(list 1 2)",
        "(list)",
        "(dict)",
        "`a`",
    ];
    if random.one_in(3) { text(random) } else { random.pick(&ANY).to_owned() }
}

const PATTERNS: [&str; 40] = [
    "`a`",
    "`[a-z]+`",
    "`(\\w+) (\\w+)`",
    "`^\\s*`",
    "`\\d{2,}`",
    "`(?i)HELLO`",
    "`[^a-z&&b]`",
    "`a|b|`",
    "``",
    "`.`",
    "`\\bq\\w*`",
    "`(?P<first>\\w)(?P<second>.)`",
    "`[[:alpha:]]`",
    "`\\.`",
    "`,`",
    "`x*`",
    "`(a`",
    "`a)`",
    "`[a`",
    "`*a`",
    "`a**`",
    "`\\q`",
    "`a{1,2}`",
    "`a{,2}`",
    "`a{2000}`",
    "`\\pL+`",
    "`\\Qa.b\\E`",
    "`[\\w.-]+`",
    "`(?s).*`",
    "`(?m)^`",
    "`$`",
    "`\\z`",
    "`[]a]`",
    "`[^]a]`",
    "`\\`",
    "`o+?`",
    "`(o)(u)?`",
    "`\\/`",
    "`[\\d\\s]`",
    "`(?:b|c)`",
];
const REPLACEMENTS: [&str; 9] =
    ["``", "`X`", "`$1`", "`${1}b`", "`$0$0`", "`$first-$second`", "`$1b`", "`$$`", "`$`"];
const CONSTRAINTS: [&str; 40] = [
    "`1.2.3`",
    "`=1.2`",
    "`!=1.2`",
    "`!=1.2.3`",
    "`>1`",
    "`>1.2`",
    "`>=1.2.3`",
    "`<2`",
    "`<=1.2`",
    "`<=1`",
    "`~1.2`",
    "`~1.2.3`",
    "`~1`",
    "`^1.2`",
    "`^0.2`",
    "`^0.0.3`",
    "`^0`",
    "`*`",
    "`1.x`",
    "`1.2.x`",
    "`>=1.2 <2`",
    "`>=1.2, <2`",
    "`1.2 - 1.4`",
    "`<1 || >2`",
    "`>=1.21-0`",
    "`^1.2.3-beta.1`",
    "`~> 1.2`",
    "`=> 1`",
    "`!=x`",
    "`>*`",
    "`<=*`",
    "``",
    "`abc`",
    "`>=`",
    "`1.2.3.4`",
    "`>= v1.19.0-0`",
    "`!=1.2.x-a`",
    "`>1.2.x`",
    "`<1.2.x`",
    "`~0.0.0`",
];
const VERSIONS: [&str; 24] = [
    "`1.2.3`",
    "`v1.2.3`",
    "`1.2`",
    "`1`",
    "`0.2.5`",
    "`0.0.3`",
    "`0`",
    "`1.2.3-beta.1`",
    "`1.2.3-beta.2`",
    "`1.2.3-1`",
    "`1.2.3+meta`",
    "`1.21.0`",
    "`v1.36.3-gke.100`",
    "`2.0.0`",
    "`2.0.0-rc1`",
    "`1.2.3-01`",
    "`1.2.3.4`",
    "`x`",
    "``",
    "`99999999999999999999.0`",
    "`1.2.3-a.b.c+d`",
    "`1.3.0`",
    "`1.2.3-alpha`",
    "`1.2.0`",
];

const LAYOUTS: [&str; 24] = [
    "`2006-01-02T15:04:05Z07:00`",
    "`Mon Jan _2 15:04:05 MST 2006`",
    "`Monday, 02-Jan-06 15:04:05.000 -0700`",
    "`3:04PM`",
    "`03:4:5pm`",
    "`__2 002`",
    "`2006-01-02 15:04:05.999999999 -0700 MST`",
    "`January 2, 2006`",
    "`Janus Month Monk`",
    "`Z0700 Z07 Z07:00:00 -07:00:00 -070000 -07`",
    "`_2006`",
    "`.00 ,999 .0001`",
    "`20060102150405`",
    "`1/2/06`",
    "`15h`",
    "``",
    "`é 2006`",
    "`.999x`",
    "`5.000000000000`",
    "`Jan`",
    "`MST`",
    "`2006 200 20`",
    "`010203040506`",
    "`Mondays`",
];
/// Layouts with texts that are written in them, or nearly so.
const DATES: [(&str, &str); 60] = [
    ("`2006-01-02`", "`2024-02-29`"),
    ("`2006-01-02`", "`2023-02-29`"),
    ("`2006-01-02`", "`2023-13-01`"),
    ("`2006-01-02`", "`2023-1-1`"),
    ("`2006-01-02`", "`2023-01-01 `"),
    ("`2006-01-02`", "`0000-01-01`"),
    ("`2006-1-2`", "`2023-7-04`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T07:08:09Z`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T07:08:09+02:30`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T07:08:09.25+00:00`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T07:08:09,123456789123-11:00`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T24:00:00Z`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T23:60:00Z`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T23:59:60Z`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T23:59:59+25:00`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T23:59:59+24:61`"),
    ("`2006-01-02T15:04:05Z07:00`", "`2024-05-06T23:59:59 02:00`"),
    ("`2006-01-02T15:04:05Z07:00`", "``"),
    ("`2006-01-02T15:04:05.000Z07:00`", "`2024-05-06T07:08:09.5Z`"),
    ("`2006-01-02T15:04:05.000Z07:00`", "`2024-05-06T07:08:09.500Z`"),
    ("`2006-01-02T15:04:05.000Z07:00`", "`2024-05-06T07:08:09:500Z`"),
    ("`2006-01-02T15:04:05.999Z`", "`2024-05-06T07:08:09Z`"),
    ("`2006-01-02T15:04:05.999Z`", "`2024-05-06T07:08:09.123456Z`"),
    ("`15:04:05.00`", "`07:08:09.-1`"),
    ("`15:04:05.00`", "`07:08:09.+1`"),
    ("`Mon Jan _2 15:04:05 2006`", "`Tue Mar  5 01:02:03 2024`"),
    ("`Mon Jan _2 15:04:05 2006`", "`xxx Mar  5 01:02:03 2024`"),
    ("`Mon Jan _2 15:04:05 2006`", "`tue MAR 15 01:02:03 2024`"),
    ("`Monday, 02-Jan-06 15:04:05 MST`", "`Friday, 08-Mar-24 01:02:03 UTC`"),
    ("`Monday, 02-Jan-06 15:04:05 MST`", "`Friday, 08-Mar-70 01:02:03 CEST`"),
    ("`Monday, 02-Jan-06 15:04:05 MST`", "`Friday, 08-Mar-68 01:02:03 GMT+3`"),
    ("`Monday, 02-Jan-06 15:04:05 MST`", "`Friday, 08-Mar-24 01:02:03 +05`"),
    ("`Monday, 02-Jan-06 15:04:05 MST`", "`Friday, 08-Mar-24 01:02:03 xx`"),
    ("`2006 MST`", "`2024 ChST`"),
    ("`2006 MST`", "`2024 WITA`"),
    ("`2006 MST`", "`2024 ABCDE`"),
    ("`2006 MST`", "`2024 ABCDT`"),
    ("`2006 MST`", "`2024 GMT-24`"),
    ("`2006 MST -0700`", "`2024 CET +0100`"),
    ("`2006 -0700 Z070000 -07`", "`2024 +0130 Z -02`"),
    ("`2006 -07:00:00`", "`2024 -01:02:03`"),
    ("`2006 -07:00:00`", "`2024 -01:02-03`"),
    ("`2006 Z07`", "`2024 +09`"),
    ("`3:04PM`", "`12:30AM`"),
    ("`3:04PM`", "`1:30PM`"),
    ("`3:04PM`", "`13:30PM`"),
    ("`3:04PM`", "`1:30pm`"),
    ("`3:04pm`", "`12:30pm`"),
    ("`03:4:5 pm`", "`09:7:1 am`"),
    ("`2006 __2`", "`2024  60`"),
    ("`2006 002`", "`2023 060`"),
    ("`2006 002`", "`2024 366`"),
    ("`2006 002`", "`2023 366`"),
    ("`2006 002 01`", "`2024 060 03`"),
    ("`2006 002 02`", "`2024 060 28`"),
    ("`January 2, 2006`", "`february 3, 1999`"),
    ("`January 2, 2006`", "`Feb 3, 1999`"),
    ("`06`", "`+1`"),
    ("`  2006  `", "` 2024`"),
    ("`é2006\\`", "`é\"x`"),
];
/// What passwords are derived of, and what was encrypted or nearly so.
const KINDS: [&str; 9] =
    ["`maximum`", "`long`", "`medium`", "`short`", "`basic`", "`pin`", "`none`", "``", "`é`"];
const CIPHERS: [(&str, &str); 8] = [
    ("`secretkey`", "`30tEfhuJSVRhpG97XCuWgz2okj7L8vQ1s6V9zVUPeDQ=`"),
    ("`secretkey`", "`MzJlY29uZHNlY29uZHNlY29uZA==`"),
    ("`key`", "`AAAAAAAAAAAAAAAAAAAAAA==`"),
    ("`key`", "`AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=`"),
    ("`a very long key of more than thirty-two bytes`", "`AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=`"),
    ("`key`", "`AAAA`"),
    ("`key`", "`not base64!`"),
    ("``", "``"),
];
const TIMES: [&str; 9] = [
    ".times.a",
    ".times.b",
    ".times.c",
    ".times.d",
    "0",
    "1700000000",
    "-1",
    "(int64 1720000000)",
    "4102444800",
];
const ZONES: [&str; 7] =
    ["`UTC`", "`Local`", "`Europe/Berlin`", "`America/St_Johns`", "`Asia/Kolkata`", "`Nowhere/Else`", "``"];
const DURATIONS: [&str; 30] = [
    "`1h`",
    "`-1.5h`",
    "`1h2m3s4ms5us6ns`",
    "`1µs`",
    "`0`",
    "`+5s`",
    "``",
    "`1`",
    "`1x`",
    "`.s`",
    "`.5s`",
    "`1.s`",
    "`9223372036s`",
    "`9223372037s`",
    "`-9223372036854775808ns`",
    "`1h30`",
    "`s`",
    "`1d`",
    "`800h`",
    "`20000h`",
    "`100m`",
    "`é`",
    "`1.0000000001s`",
    "`24h`",
    "`25h`",
    "`59s`",
    "(int64 90000000000)",
    "(int64 -1)",
    "`90`",
    "(int64 3661)",
];
const URLS: [&str; 34] = [
    "`http://user:p%40ss@host:8080/a%20b/c?q=1&r#frag%2F`",
    "`https://example.com`",
    "`mailto:a@b.c`",
    "`//host/path`",
    "`///path`",
    "`/only/path?x`",
    "`a/b:c`",
    "`a:b/c`",
    "`:x`",
    "`1a:b`",
    "`http://[::1]:80/`",
    "`http://[fe80::1%25en0]/`",
    "`http://[::1`",
    "`http://a[::1]`",
    "`http://h:80a/`",
    "`http://h:1:2/`",
    "`tcp://h:1:2/`",
    "`http://us er@h/`",
    "`http://h%41/`",
    "`http://h%zz/`",
    "`http://h/%zz`",
    "`http://h/%`",
    "`http://h/#%`",
    "`*`",
    "``",
    "`http://`",
    "`HTTP://H/P?`",
    "`http://h/a+b?c+d#e+f`",
    "`http://<h>/`",
    "`http://h|/`",
    "`http://é/ü`",
    "`http://user@/x`",
    "`http://u@v@h`",
    "`?q`",
];
const URL_PARTS: [&str; 12] = [
    "(dict `scheme` `https` `host` `h:1` `path` `a b` `query` `x=1` `fragment` `é#` `userinfo` `u:p`)",
    "(dict `path` `a:b`)",
    "(dict `host` `h`)",
    "(dict `scheme` `s` `opaque` `o`)",
    "(dict `scheme` `s`)",
    "(dict `scheme` `s` `path` `/p`)",
    "(dict `userinfo` `a b`)",
    "(dict `host` 5)",
    "(dict `host` nil)",
    "(dict `path` `*`)",
    "(dict `userinfo` `u` `path` `p`)",
    "(urlParse `http://u:p@h/a?b#c`)",
];
const JSON: [&str; 32] = [
    "`{}`",
    "`[]`",
    "`{\"a\":[1,2.5,-3e2,\"x\",null,true,false,{\"b\":{}}]}`",
    "`\"\\u00e9\\ud83d\\ude00\\ud800\\n\\/\"`",
    "`nul`",
    "`tru `",
    "`fals}`",
    "`1 2`",
    "`[1,]`",
    "`[1 2]`",
    "`{\"a\" 1}`",
    "`{\"a\":1,}`",
    "`{a:1}`",
    "`{\"a\":1 \"b\"}`",
    "`\"a`",
    "`\"\\q\"`",
    "`\"\\u12g4\"`",
    "`01`",
    "`-`",
    "`1.`",
    "`1.x`",
    "`1e`",
    "`1e400`",
    "` `",
    "`[`",
    "`{`",
    "`{\"a\"`",
    "`'a'`",
    "`\"a\"\"`",
    "`é`",
    "`1e-7`",
    "`\"a\nb\"`",
];

/// A place in a list of arguments where only few texts tell something.
fn special(random: &mut Random, name: &str, index: usize) -> Option<String> {
    let among: &[&str] = match (name, index) {
        ("derivePassword", 0) => &["0", "1", "7", "4294967295", "4294967296", "-1"],
        ("derivePassword", 1) => &KINDS,
        ("fromJson" | "mustFromJson", 0) => &JSON,
        ("date" | "dateInZone" | "date_in_zone", 0) => &LAYOUTS,
        ("date" | "dateInZone" | "date_in_zone", 1) | ("htmlDate" | "htmlDateInZone", 0) => &TIMES,
        ("dateInZone" | "date_in_zone", 2) | ("htmlDateInZone", 1) => &ZONES,
        ("dateModify" | "date_modify" | "mustDateModify" | "must_date_modify", 1) | ("unixEpoch", 0) => {
            &TIMES[..4]
        }
        (
            "dateModify" | "date_modify" | "mustDateModify" | "must_date_modify" | "duration"
            | "durationRound",
            0,
        ) => &DURATIONS,
        ("urlParse", 0) => &URLS,
        ("urlJoin", 0) => &URL_PARTS,
        ("semverCompare", 0) => &CONSTRAINTS,
        ("semver", 0) | ("semverCompare", 1) => &VERSIONS,
        ("regexQuoteMeta", _) => return None,
        (name, 0) if name.to_lowercase().contains("regex") => &PATTERNS,
        (name, 2) if name.contains("egexReplace") => &REPLACEMENTS,
        _ => return None,
    };
    // What is no time is now.
    let always = among.len() == TIMES.len();
    (always || !random.one_in(20)).then(|| random.pick(among).to_owned())
}

fn argument(random: &mut Random, wanted: &Type) -> String {
    if random.one_in(12) {
        return of_any_type(random);
    }
    match wanted {
        Type::Text => text(random),
        Type::Int(_) => random.pick(&["0", "1", "2", "3", "5", "8", "20", "-1", "-3"]).to_owned(),
        Type::Bool => random.pick(&["true", "false"]).to_owned(),
        Type::Float(_) => random.pick(&["0.5", "0.1", "1"]).to_owned(),
        Type::Map(_) => {
            random.pick(&[".map", ".other", "(dict `k` 1)", "(dict)", ".map.b", ".nilmap"]).to_owned()
        }
        _ => of_any_type(random),
    }
}

/// Two arguments that belong together.
fn pair(random: &mut Random, name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "toDate" | "mustToDate" if !random.one_in(8) => Some(DATES[random.below(DATES.len())]),
        "decryptAES" if !random.one_in(8) => Some(CIPHERS[random.below(CIPHERS.len())]),
        _ => None,
    }
}

fn compare(
    oracle: &mut Oracle,
    different: &mut Vec<String>,
    failing: &mut usize,
    signature: &Signature,
    call: &str,
    data: &Value,
) {
    // Go writes the program text of a time.
    let verb = if signature.result().to_string() == "time.Time" { "%v" } else { "%#v" };
    let text = format!("{{{{ $x := {call} }}}}{{{{ printf `{verb} %T` $x $x }}}}");
    let mut case = Case::of(text, data.clone());
    case.sprig = true;
    *failing += usize::from(host::execute(&case).is_err());
    different.extend(super::difference(oracle, &case));
}

#[test]
fn dates_are_read_as_go_reads_them() {
    let (mut oracle, data) = (Oracle::start(), data());
    let functions = host::sprig_functions();
    let (mut different, mut failing) = (Vec::new(), 0);
    for name in ["toDate", "mustToDate"] {
        let signature = functions.get(name.as_bytes()).unwrap().signature();
        for (layout, text) in DATES {
            let call = format!("{name} {layout} {text}");
            compare(&mut oracle, &mut different, &mut failing, signature, &call, &data);
        }
    }
    assert!(different.is_empty(), "{}", different.concat());
    assert!((10..100).contains(&failing), "{failing} fail");
}

#[test]
fn sprigs_functions_give_what_sprig_gives() {
    let functions = host::sprig_functions();
    let names: Vec<_> = functions.names().filter(|name| !UNORDERED.contains(name)).collect();
    let only = std::env::var("TRUEUP_FUZZ_FUNCTION").unwrap_or_default();
    let names: Vec<_> = names.into_iter().filter(|name| name.contains(&only)).collect();
    let calls: usize = std::env::var("TRUEUP_FUZZ_CALLS").map_or(12, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("TRUEUP_FUZZ_SEED").map_or(0, |text| text.parse().unwrap());
    let (mut oracle, mut random, data) = (Oracle::start(), Random::new(seed), data());
    let (mut different, mut failing) = (Vec::new(), 0);
    for name in &names {
        let signature = functions.get(name.as_bytes()).unwrap().signature();
        for _ in 0..calls {
            let mut call = name.to_string();
            if let Some(pair) = pair(&mut random, &call) {
                call = format!("{call} {} {}", pair.0, pair.1);
                compare(&mut oracle, &mut different, &mut failing, signature, &call, &data);
                continue;
            }
            let parameters = signature.parameters();
            let fixed = parameters.len() - usize::from(signature.is_variadic());
            for (index, wanted) in parameters[..fixed].iter().enumerate() {
                call.push(' ');
                let special = special(&mut random, name, index);
                call.push_str(&special.unwrap_or_else(|| argument(&mut random, wanted)));
            }
            if signature.is_variadic() {
                for _ in 0..random.below(5) {
                    call.push(' ');
                    call.push_str(&argument(&mut random, &parameters[fixed]));
                }
            }
            // What a regular expression finds in broken UTF-8 is left open.
            if call.contains("egex") && call.contains(".texts.t5") {
                continue;
            }
            compare(&mut oracle, &mut different, &mut failing, signature, &call, &data);
        }
    }
    println!(
        "{} functions, {} calls, {failing} of them fail, {} differences",
        names.len(),
        names.len() * calls,
        different.len()
    );
    assert!(different.is_empty(), "{}", different.iter().take(60).cloned().collect::<String>());
}
