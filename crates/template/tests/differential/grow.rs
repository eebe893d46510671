//! Random templates over random data: mostly well-formed, often of the wrong type, sometimes broken.

use super::oracle::{Case, hex};
use serde_json::{Map, Value, json};

/// Splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x1234_5678_9abc_def1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const KEYS: [&str; 12] = ["a", "b", "c", "list", "map", "n", "f", "s", "t", "u", "p", "été"];
pub(crate) const TEXTS: [&[u8]; 14] = [
    b"",
    b"a",
    b"abc",
    b"hello, world",
    "é世😀".as_bytes(),
    b"\xff\xfe",
    b"a\"b'c<d>&e",
    b"1",
    b"0x1f",
    b" pad ",
    b"x\ny\t",
    "\u{a0}\u{ad}\u{feff}".as_bytes(),
    b"%d %s",
    b"`back`",
];
const FLOATS: [&str; 16] = [
    "0",
    "-0",
    "1",
    "1.5",
    "-2.25",
    "1e6",
    "1e20",
    "1e21",
    "123456789",
    "1e-5",
    "0.1",
    "3.141592653589793",
    "1e308",
    "5e-324",
    "NaN",
    "+Inf",
];
const INTS: [i64; 12] = [0, 1, -1, 2, 3, 7, 65, 255, 128_512, -1000, i64::MAX, i64::MIN];

/// The case that a seed stands for.
pub(crate) fn case(seed: u64) -> Case {
    let mut grower = Grower { random: Random::new(seed), variables: vec!["$".to_owned()], ranges: 0 };
    let data = grower.map(3);
    let mut text = String::new();
    for name in ["one", "two"] {
        if grower.random.one_in(3) {
            let inside = grower.body(1);
            text.extend(["{{define `", name, "`}}", &inside, "{{end}}"]);
        }
    }
    let depth = 1 + grower.random.below(3);
    text.push_str(&grower.body(depth));
    let mut bytes = text.into_bytes();
    if grower.random.one_in(15) && !bytes.is_empty() {
        // Broken by one byte.
        let at = grower.random.below(bytes.len());
        match grower.random.below(3) {
            0 => drop(bytes.remove(at)),
            1 => bytes[at] = grower.random.pick(b"{}|().$\"'` -=:,;\\\xff0aZ"),
            _ => bytes.insert(at, grower.random.pick(b"{}|().$\"'` -=:,;\\\n0aZ")),
        }
    }
    let mut case = Case::of(bytes, data);
    case.missing = grower.random.pick(&["", "", "zero", "error"]);
    case
}

struct Grower {
    random: Random,
    variables: Vec<String>,
    ranges: usize,
}

impl Grower {
    fn map(&mut self, depth: usize) -> Value {
        let mut map = Map::new();
        for _ in 0..self.random.below(9) {
            let key = self.random.pick(&KEYS);
            map.insert(key.to_owned(), self.value(depth));
        }
        json!({ "map": map })
    }

    fn value(&mut self, depth: usize) -> Value {
        let int = self.random.pick(&INTS);
        let small = int.unsigned_abs() % 100;
        match self.random.below(if depth == 0 { 15 } else { 24 }) {
            0 => Value::Null,
            1 => json!({ "bool": self.random.one_in(2) }),
            2 | 3 => json!({ "int": int }),
            4 => json!({ "int64": int }),
            5 => json!({ "uint64": int.unsigned_abs() }),
            6 => json!({ "uint8": small }),
            7 => json!({ "int32": small }),
            8 | 9 => json!({ "float": self.random.pick(&FLOATS) }),
            10 => json!({ "float32": self.random.pick(&["0.1", "1.5", "16777216", "3e38"]) }),
            11..=14 => json!({ "text": hex(self.random.pick(&TEXTS)) }),
            15 => {
                json!({ "texts": (0..self.random.below(4)).map(|_| self.random.pick(&["x", "yy", "z"])).collect::<Vec<_>>() })
            }
            16 => json!({ "ints": (0..self.random.below(4)).collect::<Vec<_>>() }),
            17 => json!({ "textmap": {"a": "one", "b": ""} }),
            18 => json!({ "bytes": hex(self.random.pick(&TEXTS)) }),
            19 if self.random.one_in(2) => json!({ "nillist": true }),
            19 => json!({ "nilmap": true }),
            20 => json!({ "pointvalue": {"X": small, "Y": 2, "Name": "p"} }),
            21 | 22 => {
                json!({ "list": (0..self.random.below(4)).map(|_| self.value(depth - 1)).collect::<Vec<_>>() })
            }
            _ => self.map(depth - 1),
        }
    }

