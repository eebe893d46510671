//! How Go has the types of the Kubernetes API: the table of `crates/sandbox`, made from their sources.
//!
//! Enters: the sources of each package's types, and the types that OpenAPI names. Leaves: the table's text; its first lines say how it is
//! written. Absent: types with a form of their own on the wire, such as times and quantities, which say so in code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// A field of a struct, as its source has it.
#[derive(Clone, Debug)]
struct Field {
    /// The name in JSON; empty for a struct whose fields stand among those of its owner.
    json: String,
    number: u32,
    go: String,
    is_dropped_when_zero: bool,
}

type Structs = BTreeMap<String, Vec<Field>>;

const HEADER: &str = "\
# How Go has the types of the Kubernetes API (RELEASE): what JSON and OpenAPI do not tell.
# Written by `cargo run -p trueup-testkit --bin go-types-table`.
#
# TYPE FIELD=NUMBER:GO...    the field's number in protobuf and its type in Go; `2/1` is number 1 of the message that is number 2
#      FIELD=NUMBER:GO?      the same of one that JSON leaves out when it has its zero value
";

/// The table of the types that OpenAPI names so; `source` gives what declares those of a package: `k8s.io/api/core/v1`.
pub fn table(
    names: &BTreeSet<String>,
    release: &str,
    source: impl Fn(&str) -> Result<String>,
) -> Result<String> {
    let mut packages: BTreeMap<String, Structs> = BTreeMap::new();
    let mut text = HEADER.replace("RELEASE", release);
    for name in names {
        let (package, short) = place(name).with_context(|| format!("{name} is in no package"))?;
        if !packages.contains_key(&package) {
            let read = source(&package)?;
            packages.insert(package.clone(), structs(&read, package.rsplit('/').next().unwrap_or_default()));
        }
        let Some(structs) = packages.get(&package) else { continue };
        let mut fields = Vec::new();
        flatten(structs, short, "", &mut fields);
        if fields.is_empty() {
            continue;
        }
        text.push_str(name);
        for field in fields {
            write!(text, " {field}")?;
        }
        text.push('\n');
    }
    Ok(text)
}

/// The package and the name in it of a type: `io.k8s.api.core.v1.Pod`.
fn place(name: &str) -> Option<(String, &str)> {
    let (package, short) = name.strip_prefix("io.k8s.")?.rsplit_once('.')?;
    Some((format!("k8s.io/{}", package.replace('.', "/")), short))
}

/// The fields of a struct as the table has them, with those of structs that stand among them.
fn flatten(structs: &Structs, name: &str, above: &str, out: &mut Vec<String>) {
    for field in structs.get(name).into_iter().flatten() {
        if field.json.is_empty() {
            let inner = field.go.rsplit('.').next().unwrap_or_default();
            flatten(structs, inner, &format!("{above}{}/", field.number), out);
            continue;
        }
        let mark = if field.is_dropped_when_zero { "?" } else { "" };
        out.push(format!("{}={above}{}:{}{mark}", field.json, field.number, field.go));
    }
}

/// The structs of a source whose fields have numbers.
fn structs(source: &str, package: &str) -> Structs {
    let mut found = Structs::new();
    let mut current: Option<(String, Vec<Field>)> = None;
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("type ").and_then(|rest| rest.strip_suffix(" struct {")) {
            current = Some((name.to_owned(), Vec::new()));
        } else if line == "}" {
            found.extend(current.take());
        } else if let Some((_, fields)) = &mut current {
            fields.extend(field(line, package));
        }
    }
    found
}

/// A line of a struct: a name, a type, and the tags between backticks. An embedded struct has no name.
fn field(line: &str, package: &str) -> Option<Field> {
    let line = line.trim();
    if line.starts_with("//") {
        return None;
    }
    let (declared, tags) = line.split_once('`')?;
    let tag = |name: &str| {
        let (_, rest) = tags.split_once(&format!("{name}:\""))?;
        rest.split_once('"').map(|(tag, _)| tag)
    };
    let number = tag("protobuf")?.split(',').nth(1)?.parse().ok()?;
    let mut json = tag("json")?.split(',');
    let name = json.next().unwrap_or_default().to_owned();
    let options: Vec<&str> = json.collect();
    let words: Vec<&str> = declared.split_whitespace().collect();
    let go = qualified(words.last()?, package);
    Some(Field { json: name, number, go, is_dropped_when_zero: options.contains(&"omitempty") })
}

/// A type as Go's own messages name it: `v1.PullPolicy` of what is `PullPolicy` in its package.
fn qualified(go: &str, package: &str) -> String {
    for prefix in ["*", "[]"] {
        if let Some(rest) = go.strip_prefix(prefix) {
            return format!("{prefix}{}", qualified(rest, package));
        }
    }
    if let Some((key, value)) = go.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
        return format!("map[{}]{}", qualified(key, package), qualified(value, package));
    }
    match go.split_once('.') {
        // Aliases of imports: the package's own name is the last part of its path, which is the version.
        Some(("metav1" | "corev1" | "v1", name)) => format!("v1.{name}"),
        None if go.starts_with(char::is_uppercase) => format!("{package}.{go}"),
        Some(_) | None => go.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
type Volume struct {
	// name of the volume.
	Name string `json:"name" protobuf:"bytes,1,opt,name=name"`
	VolumeSource `json:",inline" protobuf:"bytes,2,opt,name=volumeSource"`
}

type VolumeSource struct {
	// Old string `json:"old" protobuf:"bytes,9,opt,name=old"`
	HostPath *HostPathVolumeSource `json:"hostPath,omitempty" protobuf:"bytes,1,opt,name=hostPath"`
	Mode map[string]resource.Quantity `json:"mode" protobuf:"bytes,3,rep,name=mode"`
}

type Pod struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`
	Policies []PullPolicy `json:"policies,omitempty" protobuf:"bytes,3,rep,name=policies,casttype=PullPolicy"`
}
"#;

    #[test]
    fn numbers_and_types_are_those_of_the_source_and_embedded_structs_lead_to_their_fields() {
        let names = ["io.k8s.api.core.v1.Pod", "io.k8s.api.core.v1.Time", "io.k8s.api.core.v1.Volume"];
        let names = names.into_iter().map(str::to_owned).collect();
        let source = |package: &str| {
            assert_eq!(package, "k8s.io/api/core/v1");
            Ok(SOURCE.to_owned())
        };
        let table = table(&names, "v9", source).unwrap();
        let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "io.k8s.api.core.v1.Pod metadata=1:v1.ObjectMeta? policies=3:[]v1.PullPolicy?",
                "io.k8s.api.core.v1.Volume name=1:string hostPath=2/1:*v1.HostPathVolumeSource? mode=2/3:map[string]resource.Quantity",
            ]
        );
    }
}
