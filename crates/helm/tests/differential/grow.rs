//! Random charts: templates that call Sprig's and Helm's functions with what they want, now and then with something else,
//! over random values.

use super::oracle::Case;
use super::texts::{DOCUMENTS, NUMBERS, SCALARS, TEXTS};

/// Splitmix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
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

/// Functions and what they take, a letter for each argument: a text, number (`i`), truth (`b`), list, dict, list of texts
/// (`S`), anything; of texts also what is read as a document (`y`), a regular expression, a version, a constraint (`c`),
/// a URL, a path. A `+` repeats the last one.
const CALLS: &str = "
    upper t|lower t|title t|untitle t|trim t|trimAll tt|trimSuffix tt|trimPrefix tt|nospace t|initials t|repeat it
    swapcase t|snakecase t|camelcase t|kebabcase t|trunc it|abbrev it|abbrevboth iit|substr iit|wrap it|wrapWith itt
    contains tt|hasPrefix tt|hasSuffix tt|quote a+|squote a+|cat a+|indent it|nindent it|replace ttt|plural tti|sha1sum t
    sha256sum t|sha512sum t|adler32sum t|toString a|toStrings l|join tl|split tt|splitList tt|splitn tit|sortAlpha l
    atoi t|int a|int64 a|float64 a|toDecimal a|add a+|sub aa|mul a+|div aa|mod aa|add1 a|max a+|min a+|floor a|ceil a
    round ai|addf a+|subf aa|mulf a+|divf aa|maxf a+|minf a+|add1f a|until i|untilStep iii|seq i+
    default aa|empty a|coalesce a+|all a+|any a+|ternary aab|deepCopy a|mustDeepCopy a|compact l|mustCompact l
    list a+|dict tata|get dt|set dta|unset dt|hasKey dt|pluck td+|pick dt+|omit dt+|dig ttad|dig tad|merge dd
    mergeOverwrite dd|mustMerge dd|mustMergeOverwrite dd|first l|last l|rest l|initial l|append la|prepend la|reverse l
    uniq l|without la+|has al|slice lii|concat ll|chunk il|mustFirst l|mustLast l|mustRest l|mustInitial l|mustAppend la
    mustPrepend la|mustReverse l|mustUniq l|mustWithout la|mustHas al|mustSlice lii|mustChunk il|b64enc t|b64dec t
    b32enc t|b32dec t|regexMatch rt|mustRegexMatch rt|regexFind rt|regexFindAll rti|regexReplaceAll rtt|regexSplit rti
    regexReplaceAllLiteral rtt|mustRegexFind rt|mustRegexFindAll rti|mustRegexReplaceAll rtt|mustRegexSplit rti
    regexQuoteMeta t|semver v|semverCompare cv|typeOf a|kindOf a|typeIs ta|kindIs ta|typeIsLike ta|deepEqual aa
    base p|dir p|clean p|ext p|isAbs p|osBase p|osDir p|osExt p|osClean p|urlParse u|urlquery t|html t|js t|len l|index la
    toJson a|toPrettyJson a|toRawJson a|mustToJson a|mustToPrettyJson a|mustToRawJson a|toYaml a|toYamlPretty a
    mustToYaml a|toToml d|mustToToml d|toToml a|duration a|durationRound a|htmlDate i|eq aa|ne aa|lt aa|le aa|gt aa|ge aa
    not a|and aa|or aa|print a|println aa|required ta|lookup tttt|include na|tpl ea|hello|durationSeconds a
    durationMinutes a|durationHours a|durationDays a|durationMilliseconds a|durationRoundTo aa|durationTruncateTo aa
    getHostByName t|mustDateModify tD|toDate tt|unixEpoch D|printf Pa|printf Faa|include na|tpl ea|tpl ea
    toYaml a|toYaml d|toYamlPretty d|toJson d|include na|readYaml y|readList y|readJson y|readJsonList y
    readToml y|again a|againToml d
";

