//! What is in the repository: the objects of a few apps, changed at random; and what a target should therefore have.

use crate::hooks::{self, Hook};
use crate::random::Random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use trueup_plan::apply_set::PART_OF;

/// What no value of a Secret may show up without: it is looked for in everything that trueup puts out.
pub(crate) const MARK: &str = "hunter2-";
/// The same as Secrets' `data` carry it.
pub(crate) const MARK_ENCODED: &str = "aHVudGVyMi";

pub(crate) const APPS: [&str; 2] = ["web", "db"];

/// Kind, namespace (empty where the manifest leaves it to the environment) and name.
pub(crate) type Id = (String, String, String);

/// A commit's files, as objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Content {
    apps: BTreeMap<String, BTreeMap<String, Value>>,
    /// Apps of which a file is no YAML.
    broken: BTreeMap<String, String>,
    /// So many objects are enough for an app.
    enough: usize,
}

impl Content {
    pub(crate) fn first(random: &mut Random) -> Self {
        let mut content =
            Self { enough: 3 + usize::try_from(random.below(6)).unwrap_or(0), ..Self::default() };
        let first = content.enough as u64 - 2;
        for app in APPS {
            let objects = content.apps.entry(app.to_owned()).or_default();
            for number in 0..=random.below(first) {
                let object = object(app, number, random);
                objects.insert(file(&object), object);
            }
            if random.happens(300) {
                let hook = hooks::job(app, 0, random);
                objects.insert(file(&hook), hook);
            }
        }
        content
    }

    /// Changes something; says what. Each app keeps at least one object: Git has no folder without a file.
    pub(crate) fn change(&mut self, random: &mut Random) -> String {
        let app = (*random.pick(&APPS).unwrap_or(&APPS[0])).to_owned();
        let what = self.change_app(&app, random);
        let objects = self.apps.entry(app.clone()).or_default();
        if !objects.is_empty() {
            return what;
        }
        let object = object(&app, 0, random);
        let file = file(&object);
        objects.insert(file.clone(), object);
        format!("{what}, write {app}/{file}")
    }

    fn change_app(&mut self, app: &str, random: &mut Random) -> String {
        let objects = self.apps.entry(app.to_owned()).or_default();
        if app == "db" && random.happens(60) {
            return toggle_definition(objects);
        }
        if random.happens(100) {
            if self.broken.remove(app).is_some() {
                return format!("mend {app}");
            }
            self.broken.insert(app.to_owned(), "kind: [unclosed\n".to_owned());
            return format!("break {app}");
        }
        if random.happens(80) {
            let hook = hooks::job(app, random.below(3), random);
            let file = file(&hook);
            let is_gone = random.happens(400) && objects.remove(&file).is_some();
            if !is_gone {
                objects.insert(file.clone(), hook);
            }
            return format!("{} {app}/{file}", if is_gone { "remove" } else { "write" });
        }
        let files: Vec<String> = objects.keys().cloned().collect();
        match random.below(10) {
            0..=2 if objects.len() > 1 => {
                let file = random.pick(&files).cloned().unwrap_or_default();
                if file == DEFINITION {
                    return toggle_definition(objects);
                }
                objects.remove(&file);
                format!("remove {app}/{file}")
            }
            0..=5 if objects.len() < self.enough => {
                let has_widgets = objects.contains_key(DEFINITION);
                let number = random.below(8);
                let object = if has_widgets && random.happens(300) {
                    widget(number, random)
                } else {
                    object(app, number, random)
                };
                let file = file(&object);
                objects.insert(file.clone(), object);
                format!("write {app}/{file}")
            }
            _ => {
                let file = random.pick(&files).cloned().unwrap_or_default();
                if let Some(object) = objects.get_mut(&file) {
                    alter(object, random);
                }
                format!("alter {app}/{file}")
            }
        }
    }

