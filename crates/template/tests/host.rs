//! A host as Helm is one: functions that execute templates, and objects with methods that are maps and lists besides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::rc::Rc;
use trueup_template::{
    Arguments, Context, Error, Failure, Function, Functions, Limits, List, Map, MissingKey, Object,
    Templates, Text, Type, Value,
};

/// Files by their paths: a map type with a method.
struct Files(Map);

impl Object for Files {
    fn type_name(&self) -> Rc<str> {
        "engine.files".into()
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Map(self.0.clone()))
    }

    fn method(&self, name: &str) -> Option<Function> {
        let files = self.0.clone();
        let get = move |_: &mut Context<'_>, arguments: &Arguments| {
            Ok(files.get(arguments.text(0)?).unwrap_or_else(|| "".into()))
        };
        (name == "Get").then(|| Function::new("func(string) string", get).ok()).flatten()
    }
}

/// Versions of an API: a list type with a method.
struct Versions(List);

impl Object for Versions {
    fn type_name(&self) -> Rc<str> {
        "common.VersionSet".into()
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::List(self.0.clone()))
    }

    fn method(&self, name: &str) -> Option<Function> {
        let versions = self.0.clone();
        let has = move |_: &mut Context<'_>, arguments: &Arguments| {
            let wanted = arguments.text(0)?;
            let found =
                versions.items().iter().any(|item| matches!(item, Value::Text(text) if text == wanted));
            Ok(Value::Bool(found))
        };
        (name == "Has").then(|| Function::new("func(string) bool", has).ok()).flatten()
    }
}

fn include(context: &mut Context<'_>, arguments: &Arguments) -> Result<Value, Failure> {
    Ok(context.execute(arguments.text(0)?, arguments.any(1).clone())?.into())
}

/// Parses into a copy of the templates, so that what the text defines is gone afterwards.
fn tpl(context: &mut Context<'_>, arguments: &Arguments) -> Result<Value, Failure> {
    let mut templates = context.templates().clone();
    templates.parse("tpl", arguments.text(0)?)?;
    Ok(context.execute_in(&templates, b"tpl", arguments.any(1).clone())?.into())
}

fn run(text: &str, missing_key: MissingKey) -> Result<String, Error> {
    let mut functions = Functions::new();
    functions
        .insert("include", Function::new("func(string, interface {}) (string, error)", include).unwrap());
    functions.insert("tpl", Function::new("func(string, interface {}) (string, error)", tpl).unwrap());
    let mut templates = Templates::new("gotpl").with_functions(functions).with_missing_key(missing_key);
    templates.parse("_helpers.tpl", "{{ define `name` }}name of {{ .Values.name }}{{ end }}")?;
    templates.parse("main", text)?;
    let files = [("a.txt", "first"), ("b.txt", "second")];
    let files = files.into_iter().map(|(path, text)| (Text::from(path), Value::text(text))).collect();
    let versions = ["v1", "apps/v1"].into_iter().map(Value::text).collect();
    let values = Type::Named("common.Values".into(), Rc::new(Type::map()));
    let entries = [("name", Value::text("web")), ("text", Value::text("{{ include `name` . }}!"))];
    let entries = entries.into_iter().map(|(key, value)| (Text::from(key), value)).collect();
    let data = Value::map([
        ("Files", Value::Object(Rc::new(Files(Map::new(Type::Map(Rc::new(Type::Text)), files))))),
        ("Versions", Value::Object(Rc::new(Versions(List::new(Type::List(Rc::new(Type::Text)), versions))))),
        ("Values", Value::Map(Map::new(values, entries))),
    ]);
    let output = templates.execute("main", data, &Limits::default())?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn check(text: &str, expected: &str) {
    let result = run(text, MissingKey::Zero).unwrap_or_else(|error| error.to_string());
    assert_eq!(result, expected, "{text}");
}

#[test]
fn objects_have_methods_and_are_maps_and_lists_besides() {
    check("{{ .Files.Get `a.txt` }} {{ .Files.Get `none` }}|{{ `b.txt` | .Files.Get }}", "first |second");
    check("{{ range $path, $text := .Files }}{{ $path }}={{ $text }};{{ end }}", "a.txt=first;b.txt=second;");
    check(
        "{{ len .Files }} {{ index .Files `a.txt` }} {{ if .Files }}yes{{ end }} {{ .Files }}",
        "2 first yes map[a.txt:first b.txt:second]",
    );
    check(
        "{{ .Versions.Has `apps/v1` }} {{ .Versions.Has `v2` }} {{ range .Versions }}{{ . }},{{ end }}",
        "true false v1,apps/v1,",
    );
    check(
        "{{ index .Versions 1 }} {{ .Versions }} {{ printf `%T` .Versions }}",
        "apps/v1 [v1 apps/v1] common.VersionSet",
    );
}

#[test]
fn a_template_is_included_and_a_text_becomes_one() {
    check("{{ include `name` . | printf `<%s>` }}", "<name of web>");
    check("{{ tpl .Values.text . }}", "name of web!");
    check("{{ tpl `{{ define \"own\" }}x{{ end }}{{ include \"own\" . }}` . }}", "x");
}

#[test]
fn what_fails_within_says_the_way_to_it() {
    check(
        "{{ include `none` . }}",
        "template: main:1:3: executing \"main\" at <include `none` .>: error calling include: template: no template \
         \"none\" associated with template \"gotpl\"",
    );
    check(
        "{{ tpl `{{ .Values.a.b }}` . }}",
        "template: main:1:3: executing \"main\" at <tpl `{{ .Values.a.b }}` .>: error calling tpl: template: \
         tpl:1:10: executing \"tpl\" at <.Values.a.b>: nil pointer evaluating interface {}.b",
    );
    check(
        "{{ tpl `{{ if }}` . }}",
        "template: main:1:3: executing \"main\" at <tpl `{{ if }}` .>: error calling tpl: template: tpl:1: missing \
         value for if",
    );
    check(
        "{{ tpl `{{ define \"own\" }}x{{ end }}` . }}{{ include `own` . }}",
        "template: main:1:45: executing \"main\" at <include `own` .>: error calling include: template: no template \
         \"own\" associated with template \"gotpl\"",
    );
    check(
        "{{ .Values.x.y }}",
        "template: main:1:10: executing \"main\" at <.Values.x.y>: nil pointer evaluating interface {}.y",
    );
}
