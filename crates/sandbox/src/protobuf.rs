//! Bodies in Kubernetes' protobuf, which typed clients send, made JSON.
//!
//! Enters: a body. Leaves: the document that it means. Absent: answers in protobuf, which no client asks for without taking JSON
//! as well; custom resources, which have no such form.
//!
//! Source: k8s.io/apimachinery `pkg/runtime/serializer/protobuf`, `pkg/runtime/types.go` and the messages' own marshalling.

use crate::go_types::{self, GoField};
use crate::kinds::models;
use crate::shapes::{Part, Shape, is_zero, shape};
use base64::Engine as _;
use serde_json::{Map, Value, json};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What such a body begins with.
const PREFIX: &[u8] = b"k8s\0";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Whether a body is of this media type.
pub(crate) fn is_meant(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|name| name.trim() == MEDIA_TYPE)
}

/// What a body begins with, as a refusal shows it.
pub(crate) fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let begins = &body[..body.len().min(SHOWN)];
    let more = if body.len() > SHOWN { " ..." } else { "" };
    match begins.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(begins)),
        Some(_) => {
            let hex: Vec<String> = begins.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}{more}", hex.concat())
        }
    }
}

/// The document that a body holds; an error says why it cannot be read.
pub(crate) fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(PREFIX).ok_or_else(|| {
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned()
    })?;
    let (mut kind, mut api_version, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, wire) in parts(envelope)? {
        match (number, wire) {
            (1, Wire::Bytes(meta)) => {
                for (number, wire) in parts(meta)? {
                    match number {
                        1 => api_version = wire.text()?,
                        2 => kind = wire.text()?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            (_, _) => {}
        }
    }
    let type_name = type_name(&api_version, &kind)
        .ok_or_else(|| format!("no kind {kind:?} is registered for version {api_version:?}"))?;
    let mut object = message(raw, type_name)?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}

/// The type of a kind: `io.k8s.api.apps.v1.Deployment` of `apps/v1`.
fn type_name(api_version: &str, kind: &str) -> Option<&'static str> {
    let options = models().get_key_value(&format!("{META}{kind}")).filter(|_| kind.ends_with("Options"));
    if let Some((name, _)) = options {
        return Some(name);
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
    let group = group.split('.').next().unwrap_or_default();
    let ends = format!(".{group}.{version}.{kind}");
    models().keys().find(|name| name.ends_with(&ends)).map(String::as_str)
}

/// What stands on the wire at a field.
#[derive(Clone, Copy)]
enum Wire<'b> {
    Number(u64),
    Double(f64),
    Bytes(&'b [u8]),
}

impl<'b> Wire<'b> {
    fn text(self) -> Result<String, String> {
        match self {
            Wire::Bytes(bytes) => {
                String::from_utf8(bytes.to_vec()).map_err(|error| format!("a text is none: {error}"))
            }
            Wire::Number(_) | Wire::Double(_) => Err("a text is written as a number".to_owned()),
        }
    }

    fn number(self) -> Result<i64, String> {
        match self {
            // Negative ones are written in full.
            Wire::Number(number) => Ok(number.cast_signed()),
            Wire::Double(_) | Wire::Bytes(_) => Err("a number is written as something else".to_owned()),
        }
    }

    fn bytes(self) -> Result<&'b [u8], String> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            Wire::Number(_) | Wire::Double(_) => Err("a message is written as a number".to_owned()),
        }
    }
}

/// The fields of a message, in the order in which they come.
fn parts(mut bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, String> {
    let cut = || "unexpected EOF".to_owned();
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(cut)?;
        let number = u32::try_from(tag >> 3).map_err(|_| format!("a field has the number {}", tag >> 3))?;
        let wire = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes).ok_or_else(cut)?),
            1 => {
                let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
                bytes = rest;
                Wire::Double(f64::from_le_bytes(*number))
            }
            2 => {
                let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok());
                let (text, rest) =
                    length.and_then(|length| bytes.split_at_checked(length)).ok_or_else(cut)?;
                bytes = rest;
                Wire::Bytes(text)
            }
            other => return Err(format!("a field is of the wire type {other}")),
        };
        found.push((number, wire));
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// A message of a type as JSON has it.
fn message(bytes: &[u8], type_name: &str) -> Result<Map<String, Value>, String> {
    let mut object = Map::new();
    let has_none = |shape: &Shape| shape.fields.as_ref().is_none_or(Vec::is_empty);
    match go_types::fields(type_name) {
        Some(fields) => fill(bytes, &[], type_name, fields, &mut object)?,
        // Some structs only say by being there what they say.
        None if shape(type_name).is_some_and(has_none) => {}
        None => return Err(format!("{type_name} has no known fields")),
    }
    Ok(object)
}

