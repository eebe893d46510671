//! Each of Helm's own functions, called with everything that could hurt it.

use super::Compared;
use super::oracle::Case;
use std::collections::BTreeMap;

/// One argument, of every sort: nothing, wrong kinds, other alphabets, below zero, huge, shared, deep.
const ARGUMENTS: [&str; 58] = [
    "nil",
    ".Values.none",
    "true",
    "false",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "(uint64 1)",
    "1.5",
    "-0.0",
    "1e21",
    "1e-7",
    "1e308",
    "(mulf 1e308 10.0)",
    "(int64 5)",
    ".Values.int",
    ".Values.float",
    ".Values.huge",
    "``",
    "`a`",
    "`1`",
    "`a: 1`",
    "`- a`",
    "`{\"a\": [1, null]}`",
    "`[1, {\"a\": 2}]`",
    "`a = 1`",
    "`é世😀`",
    "\"\\xff\\xfe\"",
    "\"\\u0000\\x1b\\u2028\"",
    "\"a\\nb\\n\"",
    "(repeat 5000 `a`)",
    "(list)",
    "(list 1 `a` nil 1.5 true)",
    "(list (list) (dict) (list (dict `a` 1)))",
    "(until 3)",
    "(list nil)",
    "(splitList `,` `a,b`)",
    "(list 1 2)",
    "(list (dict `a` 1) (dict `a` 2))",
    "(dict)",
    "(dict `a` nil)",
    "(dict `a` 1 `b` (dict `c` (list 1 (dict `d` 2))))",
    "(dict `été` 1 `` 2 `a b` 3 `1` 4 `true` 5)",
    "(dict 1 2 nil 3)",
    "(split `,` `a,b`)",
    "(dict `f` 1e21 `i` 5 `n` -0.0)",
    "(dict `t` `x\ny` `u` `yes` `v` `1e3`)",
    ".Values",
    ".Values.map",
    ".Values.list",
    ".Release",
    ".Chart.Name",
    ".Files",
    "$.Template",
    "(.Files.Get `files/a.txt`)",
    "(semver `1.2.3`)",
];

/// What JSON cannot hold: go-yaml writes it where it is asked directly, and this crate does not.
const NOT_PRETTY: [&str; 2] = ["(mulf 1e308 10.0)", "\"\\xff\\xfe\""];

/// Helm's functions of one argument.
const OF_ONE: [&str; 24] = [
    "toYaml",
    "toYamlPretty",
    "mustToYaml",
    "toJson",
    "mustToJson",
    "toToml",
    "mustToToml",
    "fromYaml",
    "fromYamlArray",
    "fromJson",
    "fromJsonArray",
    "fromToml",
    "fail",
    "mustToDuration",
    "durationSeconds",
    "durationMilliseconds",
    "durationMicroseconds",
    "durationNanoseconds",
    "durationMinutes",
    "durationHours",
    "durationDays",
    "durationWeeks",
    "toPrettyJson",
    "toRawJson",
];

/// Those of more: what stands before the argument of every sort, and after it.
const OF_MORE: [(&str, &str, &str); 13] = [
    ("required", "`why`", ""),
    ("required", "", "1"),
    ("include", "`show`", ""),
    ("include", "", "."),
    ("include", "`none`", ""),
    ("tpl", "`{{ . | toJson }}`", ""),
    ("tpl", "", "."),
    ("tpl", "`{{ include \"show\" . }}{{ .a }}`", ""),
    ("lookup", "`v1` `Secret`", "`x`"),
    ("lookup", "", "`a` `b` `c`"),
    ("durationRoundTo", "`1h2m3.5s`", ""),
    ("durationRoundTo", "", "`1m`"),
    ("durationTruncateTo", "-90", ""),
];

const PARTIAL: &str = "{{ define \"show\" }}<{{ . }}>{{ end }}";
const VALUES: &str = "int: 5\nfloat: 1.5\nhuge: 123456789012345678901234567890\nmap: {a: 1, b: [x, 2.5, null], c: {}}\nlist: [1, a, ~, [b]]\n";

/// The call's result with its type. What is said of a document that cannot be read is left out.
fn shown(call: &str) -> String {
    format!(
        "{{{{ $x := {call} }}}}{{{{ if and (kindIs \"map\" $x) (hasKey (typeIs \"map[string]interface {{}}\" $x | ternary $x dict) \"Error\") }}}}refused\
         {{{{ else if and (typeIs \"[]interface {{}}\" $x) (eq (toString (len $x)) \"1\") (contains \"rror\" (toString $x)) }}}}refused\
         {{{{ else if contains \"toml: \" (toString $x) }}}}refused{{{{ else }}}}{{{{ printf \"%#v %T\" $x $x }}}}{{{{ end }}}}"
    )
}

#[test]
fn helm_s_own_functions_take_what_they_take_in_helm() {
    let of_one = OF_ONE.iter().flat_map(|name| {
        let arguments = ARGUMENTS
            .iter()
            .filter(move |argument| *name != "toYamlPretty" || !NOT_PRETTY.contains(argument));
        arguments
            .map(move |argument| (*name, format!("{name} {argument}")))
            .chain([(*name, (*name).to_owned()), (*name, format!("{name} 1 2"))])
    });
    let of_more = OF_MORE.iter().flat_map(|(name, before, after)| {
        ARGUMENTS.iter().map(move |argument| (*name, format!("{name} {before} {argument} {after}")))
    });
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    for (name, call) in of_one.chain(of_more) {
        *calls.entry(name).or_default() += 1;
        let case =
            Case { text: shown(&call).into_bytes(), partial: PARTIAL.into(), values: VALUES.to_owned() };
        cases.push((call, case));
    }
    assert!(calls.values().all(|calls| *calls >= 50), "too few calls: {calls:?}");
    println!("{} functions, {} calls", calls.len(), cases.len());
    Compared::of(&cases).assert_equal();
}
