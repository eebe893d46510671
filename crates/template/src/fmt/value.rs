//! How a value prints: by its kind, and within lists and maps.

use super::{DEEPEST, Printer};
use crate::text::Text;
use crate::value::{List, Map, Object, Type, Uint, Value};

/// Where a value stands.
#[derive(Clone, Copy)]
enum Place<'t> {
    /// An argument itself, or one within a concrete value.
    Concrete,
    /// Within a list, map or struct whose elements are of that type.
    Within(&'t Type),
}

impl Printer {
    /// An argument: `%T` and `%p` look at the argument itself.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (Value::Nil, _) => self.wrong_verb(value, verb),
            (_, 'T') => self.string(value.type_name().as_bytes()),
            (Value::List(_) | Value::Map(_) | Value::Function(_), 'p') => self.address(value, verb),
            (Value::Object(object), 'p') if object.type_name().starts_with('*') => self.address(value, verb),
            (_, 'p') => self.wrong_verb(value, verb),
            _ => self.value(value, verb, Place::Concrete, 0),
        }
    }

    /// `%!d(string=a)`
    pub(super) fn wrong_verb(&mut self, value: &Value, verb: char) {
        let outer = std::mem::replace(&mut self.erroring, true);
        self.complaint(verb, b"(");
        self.write(value.type_name().as_bytes());
        if !matches!(value, Value::Nil) {
            self.write(b"=");
            self.value(value, 'v', Place::Concrete, 0);
        }
        self.write(b")");
        self.erroring = outer;
    }

    fn value(&mut self, value: &Value, verb: char, place: Place<'_>, depth: usize) {
        if depth > DEEPEST {
            self.refused.get_or_insert("a value is nested too deeply to be printed");
        }
        if self.refused.is_some() {
            return;
        }
        match value {
            Value::List(_) | Value::Map(_) | Value::Object(_) if verb == 'w' && !self.erroring => {
                self.wrong_verb(value, verb);
            }
            Value::Nil => self.nil(verb, place),
            Value::Bool(flag) => match verb {
                't' | 'v' => self.pad(if *flag { b"true" } else { b"false" }),
                _ => self.wrong_verb(value, verb),
            },
            Value::Int(_, number) => self.int(value, *number, verb),
            Value::Uint(_, number) => self.uint(value, *number, verb),
            Value::Float(kind, number) => self.float(value, *kind, *number, verb),
            Value::Text(text) => self.text(value, text, verb),
            Value::List(list) => self.list(value, list, None, verb, depth),
            Value::Map(map) => self.map(map, None, verb, depth),
            Value::Object(object) => self.object(value, object.as_ref(), verb, depth),
            Value::Function(_) => self.address(value, verb),
        }
    }

    fn nil(&mut self, verb: char, place: Place<'_>) {
        match place {
            Place::Within(element) if self.flags.sharp_v => {
                self.write(element.to_string().as_bytes());
                self.write(b"(nil)");
            }
            Place::Within(_) => self.write(b"<nil>"),
            Place::Concrete => self.wrong_verb(&Value::Nil, verb),
        }
    }

    fn text(&mut self, value: &Value, text: &[u8], verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => self.string(text),
            'x' => self.hex_bytes(text, b"0123456789abcdefx"),
            'X' => self.hex_bytes(text, b"0123456789ABCDEFX"),
            'q' => self.quoted(text),
            _ => self.wrong_verb(value, verb),
        }
    }

    /// `name` is that of a type with one of its own.
    fn list(&mut self, value: &Value, list: &List, name: Option<&str>, verb: char, depth: usize) {
        let element = list.type_of().element();
        if *element == Type::Uint(Uint::Uint8) && (matches!(verb, 's' | 'q' | 'x' | 'X') || depth == 0) {
            let bytes: Vec<u8> = list
                .items()
                .iter()
                .filter_map(|item| match item {
                    Value::Uint(_, byte) => u8::try_from(*byte).ok(),
                    _ => None,
                })
                .collect();
            match verb {
                's' | 'q' | 'x' | 'X' => return self.text(value, &bytes, verb),
                'v' | 'd' => return self.bytes(list, &bytes),
                _ => {}
            }
        }
        if self.flags.sharp_v {
            self.type_name(name, list.type_of());
            if list.is_nil() {
                return self.write(b"(nil)");
            }
        }
        let (open, separator, close) = self.brackets();
        self.write(open);
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.write(separator);
            }
            self.value(item, verb, Place::Within(element), depth + 1);
        }
        self.write(close);
    }

    /// A `[]byte` as `%v` and `%d` print it.
    fn bytes(&mut self, list: &List, bytes: &[u8]) {
        if self.flags.sharp_v {
            self.write(b"[]byte");
            if list.is_nil() {
                return self.write(b"(nil)");
            }
        }
        let (open, separator, close) = self.brackets();
        self.write(open);
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 {
                self.write(separator);
            }
            if self.flags.sharp_v {
                self.hex_uint((*byte).into());
            } else {
                self.integer((*byte).into(), false, 10, 'd');
            }
        }
        self.write(close);
    }

    fn brackets(&self) -> (&'static [u8], &'static [u8], &'static [u8]) {
        if self.flags.sharp_v { (b"{", b", ", b"}") } else { (b"[", b" ", b"]") }
    }

    fn type_name(&mut self, name: Option<&str>, type_of: &Type) {
        match name {
            Some(name) => self.write(name.as_bytes()),
            None => self.write(type_of.to_string().as_bytes()),
        }
    }

    /// `name` is that of a type with one of its own.
    fn map(&mut self, map: &Map, name: Option<&str>, verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.type_name(name, map.type_of());
            if map.is_nil() {
                return self.write(b"(nil)");
            }
        } else {
            self.write(b"map");
        }
        let (open, separator, close) = self.brackets();
        self.write(open);
        let element = map.type_of().element();
        for (index, (key, item)) in map.entries().iter().enumerate() {
            if index > 0 {
                self.write(separator);
            }
            self.value(&Value::Text(key.clone()), verb, Place::Within(&Type::Text), depth + 1);
            self.write(b":");
            self.value(item, verb, Place::Within(element), depth + 1);
        }
        self.write(close);
    }

    fn object(&mut self, value: &Value, object: &dyn Object, verb: char, depth: usize) {
        if !self.erroring
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = object.to_text()
        {
            return self.text(value, &text, verb);
        }
        if !self.erroring
            && self.flags.sharp_v
            && let Some(text) = object.to_go_text()
        {
            return self.string(&text);
        }
        let name = object.type_name();
        match object.underlying() {
            Some(Value::Map(map)) => return self.map(&map, Some(&name), verb, depth),
            Some(Value::List(list)) => {
                return self.list(&Value::List(list.clone()), &list, Some(&name), verb, depth);
            }
            Some(beneath) => return self.value(&beneath, verb, Place::Concrete, depth),
            None => {}
        }
        if let Some(pointee) = name.strip_prefix('*') {
            if depth > 0 {
                return self.address(value, verb);
            }
            self.write(b"&");
            return self.fields(pointee, &object.all_fields(), verb, depth + 1);
        }
        self.fields(&name, &object.all_fields(), verb, depth);
    }

    fn fields(&mut self, name: &str, fields: &[(Text, Value)], verb: char, depth: usize) {
        if self.flags.sharp_v {
            self.write(name.as_bytes());
        }
        self.write(b"{");
        for (index, (name, field)) in fields.iter().enumerate() {
            if index > 0 {
                self.write(if self.flags.sharp_v { b", " } else { b" " });
            }
            if self.flags.sharp_v || self.flags.plus_v {
                self.write(name);
                self.write(b":");
            }
            self.value(field, verb, Place::Within(&Type::Any), depth + 1);
        }
        self.write(b"}");
    }

    /// What has only an address: that of nothing, for addresses differ from run to run.
    fn address(&mut self, value: &Value, verb: char) {
        match verb {
            'v' if self.flags.sharp_v => {
                self.write(format!("({})(0x0)", value.type_name()).as_bytes());
            }
            'v' | 'p' => self.pad(b"0x0"),
            'b' | 'o' | 'd' | 'x' | 'X' => self.uint(value, 0, verb),
            _ => self.wrong_verb(value, verb),
        }
    }
}