fn fill(
    bytes: &[u8],
    above: &[u32],
    type_name: &str,
    fields: &'static [GoField],
    object: &mut Map<String, Value>,
) -> Result<(), String> {
    for (number, wire) in parts(bytes)? {
        let path = [above, &[number]].concat();
        if let Some(field) = fields.iter().find(|field| field.path == path) {
            let part = shape(type_name).and_then(|shape| shape.field(field.name)).map(|found| &found.part);
            let part = part.ok_or_else(|| format!("{type_name} has no field {}", field.name))?;
            put(wire, field, part, object).map_err(|why| format!("{}: {why}", field.name))?;
        } else if fields.iter().any(|field| field.path.starts_with(&path)) {
            fill(wire.bytes()?, &path, type_name, fields, object)?;
        }
        // What a later version has is passed over, as everywhere in protobuf.
    }
    Ok(())
}

fn put(wire: Wire<'_>, field: &GoField, part: &Part, object: &mut Map<String, Value>) -> Result<(), String> {
    let name = field.name;
    if let (None, Some(items)) = (part.type_name, part.items.as_deref()) {
        let item = value(wire, items)?;
        if let Some(list) = object.entry(name).or_insert_with(|| json!([])).as_array_mut() {
            list.push(item);
        }
        return Ok(());
    }
    if let (None, Some(entries)) = (part.type_name, part.entries.as_deref()) {
        let (key, entry) = entry(wire, entries)?;
        if let Some(map) = object.entry(name).or_insert_with(|| json!({})).as_object_mut() {
            map.insert(key, entry);
        }
        return Ok(());
    }
    let found = value(wire, part)?;
    // Go writes what is no pointer whatever it is; a struct is never nothing.
    let is_nothing = match &found {
        Value::Object(_) => false,
        Value::Null => true,
        other => field.is_dropped_when_zero && !field.is_pointer() && is_zero(other),
    };
    if !is_nothing {
        object.insert(name.to_owned(), found);
    }
    Ok(())
}

/// An entry of a map: a message of a key and a value.
fn entry(wire: Wire<'_>, part: &Part) -> Result<(String, Value), String> {
    let (mut key, mut found) = (String::new(), None);
    for (number, wire) in parts(wire.bytes()?)? {
        match (number, part.items.as_deref()) {
            (1, _) => key = wire.text()?,
            // A list cannot stand in a map: it is a message of one.
            (2, Some(items)) => {
                let items = parts(wire.bytes()?)?.into_iter().map(|(_, wire)| value(wire, items));
                found = Some(Value::Array(items.collect::<Result<_, _>>()?));
            }
            (2, None) => found = Some(value(wire, part)?),
            (_, _) => {}
        }
    }
    Ok((key, found.unwrap_or_else(|| if part.schema["type"] == "string" { "".into() } else { json!({}) })))
}

fn value(wire: Wire<'_>, part: &Part) -> Result<Value, String> {
    if let Some(name) = part.type_name {
        return typed(wire.bytes()?, name);
    }
    Ok(match (part.schema["type"].as_str(), wire) {
        (Some("boolean"), wire) => Value::Bool(wire.number()? != 0),
        (Some("integer"), wire) => wire.number()?.into(),
        // A whole one is written as such.
        (Some("number"), Wire::Double(number)) => {
            serde_json::from_str(&number.to_string()).map_err(|error| error.to_string())?
        }
        (Some("string"), Wire::Bytes(bytes)) if part.schema["format"] == "byte" => {
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }
        (_, wire) => wire.text()?.into(),
    })
}

