//! Versions and constraints, as Masterminds semver reads them: what templates compare with, asked outside of one.

use trueup_template::{Limits, Templates, Value, sprig};

/// Whether a version fits a constraint; false where either cannot be read.
pub fn is_compatible(constraint: &str, version: &str) -> bool {
    let data = Value::map([("wanted", Value::text(constraint)), ("version", Value::text(version))]);
    evaluate("{{ semverCompare .wanted .version }}", data).is_some_and(|shown| shown == b"true")
}

/// Whether a text is a version.
pub(crate) fn is_version(text: &str) -> bool {
    evaluate("{{ semver .version }}", Value::map([("version", Value::text(text))])).is_some()
}

fn evaluate(template: &str, data: Value) -> Option<Vec<u8>> {
    let all = sprig::functions().ok()?;
    let mut functions = trueup_template::Functions::new();
    for name in ["semver", "semverCompare"] {
        functions.insert(name, all.get(name.as_bytes())?.clone());
    }
    let mut templates = Templates::new("version").with_functions(functions);
    templates.parse("version", template).ok()?;
    templates.execute("version", data, &Limits::default()).ok()
}
