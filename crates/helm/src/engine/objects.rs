//! What templates find at the top: `.Values`, `.Chart`, `.Files` and `.Capabilities`, with the types and methods that
//! they have in Helm.

use super::yaml::{self, Layout};
use crate::capabilities::HELM_VERSION;
use crate::chart::File;
use crate::glob;
use crate::render::Options;
use crate::unit::Unit;
use crate::values::{empty, leaf, table};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use trueup_template::{Arguments, Context, Failure, Function, List, Map, Object, Text, Type, Uint, Value};

/// The type of `.Values`.
pub(crate) const VALUES: &str = "common.Values";

/// A method of that Go signature.
fn method(
    signature: &str,
    body: impl Fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure> + 'static,
) -> Option<Function> {
    Function::new(signature, body).ok()
}

/// A map under a name of its own.
pub(super) fn named(name: &'static str, map: Map) -> Value {
    Value::Object(Rc::new(Named { name, map }))
}

struct Named {
    name: &'static str,
    map: Map,
}

impl Object for Named {
    fn type_name(&self) -> Rc<str> {
        self.name.into()
    }

    fn method(&self, name: &str) -> Option<Function> {
        let map = self.map.clone();
        match name {
            "AsMap" => method("func() map[string]interface {}", move |_, _| Ok(Value::Map(map.clone()))),
            "YAML" => method("func() (string, error)", move |context, _| {
                Ok((yaml::written(context, &Value::Map(map.clone()), Layout::Plain)? + "\n").into())
            }),
            "Table" => method("func(string) (common.Values, error)", move |_, arguments| {
                let path = arguments.text(0)?.to_string_lossy();
                let found = table(&map, &path);
                found
                    .map(|found| named(VALUES, found))
                    .ok_or_else(|| format!("{path:?} is not a table").into())
            }),
            "PathValue" => method("func(string) (interface {}, error)", move |_, arguments| {
                let path = arguments.text(0)?.to_string_lossy();
                leaf(&map, &path).ok_or_else(|| format!("{path:?} is not a value").into())
            }),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Map(self.map.clone()))
    }
}

/// `.Files`: what of a chart has no other place.
pub(super) struct Files(Rc<BTreeMap<String, Arc<[u8]>>>);

impl Files {
    pub(super) fn new(files: &[File]) -> Self {
        Self(Rc::new(files.iter().map(|file| (file.name.clone(), Arc::clone(&file.data))).collect()))
    }

    fn matching(&self, pattern: &[u8]) -> Self {
        // A pattern that cannot be read matches everything.
        let pattern = std::str::from_utf8(pattern).ok().and_then(|pattern| glob::glob(pattern).ok());
        let fits = |name: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name.as_bytes()));
        let found = self.0.iter().filter(|(name, _)| fits(name));
        Self(Rc::new(found.map(|(name, data)| (name.clone(), Arc::clone(data))).collect()))
    }

    /// The files by their last names, as YAML.
    fn as_yaml(&self, context: &mut Context<'_>, shown: impl Fn(&[u8]) -> Value) -> Result<Value, Failure> {
        let entries = self.0.iter().map(|(name, data)| {
            let base = name.rsplit('/').next().unwrap_or(name);
            (Text::from(base), shown(data))
        });
        let map = Map::new(Type::map(), entries.collect());
        Ok(yaml::written(context, &Value::Map(map), Layout::Plain)?.into())
    }
}

fn bytes(data: &[u8]) -> Value {
    let items = data.iter().map(|byte| Value::Uint(Uint::Uint8, (*byte).into())).collect();
    Value::List(List::new(Type::List(Type::Uint(Uint::Uint8).into()), items))
}

fn lines(data: &[u8]) -> Value {
    if data.is_empty() {
        return Value::texts::<Text>([]);
    }
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    Value::texts(data.split(|byte| *byte == b'\n'))
}

impl Object for Files {
    fn type_name(&self) -> Rc<str> {
        "engine.files".into()
    }