/// A message of a type; some have a form of their own.
fn typed(bytes: &[u8], name: &str) -> Result<Value, String> {
    let find = |number: u32| Ok::<_, String>(parts(bytes)?.into_iter().find(|part| part.0 == number));
    let whole = |number: u32| find(number)?.map_or(Ok(0), |(_, wire)| wire.number());
    let text = |number: u32| find(number)?.map_or(Ok(String::new()), |(_, wire)| wire.text());
    let short = name.rsplit('.').next().unwrap_or_default();
    Ok(match short {
        "Time" | "MicroTime" if bytes.is_empty() => Value::Null,
        "Time" => time(whole(1)?, 0, "%Y-%m-%dT%H:%M:%SZ")?,
        "MicroTime" => time(whole(1)?, whole(2)?, "%Y-%m-%dT%H:%M:%S.%6fZ")?,
        "Quantity" => text(1)?.into(),
        "IntOrString" if whole(1)? == 0 => whole(2)?.into(),
        "IntOrString" => text(3)?.into(),
        "FieldsV1" | "RawExtension" | "JSON" => match find(1)? {
            Some((_, raw)) => serde_json::from_slice(raw.bytes()?).map_err(|error| error.to_string())?,
            None => Value::Null,
        },
        // What is one of several things says which by what is there.
        "JSONSchemaPropsOrBool" => match find(2)? {
            Some((_, schema)) => schema_of(name, schema)?,
            None => Value::Bool(whole(1)? != 0),
        },
        "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray" => {
            if let Some((_, schema)) = find(1)? {
                return schema_of(name, schema);
            }
            let items = parts(bytes)?.into_iter().map(|(_, wire)| match short {
                "JSONSchemaPropsOrArray" => schema_of(name, wire),
                _ => wire.text().map(Value::from),
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        _ => Value::Object(message(bytes, name)?),
    })
}

/// A schema, of which the type stands beside that of a choice.
fn schema_of(choice: &str, wire: Wire<'_>) -> Result<Value, String> {
    let beside = choice.rsplit_once('.').map_or("", |(package, _)| package);
    message(wire.bytes()?, &format!("{beside}.JSONSchemaProps")).map(Value::Object)
}

fn time(seconds: i64, nanos: i64, form: &str) -> Result<Value, String> {
    let nanos = i32::try_from(nanos).map_err(|error| error.to_string())?;
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(time.strftime(form).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field that has a length.
    fn long(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn body(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
        let meta = [long(1, api_version.as_bytes()), long(2, kind.as_bytes())].concat();
        [PREFIX, &long(1, &meta), &long(2, message), &long(3, b""), &long(4, b"")].concat()
    }

    #[test]
    fn a_secret_is_read_as_a_typed_client_writes_it() {
        let label = [long(1, b"owner"), long(2, b"helm")].concat();
        // Go writes texts with nothing in them, and a time that is none.
        let metadata = [long(1, b"v1"), long(2, b""), long(8, b""), long(11, &label)].concat();
        let data = [long(1, b"release"), long(2, &[0, 255])].concat();
        let message = [long(1, &metadata), long(2, &data), long(3, b"helm.sh/release.v1")].concat();
        assert_eq!(
            decode(&body("v1", "Secret", &message)).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "v1", "labels": {"owner": "helm"}},
                "data": {"release": "AP8="}, "type": "helm.sh/release.v1"})
        );
    }

    #[test]
    fn what_json_has_in_one_object_and_protobuf_in_several_is_put_together() {
        let volume = [long(1, b"host"), long(2, &long(1, &long(1, b"/data")))].concat();
        let container = [long(1, b"main"), long(2, b"nginx"), long(6, &[0x18, 80])].concat();
        let spec = [long(1, &volume), long(2, &container), vec![0x20, 0]].concat();
        let spec = [spec, vec![0x58, 0]].concat();
        assert_eq!(
            decode(&body("v1", "Pod", &long(2, &spec))).unwrap()["spec"],
            json!({"volumes": [{"name": "host", "hostPath": {"path": "/data"}}],
                "containers": [{"name": "main", "image": "nginx", "ports": [{"containerPort": 80}]}],
                "terminationGracePeriodSeconds": 0})
        );
    }

    #[test]
    fn what_is_cut_off_or_no_such_message_is_told() {
        for (bytes, why) in [
            (b"{}".to_vec(), "provided data does not appear to be a protobuf message"),
            (body("v1", "Nothing", b""), "no kind \"Nothing\" is registered for version \"v1\""),
            (body("v1", "ConfigMap", &[0x0a, 9, 1]), "unexpected EOF"),
            (body("v1", "ConfigMap", &[0x0b]), "wire type 3"),
        ] {
            let told = decode(&bytes).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