    fn body(&mut self, depth: usize) -> String {
        let visible = self.variables.len();
        let body = (0..=self.random.below(3)).map(|_| self.node(depth)).collect();
        self.variables.truncate(visible);
        body
    }

    fn action(&mut self, inside: &str) -> String {
        let left = self.random.pick(&["{{", "{{", "{{ ", "{{- ", "{{-\n"]);
        let right = self.random.pick(&["}}", "}}", " }}", " -}}", "\n -}}"]);
        format!("{left}{inside}{right}")
    }

    fn node(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 7 } else { 14 }) {
            0 => self.random.pick(&["text", " \n ", "a b", "\t", "{ ", "}}", "é\n"]).to_owned(),
            1..=4 => {
                let pipe = self.pipeline(2);
                self.action(&pipe)
            }
            5 => {
                let name = format!("${}", self.random.pick(&["x", "y", "zé"]));
                let pipe = self.pipeline(2);
                let known = self.variables.contains(&name);
                let sign = if known && self.random.one_in(2) { "=" } else { ":=" };
                let declared = self.action(&format!("{name} {sign} {pipe}"));
                self.variables.push(name);
                declared
            }
            6 => match self.random.below(6) {
                0 if self.ranges > 0 => "{{break}}".to_owned(),
                1 if self.ranges > 0 => "{{continue}}".to_owned(),
                2 => "{{/* note */}}".to_owned(),
                3 => "{{- /* note\n */ -}}".to_owned(),
                _ => {
                    let pipe = self.pipeline(1);
                    let names: &[&str] = if self.random.one_in(12) { &["three"] } else { &["one", "two"] };
                    let name = self.random.pick(names);
                    self.action(&format!("template \"{name}\" {pipe}"))
                }
            },
            7..=9 => self.branch("if", depth),
            10 | 11 => self.branch("with", depth),
            _ => self.range(depth),
        }
    }

    fn branch(&mut self, word: &str, depth: usize) -> String {
        let visible = self.variables.len();
        let mut pipe = self.pipeline(2);
        if self.random.one_in(5) {
            pipe = format!("$w := {pipe}");
            self.variables.push("$w".to_owned());
        }
        let mut text = self.action(&format!("{word} {pipe}"));
        text.push_str(&self.body(depth - 1));
        while self.random.one_in(4) {
            let pipe = self.pipeline(1);
            text.push_str(&self.action(&format!("else {word} {pipe}")));
            text.push_str(&self.body(depth - 1));
        }
        if self.random.one_in(2) {
            text.push_str(&self.action("else"));
            text.push_str(&self.body(depth - 1));
        }
        self.variables.truncate(visible);
        text.push_str(&self.action("end"));
        text
    }

    fn range(&mut self, depth: usize) -> String {
        let visible = self.variables.len();
        let mut pipe = match self.random.below(5) {
            0 => self.random.pick(&["3", "0", "2"]).to_owned(),
            1 => "mklist 1 `a` nil".to_owned(),
            _ => self.operand(1),
        };
        match self.random.below(5) {
            0 => {
                pipe = format!("$i, $e := {pipe}");
                self.variables.extend(["$i".to_owned(), "$e".to_owned()]);
            }
            1 => {
                pipe = format!("$e := {pipe}");
                self.variables.push("$e".to_owned());
            }
            2 if self.variables.len() > 1 => {
                let variable = &self.variables[1 + self.random.below(self.variables.len() - 1)];
                pipe = format!("{variable} = {pipe}");
            }
            _ => {}
        }
        let mut text = self.action(&format!("range {pipe}"));
        self.ranges += 1;
        text.push_str(&self.body(depth - 1));
        self.ranges -= 1;
        if self.random.one_in(3) {
            text.push_str(&self.action("else"));
            text.push_str(&self.body(depth - 1));
        }
        self.variables.truncate(visible);
        text.push_str(&self.action("end"));
        text
    }

    fn pipeline(&mut self, depth: usize) -> String {
        let mut pipe = self.command(depth);
        while self.random.one_in(4) {
            let command = match self.random.below(12) {
                0 => self.command(depth),
                1 => self.call(depth),
                2 => "printf `%v %d`".to_owned(),
                3 => "index .".to_owned(),
                4 => "eq 1".to_owned(),
                _ => self
                    .random
                    .pick(&["print", "printf `%s|%q`", "html", "mklist", "any", "not", "and 1", "or 0"])
                    .to_owned(),
            };
            pipe.push_str(self.random.pick(&[" | ", "|"]));
            pipe.push_str(&command);
        }
        pipe
    }

    fn command(&mut self, depth: usize) -> String {
        if self.random.one_in(2) { self.operand(depth) } else { self.call(depth) }
    }

    fn call(&mut self, depth: usize) -> String {
        let (name, count) = match self.random.below(12) {
            0 => ("printf", 0),
            1 => (self.random.pick(&["eq", "ne", "lt", "le", "gt", "ge"]), 2),
            2 => (self.random.pick(&["and", "or"]), 2),
            3 => (self.random.pick(&["not", "len", "print", "println", "html", "js", "urlquery"]), 1),
            4 => ("index", 2),
            5 => ("slice", 2),
            6 => (self.random.pick(&["print", "println", "html", "mklist", "join", "eq"]), 3),
            7 => (self.random.pick(&["add", "index"]), 2),
            8 => (self.random.pick(&["half", "invert", "size", "any", "first", "fail"]), 1),
            9 => ("set", 3),
            10 => (self.random.pick(&["nothing", "mklist"]), 0),
            _ if self.random.one_in(20) => (self.random.pick(&["call", "unknown"]), 1),
            _ => (self.random.pick(&["slice", "any", "print"]), 1),
        };
        let mut command = name.to_owned();
        if name == "printf" {
            return self.printf(depth);
        }
        let count = match self.random.below(30) {
            0 => count + 1,
            1 => count.max(1) - 1,
            _ => count,
        };
        for _ in 0..count {
            command.push(' ');
            command.push_str(&self.operand(depth));
        }
        command
    }

    fn printf(&mut self, depth: usize) -> String {
        let mut format = String::new();
        for _ in 0..=self.random.below(3) {
            format.push('%');
            for _ in 0..self.random.below(3) {
                format.push(self.random.pick(&['#', '0', '+', '-', ' ']));
            }
            if self.random.one_in(10) {
                format.push_str(self.random.pick(&["[1]", "[2]", "[9]", "[", "[x]", "[1]*[2]"]));
            }
            format.push_str(self.random.pick(&["", "", "", "5", "12", "*", "1", "20"]));
            format.push_str(self.random.pick(&["", "", "", ".", ".2", ".0", ".10", ".*"]));
            format.push(self.random.pick(&[
                'v', 'v', 'd', 's', 'q', 'x', 'X', 't', 'g', 'e', 'f', 'c', 'U', 'o', 'b', 'T', 'G', 'E',
                'F', 'O', 'w', '%', 'z', '!', 'é',
            ]));
            format.push_str(self.random.pick(&["", "|", " "]));
        }
        let mut command = format!("printf `{format}`");
        for _ in 0..self.random.below(4) {
            command.push(' ');
            command.push_str(&self.operand(depth));
        }
        command
    }

    fn operand(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 14 } else { 16 }) {
            0 if !self.random.one_in(4) => {
                self.random.pick(&["1", "`b`", "2.5", "$", "true", "(mklist 1 `x`)"]).to_owned()
            }
            0..=3 => format!(".{}", self.random.pick(&KEYS)),
            4 => format!(".{}.{}", self.random.pick(&KEYS), self.random.pick(&KEYS)),
            5 => format!("$.{}", self.random.pick(&KEYS)),
            6 | 7 => self.variables[self.random.below(self.variables.len())].clone(),
            8 => ".".to_owned(),
            9 => self.constant(),
            10 => self
                .random
                .pick(&["true", "false", "nil", "\"a\"", "`abc`", "\"\\u00e9\\n\"", "\"\\xff\""])
                .to_owned(),
            11 if self.random.one_in(3) => {
                format!(".p.{}", self.random.pick(&["X", "Name", "Sum", "Greet", "Any", "None"]))
            }
            12 if self.random.one_in(3) => format!(
                "{}.{}",
                self.variables[self.random.below(self.variables.len())],
                self.random.pick(&KEYS)
            ),
            11..=13 => self.random.pick(&["0", "1", "2", "3", "$", "`a`"]).to_owned(),
            14 => format!("({}).{}", self.pipeline(depth - 1), self.random.pick(&KEYS)),
            _ => format!("({})", self.pipeline(depth - 1)),
        }
    }

    fn constant(&mut self) -> String {
        const BROKEN: [&str; 7] = ["99999999999999999999", "1e400", "0x", "1__0", "08", "'ab'", "1e"];
        const GOOD: [&str; 16] = [
            "1.5",
            "1e3",
            "0x1f",
            "'a'",
            "'\\n'",
            "0b101",
            "0o17",
            "017",
            "1_000",
            "0x1p4",
            "-0",
            "9223372036854775807",
            "18446744073709551615",
            "+3",
            ".5",
            "1.",
        ];
        let constants: &[&str] = if self.random.one_in(40) { &BROKEN } else { &GOOD };
        self.random.pick(constants).to_owned()
    }
}