    /// Takes out what nothing can be made of.
    /// Takes something away that is neither a hook nor a definition, and not all that there is; says what.
    pub(crate) fn drop_one(&mut self, app: &str, namespace: &str, random: &mut Random) -> Option<Id> {
        let objects = self.apps.get_mut(app).filter(|objects| objects.len() > 1)?;
        let is_plain = |(file, object): &(&String, &Value)| Hook::of(object).is_none() && *file != DEFINITION;
        let files: Vec<String> = objects.iter().filter(is_plain).map(|(file, _)| file.clone()).collect();
        let object = objects.remove(random.pick(&files)?)?;
        Some(id(&object, namespace))
    }

    pub(crate) fn mend(&mut self) {
        self.broken.clear();
    }

    pub(crate) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (app, objects) in &self.apps {
            for (file, object) in objects {
                files.insert(format!("apps/{app}/{file}"), format!("{object}\n"));
            }
        }
        for (app, text) in &self.broken {
            files.insert(format!("apps/{app}/broken.yaml"), text.clone());
        }
        files
    }

    /// A number for all that an app has; nothing is known of one that is broken.
    pub(crate) fn state(&self, app: &str) -> Option<u64> {
        let objects = self.apps.get(app).filter(|_| !self.broken.contains_key(app))?;
        let mut hash = DefaultHasher::new();
        for object in objects.values() {
            object.to_string().hash(&mut hash);
        }
        Some(hash.finish())
    }

    /// Whether an app has a hook that runs this image, whatever was there before.
    pub(crate) fn runs(&self, app: &str, image: &str) -> bool {
        let objects = self.apps.get(app).into_iter().flat_map(BTreeMap::values);
        let is_run = |object: &Value| Hook::of(object).is_some_and(|hook| hook.is_always);
        objects.into_iter().any(|object| is_run(object) && hooks::image(object) == image)
    }

    /// What an app has in a namespace; nothing is known of one that is broken.
    pub(crate) fn wanted(&self, app: &str, namespace: &str) -> Option<BTreeMap<Id, &Value>> {
        if self.broken.contains_key(app) {
            return None;
        }
        let objects = self.apps.get(app)?;
        Some(objects.values().map(|object| (id(object, namespace), object)).collect())
    }
}

/// The file with the definition of widgets.
const DEFINITION: &str = "customresourcedefinition-widgets.sim.example.com.yaml";

/// Takes the definition of widgets out, and all widgets; or puts it in, and one of them.
fn toggle_definition(objects: &mut BTreeMap<String, Value>) -> String {
    if objects.remove(DEFINITION).is_some() {
        objects.retain(|_, object| object["kind"] != "Widget");
        return "remove the widgets and their definition".to_owned();
    }
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.sim.example.com"},
        "spec": {"group": "sim.example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    objects.insert(DEFINITION.to_owned(), definition);
    let widget = json!({"apiVersion": "sim.example.com/v1", "kind": "Widget", "metadata": {"name": "db-first"}, "spec": {"size": 1}});
    objects.insert(file(&widget), widget);
    "define widgets, and have one".to_owned()
}

fn widget(number: u64, random: &mut Random) -> Value {
    json!({"apiVersion": "sim.example.com/v1", "kind": "Widget", "metadata": {"name": format!("db-{number}")},
        "spec": {"size": random.below(1000)}})
}

fn file(object: &Value) -> String {
    format!("{}-{}.yaml", text(&object["kind"]).to_lowercase(), text(&object["metadata"]["name"]))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Labels of what a controller makes of a Service, which gets the Service's labels too.
const COPIED: [&str; 2] = ["endpoints.kubernetes.io/managed-by", "endpointslice.kubernetes.io/managed-by"];

/// The set that an object is in; empty for none.
pub(crate) fn set_of(object: &Value) -> &str {
    let labels = &object["metadata"]["labels"];
    let is_copy = COPIED.iter().any(|copied| !labels[*copied].is_null());
    if is_copy { "" } else { text(&labels[PART_OF]) }
}

pub(crate) fn id(object: &Value, namespace: &str) -> Id {
    let own = text(&object["metadata"]["namespace"]);
    let is_in_none = object["kind"] == "CustomResourceDefinition";
    let namespace = if is_in_none || !own.is_empty() { own } else { namespace };
    (text(&object["kind"]).to_owned(), namespace.to_owned(), text(&object["metadata"]["name"]).to_owned())
}

/// Whether a live object is this one.
pub(crate) fn is(object: &Value, (kind, namespace, name): &Id) -> bool {
    let metadata = &object["metadata"];
    text(&metadata["name"]) == name
        && object["kind"] == kind.as_str()
        && text(&metadata["namespace"]) == namespace
}

fn object(app: &str, number: u64, random: &mut Random) -> Value {
    let mut object = plain(app, number, random);
    if random.happens(150) {
        object["metadata"]["annotations"]["trueup.dev/wave"] = format!("{}", random.below(3)).into();
    }
    object
}

fn plain(app: &str, number: u64, random: &mut Random) -> Value {
    let name = format!("{app}-{number}");
    let value = random.below(1000);
    match random.below(8) {
        0..=3 => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
            "data": {"a": format!("{value}"), "b": "fixed"}}),
        4 => json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"password": format!("{MARK}{value}")}}),
        5 => {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"v": format!("{value}")}},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80 + value % 9}]}})
        }
        6 => {
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "annotations": {"v": format!("{value}")}}})
        }
        _ => json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 1 + value % 3, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "main", "image": format!("shop:{value}")}]}}}}),
    }
}

