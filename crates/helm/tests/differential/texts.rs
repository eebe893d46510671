//! What charts are grown from: texts that YAML could take for something else, scalars, and whole documents.

/// Texts, as they are.
pub(crate) const TEXTS: [&str; 74] = [
    "", "a", "abc", "hello, world", "é世😀", "a\"b'c<d>&e", "1", "0x1f", " pad ", "x\ny", "x\ny\n", "\nx", "x\n\n", "%d %s", "`back`",
    "yes", "No", "on", "y", "null", "~", "Null", "true", "1e3", "1_000", "0o17", "017", "1.", ".5", "-", "- a", "a: b", "a:", ":a", "#", "a #b", "a#b",
    "!x", "&a", "*a", "@a", "%a", "|", ">", "?", "? a", "=", "<<", "1:30", "2001-01-01", ".inf", "-.inf", ".nan", "{", "}", "[a]", "{a: 1}", ",", "'", "\"",
    "\t", "tab\tin", "a ", "\u{85}", "\u{2028}", "\u{feff}", "\u{0}", "\u{7f}", "\u{1b}[0m", "C:\\x\\y", "---", "...",
    "a very long line that goes on and on until it has far more than eighty characters, which is where some would fold it; and on",
    "  indented\n    more\nless\n",
];

/// Scalars of YAML, as a file has them.
pub(crate) const SCALARS: [&str; 40] = [
    "~", "null", "true", "false", "yes", "off", "''", "\"\"", "a", "'1'", "1", "0", "-1", "1.5", "1e3", "1e21", "1e-7", "0x1f", "0o17", "017", "1_000",
    "0b11", ".inf", "-.Inf", ".nan", "2001-01-01", "12:30:45", "1000000", "1234567890123", "9007199254740993", "18446744073709551615",
    "99999999999999999999", "0.1", "100.0", "-0", "-0.0", "!!str 1", "!!int \"3\"", "!!float 1", "3.141592653589793",
];

/// Numbers of YAML.
pub(crate) const NUMBERS: [&str; 14] = [
    "0", "1", "2", "3", "-1", "7", "80", "8080", "65536", "1048576", "10485760", "2147483648", "1.25", "-1e6",
];

/// Documents: YAML, JSON and TOML, of which many are broken.
pub(crate) const DOCUMENTS: [&str; 72] = [
    "a: 1", "a: b: c", "- a\n- b", "a:\n- 1\n- {x: y}\n", "", "~", "null", "a", "1", "[1, 2]", "{a: 1}", "{a}", "[a", "{a: ", "a: &x 1\nb: *x", "a: *x",
    "a: 1\na: 2", "x: &x {a: 1}\ny:\n  <<: *x\n  b: 2", "y: {<<: [{a: 1}, {a: 2, b: 3}]}", "a: |\n  x\n   y\n", "a: >-\n  x\n  y\n\n  z\n", "a: |+\n  x\n\n",
    "a: |2\n   x\n", "---\na: 1\n---\nb: 2", "---\n---\na: 1", "# c\na: 1 # d\n", "a: 'it''s'", "a: \"\\u00e9\\n\\x41\"", "a: \"\\q\"", "? a\n: 1", "? [a]\n: 1",
    "1: a\ntrue: b\n~: c\n1.5: d", "\ta: 1", "a:\n\t- 1", "a: 1\n b: 2", "a: !!str 1\nb: !!int '2'\nc: !foo x", "!!binary aGk=", "a: !!binary aGk=", "%YAML 1.1\n---\na: 1",
    "a: 0o17\nb: 017\nc: 0x1F\nd: 1_0\ne: 1:30\nf: 1e3\ng: .5\nh: +1", "a: yes\nb: n\nc: ON\nd: 'no'", "a: 2001-01-01\nb: 2001-01-01T00:00:00Z", "a: .inf\nb: -.inf", "a: .nan",
    "a: 12345678901234567890\nb: 123456789012345678901234567890\nc: -9223372036854775808", "a: ", "a:\n  b:\n    c: []\n    d: {}", "- - a\n  - b\n- c", "a: [1, [2, {b: [3]}]]",
    "{\"a\": 1, \"b\": [true, null, \"x\"], \"c\": {\"d\": 1.5e300}}", "{\"a\": 1,}", "[1, 2, {\"a\": null}]", "{\"a\": 1} x", "\"text\"", "{\"a\": \"\\ud83d\\ude00\\u0000\"}",
    "{\"a\": 01}", "{'a': 1}", "{\"a\":1,\"a\":2}", "[1e999]", "true", " [ ] ", "{\"a\": 9007199254740993}",
    "a = 1\nb = \"x\"\n[c]\nd = [1, 2]\ne = {f = true}\n", "a = 1.5\nb = 1979-05-27T07:32:00Z\n", "[[a]]\nb = 1\n[[a]]\nb = 2\n", "a = ", "a = 'x\ny'", "a = \"\"\"x\ny\"\"\"\nb = '''z'''\n",
    "[a.b]\nc = 1\n[a]\nd = 2\n", "a.b.c = 0x1f\n\"d e\" = inf\n", "a = 1\na = 2\n", "a = [1, \"x\", {b = 1.0}]\nc = 07:32:00\n",
];