    fn method(&self, name: &str) -> Option<Function> {
        let files = Self(Rc::clone(&self.0));
        let content = move |arguments: &Arguments| -> Result<Arc<[u8]>, Failure> {
            let name = arguments.text(0)?.to_string_lossy();
            Ok(files.0.get(&name).cloned().unwrap_or_default())
        };
        let files = Self(Rc::clone(&self.0));
        match name {
            "Get" => method("func(string) string", move |context, arguments| {
                let data = content(arguments)?;
                context.write(data.len())?;
                Ok(Value::text(&*data))
            }),
            "GetBytes" => method("func(string) []uint8", move |context, arguments| {
                let data = content(arguments)?;
                context.write(data.len())?;
                Ok(bytes(&data))
            }),
            "Lines" => method("func(string) []string", move |context, arguments| {
                let data = content(arguments)?;
                context.write(data.len())?;
                Ok(lines(&data))
            }),
            "Glob" => method("func(string) engine.files", move |_, arguments| {
                Ok(Value::Object(Rc::new(files.matching(arguments.text(0)?))))
            }),
            "AsConfig" => {
                method("func() string", move |context, _| files.as_yaml(context, |data| Value::text(data)))
            }
            "AsSecrets" => method("func() string", move |context, _| {
                files.as_yaml(context, |data| STANDARD.encode(data).into())
            }),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        let element = Type::List(Type::Uint(Uint::Uint8).into());
        let entries = self.0.iter().map(|(name, data)| (Text::from(name.as_str()), bytes(data)));
        Some(Value::Map(Map::new(Type::Map(element.into()), entries.collect())))
    }
}

/// A struct: its fields by their names.
struct Struct {
    name: &'static str,
    fields: Vec<(Text, Value)>,
    /// What it prints as where it stands, if it says so itself.
    text: Option<String>,
}

impl Object for Struct {
    fn type_name(&self) -> Rc<str> {
        self.name.into()
    }

    fn field(&self, name: &str) -> Option<Value> {
        let found = self.fields.iter().find(|(known, _)| is_exported(known) && known[..] == *name.as_bytes());
        found.map(|(_, value)| value.clone())
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        self.fields.iter().filter(|(name, _)| is_exported(name)).cloned().collect()
    }

    fn all_fields(&self) -> Vec<(Text, Value)> {
        self.fields.clone()
    }

    fn method(&self, name: &str) -> Option<Function> {
        let is = |wanted| name == wanted && self.name == "common.KubeVersion";
        if is("GitVersion") {
            let version = self.field("Version")?;
            return method("func() string", move |_, _| Ok(version.clone()));
        }
        let text = self.text.clone().filter(|_| is("String"))?;
        method("func() string", move |_, _| Ok(text.as_str().into()))
    }

    fn to_text_in_place(&self) -> Option<Text> {
        self.text.as_deref().map(Text::from)
    }

    fn json_fields(&self) -> Vec<(Text, Value)> {
        if self.name != BUILD {
            return self.fields();
        }
        // Its names in JSON are others, and what is empty is left out.
        let names = ["version", "git_commit", "git_tree_state", "go_version", "kube_client_version"];
        let fields = self.fields.iter().zip(names).filter(|((_, value), _)| value.is_true());
        fields.map(|((_, value), name)| (Text::from(name), value.clone())).collect()
    }
}

/// Whether a field has a name outside of its package.
fn is_exported(name: &Text) -> bool {
    name.first().is_some_and(u8::is_ascii_uppercase)
}

/// The type of Helm's own version.
const BUILD: &str = "version.BuildInfo";

/// `.Capabilities`.
pub(super) struct Capabilities;

impl Capabilities {
    pub(super) fn value(options: &Options) -> Value {
        let kube = &options.capabilities.kube_version;
        let text = |text: &str| Value::text(text);
        let kube_version = Struct {
            name: "common.KubeVersion",
            fields: vec![
                ("Version".into(), text(&kube.version)),
                ("normalizedVersion".into(), text(&kube.normalized)),
                ("Major".into(), text(&kube.major)),
                ("Minor".into(), text(&kube.minor)),
            ],
            text: Some(kube.normalized.clone()),
        };
        let helm_version = Struct {
            name: BUILD,
            fields: vec![
                ("Version".into(), text(HELM_VERSION)),
                ("GitCommit".into(), text("")),
                ("GitTreeState".into(), text("")),
                ("GoVersion".into(), text("go1.26.8")),
                ("KubeClientVersion".into(), text("v1.37")),
            ],
            text: None,
        };
        Value::Object(Rc::new(Struct {
            name: "*common.Capabilities",
            fields: vec![
                ("KubeVersion".into(), Value::Object(Rc::new(kube_version))),
                ("APIVersions".into(), VersionSet::value(&options.capabilities.api_versions)),
                ("HelmVersion".into(), Value::Object(Rc::new(helm_version))),
            ],
            text: None,
        }))
    }
}

/// The API versions of a cluster.
struct VersionSet(Arc<[String]>);

impl VersionSet {
    fn value(versions: &Arc<[String]>) -> Value {
        Value::Object(Rc::new(Self(Arc::clone(versions))))
    }
}

impl Object for VersionSet {
    fn type_name(&self) -> Rc<str> {
        "common.VersionSet".into()
    }