/// What the templates that are there in every chart define: documents are read, and what is said of those that cannot be
/// is left out.
const READERS: &str = r#"
{{- define "readYaml" }}{{ $m := fromYaml . }}{{ hasKey $m "Error" }}{{ omit $m "Error" | toJson }}{{ end }}
{{- define "readJson" }}{{ $m := fromJson . }}{{ hasKey $m "Error" }}{{ omit $m "Error" | toJson }}{{ end }}
{{- define "readToml" }}{{ $m := fromToml . }}{{ if hasKey $m "Error" }}refused{{ else }}{{ toJson $m }}{{ end }}{{ end }}
{{- define "readList" }}{{ $l := fromYamlArray . }}{{ if and (eq (len $l) 1) (kindIs "string" (first $l)) (contains "error" (toString (first $l))) }}refused{{ else }}{{ toJson $l }}{{ end }}{{ end }}
{{- define "readJsonList" }}{{ $l := fromJsonArray . }}{{ if and (eq (len $l) 1) (kindIs "string" (first $l)) (or (contains "json" (toString (first $l))) (contains "JSON" (toString (first $l))) (contains "character" (toString (first $l)))) }}refused{{ else }}{{ toJson $l }}{{ end }}{{ end }}
{{- define "again" }}{{ toYaml . | fromYaml | toYaml }}|{{ toYamlPretty . | fromYamlArray | toJson }}|{{ toJson . | fromJson | toJson }}|{{ toJson . | fromJsonArray | toYaml }}{{ end }}
{{- define "againToml" }}{{ $m := toToml . | fromToml }}{{ if hasKey $m "Error" }}refused{{ else }}{{ toJson $m }}{{ end }}{{ end }}
"#;

const KEYS: [&str; 10] = ["a", "b", "c", "list", "map", "n", "f", "s", "u", "été"];
const NAMES: [&str; 4] = ["one", "two", "three", "none"];

/// The case that a seed stands for.
pub(crate) fn case(seed: u64) -> Case {
    let random = Random(seed.wrapping_mul(0x1234_5678_9abc_def1));
    let calls = CALLS.split(['|', '\n']).map(str::trim).filter(|call| !call.is_empty());
    let calls = calls.map(|call| call.split_once(' ').unwrap_or((call, ""))).collect();
    let mut grower = Grower { random, calls, variables: vec!["$.Values"], ranges: 0, dots: 0 };
    let values = grower.flow_map(3);
    let mut partial = READERS.to_owned();
    for name in ["one", "two", "three"] {
        if name == "one" || grower.random.one_in(2) {
            grower.dots = 1;
            let body = grower.body(1);
            grower.dots = 0;
            partial.extend(["{{ define \"", name, "\" }}", &body, "{{ end }}"]);
        }
    }
    let depth = 1 + grower.random.below(2);
    let mut text = grower.body(depth).into_bytes();
    if grower.random.one_in(40) && !text.is_empty() {
        let at = grower.random.below(text.len());
        text[at] = grower.random.pick(b"{}|().$\"'` -=:,;\\\xff0aZ");
    }
    Case { text, partial: partial.into_bytes(), values }
}

struct Grower {
    random: Random,
    calls: Vec<(&'static str, &'static str)>,
    variables: Vec<&'static str>,
    ranges: usize,
    /// How many blocks stand around that change the dot. Outside of them it is all that there is, and prints addresses.
    dots: usize,
}

/// Values, in YAML's flow style.
impl Grower {
    fn flow_map(&mut self, depth: usize) -> String {
        let count = self.random.below(8);
        let mut keys: Vec<&str> = (0..count).map(|_| self.random.pick(&KEYS)).collect();
        if depth == 3 {
            keys.extend(["list", "map", "a"]);
        }
        keys.sort_unstable();
        keys.dedup();
        let entries: Vec<_> =
            keys.iter().map(|key| format!("\"{key}\": {}", self.entry(key, depth))).collect();
        format!("{{{}}}", entries.join(", "))
    }

    /// What stands at some keys is mostly what they are called after.
    fn entry(&mut self, key: &str, depth: usize) -> String {
        match key {
            "list" if depth == 3 && !self.random.one_in(30) => {
                let count = self.random.below(5);
                let items: Vec<_> = (0..count).map(|_| self.flow(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            "map" | "a" if depth == 3 && !self.random.one_in(30) => self.flow_map(depth - 1),
            "n" if !self.random.one_in(10) => self.random.pick(&NUMBERS).to_owned(),
            _ => self.flow(depth),
        }
    }

    fn flow(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 10 } else { 16 }) {
            0..=3 => self.random.pick(&SCALARS).to_owned(),
            4..=7 => {
                let text = serde_json::to_string(self.random.pick(&TEXTS)).unwrap();
                text.replace('\u{7f}', "\\x7f").replace('\u{feff}', "\\ufeff").replace('\u{85}', "\\N")
            }
            8 | 9 => self.random.pick(&NUMBERS).to_owned(),
            10..=12 => {
                let count = self.random.below(5);
                let items: Vec<_> = (0..count).map(|_| self.flow(depth - 1)).collect();
                format!("[{}]", items.join(", "))
            }
            _ => self.flow_map(depth - 1),
        }
    }
}

/// Templates.
impl Grower {
    fn body(&mut self, depth: usize) -> String {
        let visible = self.variables.len();
        let count = 1 + self.random.below(2);
        let body = (0..count).map(|_| self.node(depth)).collect();
        self.variables.truncate(visible);
        body
    }

