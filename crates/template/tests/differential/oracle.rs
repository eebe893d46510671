//! Go's own text/template, in a Go program that answers any number of questions.

use serde_json::{Value, json};
use trueup_oracle::Original;

pub(crate) struct Oracle(trueup_oracle::Oracle);

/// What is asked: texts, the name of the one to execute, and data as tagged JSON.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) templates: Vec<(String, Vec<u8>)>,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) missing: &'static str,
    pub(crate) delimiters: [String; 2],
    /// With Sprig's functions.
    pub(crate) sprig: bool,
}

impl Case {
    pub(crate) fn of(text: impl Into<Vec<u8>>, data: Value) -> Self {
        Self {
            templates: vec![("main".to_owned(), text.into())],
            name: "main".to_owned(),
            data,
            missing: "",
            delimiters: Default::default(),
            sprig: false,
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

impl Oracle {
    pub(crate) fn start() -> Self {
        let original = Original::of_crate(env!("CARGO_MANIFEST_DIR")).with_variable("TZ", "UTC");
        Self(original.start().unwrap())
    }

    /// The output, or the error's text.
    pub(crate) fn execute(&mut self, case: &Case) -> Result<Vec<u8>, Vec<u8>> {
        let templates: Vec<_> = case.templates.iter().map(|(name, text)| json!([name, hex(text)])).collect();
        self.ask(&json!({
            "templates": templates,
            "name": case.name,
            "data": case.data,
            "missing": case.missing,
            "delims": case.delimiters,
            "sprig": case.sprig,
        }))
    }

    /// What Go says of the 256 characters from `first` on: letter 1, digit 2, printable 4.
    pub(crate) fn characters(&mut self, first: u32) -> Vec<u8> {
        self.ask(&json!({ "characters": first })).unwrap()
    }

    /// Sprig's functions, by their names.
    pub(crate) fn functions(&mut self) -> Vec<String> {
        let listed = self.ask(&json!({ "list": true })).unwrap();
        String::from_utf8(listed).unwrap().lines().map(str::to_owned).collect()
    }

    fn ask(&mut self, question: &Value) -> Result<Vec<u8>, Vec<u8>> {
        let answer = self.0.ask(question).unwrap_or_else(|error| panic!("{error}: {question}"));
        match (answer["output"].as_str(), answer["error"].as_str()) {
            (Some(output), _) => Ok(unhex(output)),
            (None, error) => Err(unhex(error.unwrap_or_default())),
        }
    }
}
