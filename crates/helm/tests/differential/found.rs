//! What random charts found to be different once: the templates that show it.

use super::Compared;
use super::oracle::Case;

const VALUES: &str = "m: {a: [1, {b: ~}], c: x}\nl: [1, 2.5, a]\nzero: -0.0\n";

const FOUND: &[&str] = &[
    // JSON within a map of a named type is indented once.
    "{{ toPrettyJson .Values }}",
    "{{ toPrettyJson .Files }}",
    "{{ toPrettyJson .Template }}",
    // Such a type has its name in Go's own notation.
    "{{ printf `%#v %T` .Values .Values }}",
    "{{ printf `%#v` .Template }}",
    // Helm's version has other names in JSON.
    "{{ toJson . }}",
    "{{ toYaml . }}",
    // Bytes are base64 in JSON, and numbers to go-yaml.
    "{{ toYamlPretty .Files }}",
    "{{ toYaml .Files }}",
    // A zero below zero.
    "{{ .Values.zero }} {{ toYaml .Values.zero }} {{ toYamlPretty .Values.zero }} {{ toJson .Values.zero }} {{ toYamlPretty -0.0 }}",
    // A time is no text to go-yaml.
    "{{ toYamlPretty (toDate `2006-01-02` `2024-02-29`) }}{{ toYaml (toDate `2006-01-02` `2024-02-29`) }}",
    "{{ toToml (toDate `2006-01-02` `2024-02-29`) }}{{ toToml (dict `a` (toDate `2006-01-02` `2024-02-29`)) }}",
    // TOML: what prints by itself, bytes that are no text, lists of tables at the top.
    "{{ toToml (dict `d` (mustToDuration `1m`)) }}",
    "{{ toToml (dict `a` \"\\xff\\xfe\" \"\\xff\" 1) }}",
    "{{ toToml (list (dict `a` 1) (dict `a` 2)) }}",
    "{{ mustToToml (list (dict `a` 1)) }}",
    // A mark of UTF-16 at the beginning.
    "{{ fromYaml \"\\xff\\xfe\" }}{{ fromYamlArray \"\\xff\\xfe\" }}{{ fromToml \"\\xff\\xfe\" }}",
    "{{ fromYaml \"\\xff\\xfea\\x00:\\x00 \\x001\\x00\" }}",
    // A duration is no number to Sprig.
    "{{ floor (durationTruncateTo 90 1) }} {{ int (mustToDuration 5) }} {{ float64 (mustToDuration 5) }} {{ add 1 (mustToDuration 5) }}",
    // A number of seconds may have underscores.
    "{{ durationDays `1_000` }} {{ durationTruncateTo 2 `1_000` }} {{ durationHours `0x1p4` }} {{ durationHours `1__0` }}",
    // What is a map under another name is merged like any other.
    "{{ merge (dict `b` (dict `c` nil)) (dict `b` .Values) }}{{ mergeOverwrite (dict `b` (dict `m` 1)) (dict `b` .Values) }}",
    "{{ merge (dict `b` .Values) (dict `b` (dict `m` (dict `n` 1))) (dict `b` .Template) }}{{ merge (dict `b` 1) (dict `b` .Values) }}",
    "{{ mergeOverwrite (dict `b` .Values) (dict `b` (dict `l` nil)) (dict `b` nil) }}{{ merge (dict `b` (dict)) (dict `b` .Values) }}",
    // What is no date is now.
    "{{ htmlDate (dict) }} {{ date `2006` `x` }}",
    // Only where it stands does the version of Kubernetes print as one; functions see a struct.
    "{{ .Capabilities.KubeVersion }}|{{ .Capabilities.KubeVersion.String }}|{{ $v := .Capabilities.KubeVersion }}{{ $v }}|{{ with $v }}{{ . }}{{ end }}",
    "{{ .Capabilities.KubeVersion | toString }}|{{ quote .Capabilities.KubeVersion }}|{{ list .Capabilities.KubeVersion | join `,` }}|{{ cat .Capabilities.KubeVersion }}",
    "{{ printf `%s %q %d %+v %#v` .Capabilities.KubeVersion .Capabilities.KubeVersion .Capabilities.KubeVersion .Capabilities.KubeVersion .Capabilities.KubeVersion }}",
    "{{ print .Capabilities.KubeVersion }}|{{ html .Capabilities.KubeVersion }}|{{ toJson .Capabilities.KubeVersion }}|{{ toYaml .Capabilities.KubeVersion }}",
    "{{ .Capabilities.KubeVersion.normalizedVersion }}",
    // What is a map under another name cannot be compared either.
    "{{ ne .Values .Values }}",
    "{{ eq .Values .Values.m }}",
    "{{ eq .Files .Values }}",
    // toYaml reads the JSON that it wrote as YAML, where some characters mean something else.
    "{{ toYaml (list `a` \"\\x7f\") }}|{{ toYaml (dict \"\\x7f\" 1) }}|{{ toYamlPretty (list \"\\x7f\") }}|{{ mustToYaml `a` }}",
    "{{ mustToYaml \"\\u009f\" }}",
    "{{ toYaml (list \"\\u0085\" \"a\\u0085b\" \"a \\u0085 b\" \"a\\u0085\\u0085b\" \"\\u0085\\u0085\\u0085\" \"a\\u0085\" \"\\u0085a\") }}",
    "{{ toYaml \"\\ufeff\" }}|{{ toYaml (list `x` \"\\uffff\") }}",
    // Only the first document counts, and nothing behind its brackets.
    "{{ fromYamlArray \"[a.b]\\nc = 1\\n[a]\\n\" }}",
    "{{ fromYamlArray \"[[a]]\\nb = 1\\n[[a]]\\nb = 2\\n\" }}",
    "{{ fromYaml \"{a: 1}\\nb\\n\" }}",
    "{{ fromYaml \"---\\n---\\na: 1\" }}|{{ fromYaml \"%YAML 1.1\\n---\\na: 1\\n---\\nb: 2\" }}|{{ fromYaml \"# c\\n---\\na: 1\" }}",
    "{{ fromYaml \"---\\na: 1\\n---\\nb: {\" }}",
    "{{ mustToYaml (dict \"\\u0085\" 1) }}",
    // A key can be too long for the reader of what was written.
    "{{ toYaml (dict (repeat 1022 `a`) 1) | len }} {{ toYaml (dict (repeat 1023 `a`) 1) | len }}",
    "{{ toYaml (dict (repeat 170 `<`) 1) | len }} {{ toYaml (dict (repeat 171 `<`) 1) | len }}",
    "{{ toYaml (dict (repeat 511 \"\\n\") 1) | len }} {{ toYaml (dict (repeat 512 \"\\n\") 1) | len }}",
    "{{ toYaml (dict (repeat 1022 `é`) 1) | len }} {{ toYaml (dict (repeat 1023 `é`) 1) | len }}",
    "{{ toYamlPretty (dict (repeat 1023 `a`) 1) | len }}",
    // The fields of a struct stand in their own order in TOML and to go-yaml, and by their names in JSON.
    "{{ toYamlPretty .Capabilities }}",
    "{{ toToml .Capabilities }}",
    "{{ toYamlPretty (dict `k` .Capabilities.KubeVersion `a` 1) }}{{ toToml (dict `k` .Capabilities.KubeVersion `a` 1) }}",
    "{{ toToml (dict `k` (list .Capabilities.HelmVersion .Capabilities.KubeVersion)) }}",
    "{{ toYaml .Capabilities.HelmVersion }}{{ toJson .Capabilities.KubeVersion }}{{ toYamlPretty .Chart }}{{ toToml .Chart }}",
    // Tabs within brackets; dashes before brackets; what stands behind a document that has ended.
    "{{ fromYaml \"{\\n\\t\\\"a\\\": [\\n\\t\\t1,\\n\\t\\t'x'\\n\\t]\\n}\" }}{{ fromYaml \"a: {\\n\\tb: 1}\" }}",
    "{{ fromYaml `--- {a: 1}` }}{{ fromYamlArray `--- [1, 2]` }}{{ fromYaml `{a: 1}}` }}{{ fromYaml \" a: 1\\nb: 2\" }}",
    // Classes and characters in braces; flags that Go does not know.
    r"{{ regexFindAll `\p{Greek}|\p{Lu}|\x{e9}` `aA.é-α` -1 }}{{ regexFindAll `\p{^L}|[\p{Nd}\x{2d}]` `a1-é` -1 }}{{ regexReplaceAll `\P{^L}+` `ab1` `x` }}",
    r"{{ regexMatch `(?x) a` `a` }}{{ regexMatch `(?i-s:A)` `a` }}{{ regexMatch `\p{Nope}` `a` }}{{ regexMatch `\p{L` `a` }}{{ regexMatch `\x{41` `A` }}",
    // Values as YAML end with a line break.
    "{{ .Values.YAML }}|{{ .Template.YAML }}|",
    // What templates can see of a mistake is what go-yaml says of it.
    "{{ fromYaml `a: b: c` }}{{ fromYaml \"a: 1\\n  b: 2\" }}{{ fromYaml \"a:\\n\\tb: 1\" }}{{ fromYaml \"\\ta: 1\" }}{{ fromYaml \"a: 'x\\nb: 1\" }}",
    "{{ fromYaml `a: [1, 2` }}{{ fromYaml `{` }}{{ fromYaml \"a: 1\\nkey\" }}{{ fromYaml \"a:\\n  b: 1\\n c: 2\" }}{{ fromYaml `a: *x` }}{{ fromYaml `a: 'b'c` }}",
    "{{ fromYamlArray \"- a\\nb: 1\" }}{{ fromYamlArray `a` }}{{ fromYaml \"- a\" }}{{ fromYaml `a: @b` }}{{ fromYaml `a: !!int x` }}{{ fromYaml `<<: 1` }}",
];

#[test]
fn what_was_different_once_is_no_more() {
    let cases = FOUND.iter().map(|text| {
        let case = Case { text: text.as_bytes().to_vec(), values: VALUES.to_owned(), ..Case::default() };
        ((*text).to_owned(), case)
    });
    Compared::of(&cases.collect::<Vec<_>>()).assert_equal();
}