    fn action(&mut self, inside: &str) -> String {
        let left = self.random.pick(&["{{", "{{ ", "{{ ", "{{- "]);
        let right = self.random.pick(&["}}", " }}", " }}", " -}}"]);
        format!("{left}{inside}{right}")
    }

    fn node(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 8 } else { 12 }) {
            0 => {
                self.random.pick(&["text", "\n  ", "a: ", "\n---\n", "- x\n", "é\n", "<no value>"]).to_owned()
            }
            1..=5 => {
                let pipe = self.pipeline(2);
                self.action(&pipe)
            }
            6 => {
                let name = self.random.pick(&["$x", "$y"]);
                let pipe = self.pipeline(2);
                let sign = if self.variables.contains(&name) && self.random.one_in(2) { "=" } else { ":=" };
                let text = self.action(&format!("{name} {sign} {pipe}"));
                self.variables.push(name);
                text
            }
            7 if self.ranges > 0 && self.random.one_in(3) => {
                self.random.pick(&["{{ break }}", "{{ continue }}"]).to_owned()
            }
            7 => {
                let pipe = self.argument('a', 1);
                let name = self.random.pick(&NAMES[..3]);
                self.action(&format!("template \"{name}\" {pipe}"))
            }
            8 | 9 => self.branch("if", depth),
            10 => self.branch("with", depth),
            _ => self.range(depth),
        }
    }

    fn branch(&mut self, word: &str, depth: usize) -> String {
        let pipe = self.pipeline(1);
        let mut text = self.action(&format!("{word} {pipe}"));
        self.dots += usize::from(word == "with");
        text.push_str(&self.body(depth - 1));
        self.dots -= usize::from(word == "with");
        if self.random.one_in(2) {
            text.push_str(&self.action("else"));
            text.push_str(&self.body(depth - 1));
        }
        text + &self.action("end")
    }

    fn range(&mut self, depth: usize) -> String {
        let visible = self.variables.len();
        let over = match self.random.below(3) {
            0 => self.argument('d', 1),
            1 => self.argument('l', 1),
            _ => self.pipeline(1),
        };
        let over = if self.random.one_in(2) {
            self.variables.extend(["$k", "$v"]);
            format!("$k, $v := {over}")
        } else {
            over
        };
        let mut text = self.action(&format!("range {over}"));
        self.ranges += 1;
        self.dots += 1;
        text.push_str(&self.body(depth - 1));
        self.dots -= 1;
        self.ranges -= 1;
        self.variables.truncate(visible);
        text + &self.action("end")
    }

    fn pipeline(&mut self, depth: usize) -> String {
        let mut pipe = if self.random.one_in(4) { self.argument('a', depth) } else { self.call(depth) };
        while self.random.one_in(3) {
            let last = self.random.pick(&[
                "toYaml",
                "toJson",
                "quote",
                "toString",
                "nindent 2",
                "indent 4",
                "trim",
                "default 1",
                "kindOf",
                "typeOf",
                "toYaml | fromYaml",
                "toJson | fromJsonArray",
                "toJson | fromJson",
                "b64enc",
                "toYamlPretty",
                "len",
                "not",
                "upper",
                "printf \"%v\"",
                "printf \"%#v\"",
                "toToml",
                "squote",
                "first",
                "sortAlpha",
                "toPrettyJson",
            ]);
            pipe = format!("{pipe} | {last}");
        }
        pipe
    }

    fn call(&mut self, depth: usize) -> String {
        let (name, wanted) = self.random.pick(&self.calls.clone());
        let (wanted, more) =
            wanted.strip_suffix('+').map_or((wanted, 0), |wanted| (wanted, self.random.below(3)));
        let mut kinds: Vec<char> = wanted.chars().collect();
        kinds.extend(std::iter::repeat_n(wanted.chars().last().unwrap_or('a'), more));
        if self.random.one_in(200) {
            kinds.pop();
        }
        let arguments: Vec<_> =
            kinds.iter().map(|kind| self.argument(*kind, depth.saturating_sub(1))).collect();
        match name {
            "readYaml" | "readList" | "readJson" | "readJsonList" | "readToml" | "again" | "againToml" => {
                format!("include \"{name}\" {}", arguments.join(" "))
            }
            name => format!("{name} {}", arguments.join(" ")).trim_end().to_owned(),
        }
    }

    fn argument(&mut self, kind: char, depth: usize) -> String {
        // Now and then something else than what is wanted.
        if self.random.one_in(80) {
            return self.anything(depth);
        }
        if let Some(choice) = constants(kind) {
            return self.random.pick(choice).to_owned();
        }
        match kind {
            't' => self.text(depth),
            'i' => self.number(),
            'l' | 'S' => self.list(depth),
            'd' => self.dict(depth),
            'y' => self.document(depth),
            'e' => self.template(),
            'n' if self.random.one_in(20) => "\"none\"".to_owned(),
            'n' => format!("\"{}\"", self.random.pick(&NAMES[..3])),
            _ => self.anything(depth),
        }
    }

    fn anything(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 7 } else { 9 }) {
            0 | 1 => self.reference(),
            2 => self.text(0),
            3 => self.number(),
            4 => self
                .random
                .pick(&["true", "false", "nil", "2.5", "1e3", "0x10", "(int64 5)", "(float64 1e21)", "'x'"])
                .to_owned(),
            5 => self.dict(depth),
            6 => self.list(depth),
            _ => format!("({})", self.pipeline(depth - 1)),
        }
    }

    fn reference(&mut self) -> String {
        let key = self.random.pick(&KEYS);
        match self.random.below(16) {
            0 if self.random.one_in(3) => format!("$.Values.{key}.{}", self.random.pick(&KEYS)),
            0..=7 => format!("$.Values.{key}"),
            8 if self.dots > 0 => ".".to_owned(),
            8 => self.random.pick(&["(toYaml $)", "(toJson $)", "($ | toPrettyJson)"]).to_owned(),
            9 | 10 => self.random.pick(&self.variables.clone()).to_owned(),
            11 if self.dots > 0 && self.random.one_in(3) => format!(".{key}"),
            11 => "$.Chart".to_owned(),
            12 => "$.Values".to_owned(),
            13 => format!("(dig \"{key}\" \"{}\" 7 (dict \"{key}\" $.Values))", self.random.pick(&KEYS)),
            14 => self
                .random
                .pick(&[
                    "$.Release.Name",
                    "$.Release",
                    "$.Chart.Name",
                    "$.Chart.AppVersion",
                    "$.Template.Name",
                    "$.Template.BasePath",
                    "$.Release.IsInstall",
                    "$.Release.Revision",
                    "$.Capabilities.KubeVersion.Major",
                ])
                .to_owned(),
            _ => self
                .random
                .pick(&[
                    "(.Files.Get \"files/a.txt\")",
                    "($.Files.Get \"files/a.txt\")",
                    "($.Files.Lines \"files/a.txt\")",
                    "(($.Files.Glob \"files/*\").AsConfig)",
                    "(($.Files.Glob \"files/*\").AsSecrets)",
                    "($.Files.Get \"none\")",
                    "($.Capabilities.APIVersions.Has \"v1\")",
                ])
                .to_owned(),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 6 } else { 8 }) {
            0..=4 => literal(self.random.pick(&TEXTS)),
            5 => format!("(toString {})", self.reference()),
            6 => format!("(toYaml {})", self.anything(depth - 1)),
            _ => format!("({})", self.pipeline(depth - 1)),
        }
    }

    fn number(&mut self) -> String {
        self.random
            .pick(&[
                "0",
                "1",
                "2",
                "3",
                "5",
                "-1",
                "-3",
                "10",
                "64",
                "(int64 2)",
                "(int $.Values.n)",
                "(len $.Values.list)",
            ])
            .to_owned()
    }

    fn list(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 4 } else { 6 }) {
            0 | 1 => "$.Values.list".to_owned(),
            2 => "(list)".to_owned(),
            3 => self
                .random
                .pick(&[
                    "(list 1 `a` nil)",
                    "(list `b` `a` `a`)",
                    "(list 1.5 -2 3)",
                    "(list (dict `a` 1) (list 1))",
                    "(tuple true false)",
                    "(until 3)",
                    "(splitList `,` `x,y,,z`)",
                ])
                .to_owned(),
            _ => {
                let count = self.random.below(4);
                let items: Vec<_> = (0..count).map(|_| self.anything(depth - 1)).collect();
                format!("(list {})", items.join(" "))
            }
        }
    }

    fn dict(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 4 } else { 7 }) {
            0..=2 => self.random.pick(&["$.Values.map", "$.Values.map", "$.Values.a"]).to_owned(),
            3 => self
                .random
                .pick(&[
                    "(dict)",
                    "(dict `a` 1 `b` (dict `c` nil))",
                    "(dict `a` `` `été` (list 1 2))",
                    "(dict `1` nil)",
                    "(dict `x` 1.5 `y` 1e20)",
                ])
                .to_owned(),
            _ => {
                let count = self.random.below(4);
                let entries: Vec<_> = (0..count)
                    .map(|_| {
                        let key = if self.random.one_in(4) {
                            literal(self.random.pick(&TEXTS))
                        } else {
                            format!("\"{}\"", self.random.pick(&KEYS))
                        };
                        format!("{key} {}", self.anything(depth - 1))
                    })
                    .collect();
                format!("(dict {})", entries.join(" "))
            }
        }
    }

    fn document(&mut self, depth: usize) -> String {
        match self.random.below(6) {
            0 => format!("(toYaml {})", self.anything(depth)),
            1 => format!("(toJson {})", self.anything(depth)),
            2 => format!("(toToml {})", self.dict(depth)),
            _ => literal(self.random.pick(&DOCUMENTS)),
        }
    }

    /// A text that is a template.
    fn template(&mut self) -> String {
        let text = self.random.pick(&[
            "{{ . }}",
            "{{ .Values | toYaml }}",
            "{{ include \"one\" . }}",
            "{{ .a }}",
            "plain",
            "",
            "{{",
            "{{ nil }}",
            "{{ .x.y }}",
            "{{ define \"two\" }}T{{ end }}{{ template \"two\" }}",
            "{{ tpl \"{{ . }}\" . }}",
            "{{ tpl `{{ include \"one\" . }}` $ }}",
            "{{ range . }}{{ . }},{{ end }}",
            "{{ fail \"f\" }}",
            "{{ .Template.Name }}",
            "{{ required \"r\" .zz }}",
            " \n",
            "{{/* c */}}",
            "{{ $.Release.Name | quote }}{{ .none }}",
            "{{ with .Values }}{{ .a }}{{ end }}",
        ]);
        literal(text)
    }
}