fn alter(object: &mut Value, random: &mut Random) {
    let value = random.below(1000);
    match text(&object["kind"]) {
        "ConfigMap" if random.happens(300) => {
            let key = ["a", "b", "c", "d"][usize::try_from(random.below(4)).unwrap_or(0)];
            if object["data"].get(key).is_some() && random.happens(500) {
                if let Some(data) = object["data"].as_object_mut() {
                    data.remove(key);
                }
            } else {
                object["data"][key] = format!("{value}").into();
            }
        }
        "ConfigMap" => object["data"]["a"] = format!("{value}").into(),
        "Secret" => object["stringData"]["password"] = format!("{MARK}{value}").into(),
        "CustomResourceDefinition" => object["metadata"]["labels"]["v"] = format!("{value}").into(),
        "Widget" => object["spec"]["size"] = value.into(),
        "Job" => {
            let container = &mut object["spec"]["template"]["spec"]["containers"][0];
            container["args"] = json!([format!("{value}")]);
        }
        "Service" => object["spec"]["ports"][0]["port"] = (80 + value % 9).into(),
        "ServiceAccount" => object["metadata"]["annotations"]["v"] = format!("{value}").into(),
        "Deployment" if random.happens(500) => object["spec"]["replicas"] = (1 + value % 3).into(),
        _ => object["spec"]["template"]["spec"]["containers"][0]["image"] = format!("shop:{value}").into(),
    }
}

/// The first place at which a live object is not as it is wanted.
pub(crate) fn difference(wanted: &Value, live: &Value, path: &str) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), _) => wanted.iter().find_map(|(key, value)| {
            if path.is_empty() && key == "stringData" {
                return secrets_differ(value, &live["data"]);
            }
            difference(value, &live[key], &format!("{path}.{key}"))
        }),
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            let pairs = wanted.iter().zip(live).enumerate();
            pairs.into_iter().find_map(|(at, (one, other))| difference(one, other, &format!("{path}[{at}]")))
        }
        (_, _) if wanted == live => None,
        (_, _) => Some(format!("{path} is {live} and should be {wanted}")),
    }
}

fn secrets_differ(wanted: &Value, live: &Value) -> Option<String> {
    use base64::Engine as _;
    wanted.as_object()?.iter().find_map(|(key, value)| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text(value));
        (live[key] != encoded.as_str()).then(|| format!("the value of {key} is another one"))
    })
}