    fn method(&self, name: &str) -> Option<Function> {
        let versions = Arc::clone(&self.0);
        match name {
            "Has" => method("func(string) bool", move |_, arguments| {
                let wanted = arguments.text(0)?;
                Ok(Value::Bool(versions.iter().any(|known| known.as_bytes() == &wanted[..])))
            }),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::texts(self.0.iter().map(String::as_str)))
    }
}

/// `.Chart`.
pub(super) fn chart(unit: &Unit<'_>, is_root: bool) -> Map {
    let said = &unit.chart.metadata;
    let texts = |texts: &[String]| Value::list(texts.iter().map(|text| Value::text(text.as_str())));
    let annotations = Type::Map(Type::Text.into());
    let annotations = match &said.annotations {
        None => Map::nil(annotations),
        Some(all) => {
            let entries =
                all.iter().map(|(key, text)| (Text::from(key.as_str()), Value::text(text.as_str())));
            Map::new(annotations, entries.collect())
        }
    };
    let maintainers = said
        .maintainers
        .iter()
        .map(|one| Value::map([("Name", &one.name), ("Email", &one.email), ("URL", &one.url)].map(as_text)));
    let dependencies = unit.wanted.iter().flatten().map(|one| {
        let own = [
            ("Name", &one.name),
            ("Version", &one.said.version),
            ("Repository", &one.said.repository),
            ("Condition", &one.said.condition),
            ("Alias", &one.said.alias),
        ];
        let lists = [
            ("Tags", texts(&one.said.tags)),
            ("Enabled", Value::Bool(one.enabled)),
            ("ImportValues", Value::list(one.imports.iter().cloned())),
        ];
        Value::map(own.map(as_text).into_iter().chain(lists))
    });
    let shown = [
        ("Name", &unit.name),
        ("Home", &said.home),
        ("Version", &said.version),
        ("Description", &said.description),
        ("Icon", &said.icon),
        ("APIVersion", &said.api_version),
        ("Condition", &said.condition),
        ("Tags", &said.tags),
        ("AppVersion", &said.app_version),
        ("KubeVersion", &said.kube_version),
        ("Type", &said.chart_type),
    ];
    let others = [
        ("Sources", texts(&said.sources)),
        ("Keywords", texts(&said.keywords)),
        ("Maintainers", Value::list(maintainers)),
        ("Deprecated", Value::Bool(said.deprecated)),
        ("Annotations", Value::Map(annotations)),
        ("Dependencies", Value::list(dependencies)),
        ("IsRoot", Value::Bool(is_root)),
    ];
    let map = empty();
    map.entries_mut()
        .extend(shown.map(as_text).into_iter().chain(others).map(|(key, value)| (Text::from(key), value)));
    map
}

fn as_text<'k>((key, text): (&'k str, &String)) -> (&'k str, Value) {
    (key, Value::text(text.as_str()))
}