/// What there is of some kinds of arguments.
fn constants(kind: char) -> Option<&'static [&'static str]> {
    Some(match kind {
        'b' => &["true", "false", "(empty .Values.a)", "(eq 1 1)"],
        'r' => &[
            "`a`",
            "`^[a-z]+$`",
            "`(.)(.)`",
            "`\\d+`",
            "`[`",
            "`(?i)A|b*`",
            "``",
            "`\\pL`",
            "`(?P<x>o)`",
            "`[^\\w]`",
            "`.*?,`",
        ],
        'v' => &[
            "`1.2.3`",
            "`v1.2`",
            "`1`",
            "`1.2.3-rc.1+b`",
            "``",
            "`a`",
            "`01.2.3`",
            "$.Capabilities.KubeVersion.Version",
        ],
        'c' => &[
            "`>=1.2`",
            "`^1.2.3`",
            "`~1.2`",
            "`1.x || 2`",
            "`>=1.0.0-0`",
            "`!=1.2.3`",
            "`*`",
            "`a`",
            "`1 - 2`",
            "``",
        ],
        'u' => &[
            "`https://a:b@h:1/p/q?x=1#f`",
            "`/p`",
            "``",
            "`:`",
            "`mailto:a@b`",
            "`//h`",
            "`http://[::1]/`",
            "`a b`",
        ],
        'p' => &["`a/b.c`", "`/`", "``", "`a/../b`", "`//a//b/`", "`.`", "`..`", "`/a.tar.gz`"],
        'D' => &["(toDate `2006-01-02` `2024-02-29`)", "(toDate `2006-01-02` ``)", "(toDate `x` `y`)"],
        'P' => &[
            "`%v`", "`%d`", "`%s`", "`%q`", "`%T`", "`%#v`", "`%05d`", "`%x`", "`%.2f`", "`%t`", "`%+v`",
            "`%-6v|`", "`%6.3v`",
        ],
        'F' => &["`%v-%v`", "`%s/%d`", "`%[2]v %[1]v`", "`%*d`", "`%v`", "`%%%s%s`"],
        _ => return None,
    })
}

/// A text as a constant of templates.
fn literal(text: &str) -> String {
    if text.contains('`') || text.contains('\r') {
        return serde_json::to_string(text).unwrap();
    }
    format!("`{text}`")
}
