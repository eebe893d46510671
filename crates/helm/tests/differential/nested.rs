//! Random charts within charts: values with nulls and globals, aliases, conditions, tags, imports, libraries.
//!
//! Their templates show what came of the values; which functions they call is the matter of `grow`.

use super::grow::Random;
use super::oracle::original;
use serde_json::{Map, Value, json};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use trueup_helm::{Chart, Crds, Options, Release, read_values, render};
use trueup_model::MemoryTree;
use trueup_oracle::{Oracle, OracleError};

/// A chart's files, and the values given with it.
pub(crate) struct Grown {
    files: Vec<(String, String)>,
    values: String,
}

impl Grown {
    pub(crate) fn ours(&self) -> Result<String, String> {
        let tree: MemoryTree = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let chart = Chart::from_tree(&tree, "").map_err(|error| error.to_string())?;
        let values = read_values(&self.values).map_err(|error| error.to_string())?;
        let random = Arc::new(|bytes: &mut [u8]| bytes.fill(7));
        let options = Options::new(Release::install("rel", "ns1"), jiff::Timestamp::UNIX_EPOCH, random);
        let rendered = render(&chart, &values, &options).map_err(|error| error.to_string())?;
        Ok(rendered.to_text(Crds::Skipped))
    }

    /// What Helm prints of it, which it reads from a folder. A table that is within itself ends Helm; another one is started then.
    pub(crate) fn theirs(&self, helm: &mut Oracle) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &self.files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let question = json!([{"chart": folder.path(), "values": self.values, "times": 1}]);
        let answer = match helm.ask(&question) {
            Ok(answers) => answers[0].clone(),
            Err(OracleError::Ended) => {
                *helm = original().start().unwrap();
                return Err("Helm ended".to_owned());
            }
            Err(error) => panic!("{error}"),
        };
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["text"].as_str().unwrap().to_owned()),
        }
    }
}

impl fmt::Display for Grown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|(path, text)| writeln!(f, "  {path}: {text}"))?;
        write!(f, "  given: {}", self.values)
    }
}

/// The case that a seed stands for.
pub(crate) fn grown(seed: u64) -> Grown {
    let mut grower = Grower { random: Random(seed.wrapping_mul(0x9e6c_63d0_876a_68de)), files: Vec::new() };
    let inner = grower.chart("", "outer", 2);
    let values = if grower.random.one_in(2) { grower.values(&inner) } else { json!({}) };
    Grown { files: grower.files, values: values.to_string() }
}

struct Grower {
    random: Random,
    files: Vec<(String, String)>,
}

/// Names of charts, each with what it goes by where it is asked for under another name, and where it is asked for a second time.
const NAMES: [(&str, [&str; 2]); 3] =
    [("one", ["four", "seven"]), ("two", ["five", "eight"]), ("three", ["six", "nine"])];
const KEYS: [&str; 5] = ["a", "b", "c", "d", "global"];

const SHOWN: &str = "\
# {{ .Chart.Name }}
values: {{ toJson .Values }}
charts: {{ keys .Subcharts | sortAlpha | toJson }}
wanted: {{ toJson .Chart.Dependencies }}
who: {{ include `who` . }}
";

impl Grower {
    /// Adds the files of a chart, and of charts within it that are `deep` deep. The names that these go by come out.
    fn chart(&mut self, below: &str, name: &str, deep: usize) -> Vec<&'static str> {
        let (mut wanted, mut known) = (Vec::new(), Vec::new());
        for (inner, aliases) in NAMES {
            if deep == 0 || self.random.one_in(3) {
                continue;
            }
            self.chart(&format!("{below}charts/{inner}/"), inner, deep - 1);
            for alias in aliases.into_iter().take(self.random.pick(&[0, 1, 1, 1, 1, 2])) {
                let is_first = alias == aliases[0];
                let alias = (!is_first || self.random.one_in(4)).then_some(alias);
                let (one, goes_by) = self.wanted(inner, alias);
                wanted.push(one);
                known.push(goes_by);
            }
        }
        let kind = if deep < 2 && self.random.one_in(12) { "library" } else { "application" };
        let mut metadata = json!({"apiVersion": "v2", "name": name, "version": "1.0.0", "type": kind});
        if !wanted.is_empty() {
            metadata["dependencies"] = wanted.into();
        }
        let values = self.values(&known);
        let changed =
            "{{- if kindIs `map` .Values.global }}{{ $_ := set .Values.global `by` .Chart.Name }}{{ end }}\n";
        let before = if self.random.one_in(4) { changed } else { "" };
        let files = [
            ("Chart.yaml", metadata.to_string()),
            ("values.yaml", values.to_string()),
            ("templates/a.yaml", format!("{before}{SHOWN}")),
            ("templates/b.yaml", "global: {{ toJson .Values.global }}\n".to_owned()),
            ("templates/_who.tpl", format!("{{{{ define `who` }}}}{name}{{{{ end }}}}")),
        ];
        self.files.extend(files.map(|(path, text)| (format!("{below}{path}"), text)));
        known
    }

    /// What a chart says of one that it wants, and what that goes by.
    fn wanted(&mut self, name: &'static str, alias: Option<&'static str>) -> (Value, &'static str) {
        let random = &mut self.random;
        let version = if random.one_in(12) { "2.x" } else { random.pick(&["1.0.0", "^1", ">=0.1.0"]) };
        let mut one = json!({"name": name, "version": version, "repository": ""});
        let goes_by = alias.unwrap_or(name);
        if let Some(alias) = alias {
            one["alias"] = alias.into();
        }
        if random.one_in(3) {
            let conditions =
                [format!("{goes_by}.enabled"), format!("a.b,{goes_by}.enabled"), "global.a".to_owned()];
            one["condition"] = conditions[random.below(3)].as_str().into();
        }
        if random.one_in(4) {
            one["tags"] = random.pick(&[&["x"][..], &["y"], &["x", "y"]]).into();
        }
        if random.one_in(3) {
            let import = |child: &str, parent: &str| json!({"child": child, "parent": parent});
            let imports = [json!("some"), import("a", "c"), import("a.b", "."), import("b", "a")];
            one["import-values"] = json!([imports[random.below(4)], imports[random.below(4)]]);
        }
        (one, goes_by)
    }

    /// Values of a chart in which others go by these names.
    fn values(&mut self, inner: &[&str]) -> Value {
        let mut values = self.map(3);
        for name in inner {
            if self.random.one_in(2) {
                let mut own = self.map(2);
                if self.random.one_in(3) {
                    let enabled = [json!(true), json!(false), Value::Null, json!("yes")];
                    own.insert("enabled".to_owned(), enabled[self.random.below(4)].clone());
                }
                values.insert((*name).to_owned(), own.into());
            } else if self.random.one_in(20) {
                values.insert((*name).to_owned(), self.value(0));
            }
        }
        if self.random.one_in(3) {
            values.insert("tags".to_owned(), json!({"x": self.random.one_in(2), "y": self.random.one_in(2)}));
        }
        if self.random.one_in(3) {
            values.insert("exports".to_owned(), json!({"some": self.map(1)}));
        }
        values.into()
    }

    fn map(&mut self, deep: usize) -> Map<String, Value> {
        let count = self.random.below(5);
        (0..count).map(|_| (self.random.pick(&KEYS).to_owned(), self.value(deep))).collect()
    }

    fn value(&mut self, deep: usize) -> Value {
        match self.random.below(12) {
            kind if deep > 0 && kind < 6 => self.map(deep - 1).into(),
            0..3 => Value::Null,
            3..5 => self.random.one_in(2).into(),
            5..8 => self.random.pick(&["text", ""]).into(),
            8..10 => json!([self.random.below(9), null, {"a": null}]),
            _ => self.random.below(9).into(),
        }
    }
}
