//! Versions and ranges of them, for templates.

use super::Entry;
use crate::error::Failure;
use crate::function::{Arguments, Function};
use crate::quote::quote;
use crate::semver::{Constraints, Error, Version};
use crate::text::Text;
use crate::value::{Object, Uint, Value};
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) const TABLE: &[Entry] = &[
    (&["semver"], "func(string) (*semver.Version, error)", |_, arguments| {
        let version = Version::parse(&arguments.text(0)?.to_string_lossy())?;
        Ok(Value::Object(Rc::new(Shared { version: Rc::new(version), pointer: true })))
    }),
    (&["semverCompare"], "func(string, string) (bool, error)", |_, arguments| {
        let wanted = arguments.text(0)?;
        let constraints = match std::str::from_utf8(wanted) {
            Ok(wanted) => Constraints::parse(wanted)?,
            Err(_) => return Err(Failure::new([b"improper constraint: ", &quote(wanted)[..]].concat())),
        };
        let version = Version::parse(&arguments.text(1)?.to_string_lossy())?;
        Ok(Value::Bool(constraints.check(&version)))
    }),
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.text().clone())
    }
}

/// A version as templates have it.
struct Shared {
    version: Rc<Version>,
    pointer: bool,
}

fn of(arguments: &Arguments) -> Result<Version, Failure> {
    let object = arguments.object(0)?;
    let version = object.as_any().and_then(|any| any.downcast_ref::<Rc<Version>>());
    version.map(|version| Version::clone(version)).ok_or_else(|| "no version".into())
}

impl Object for Shared {
    fn type_name(&self) -> Rc<str> {
        if self.pointer { "*semver.Version" } else { "semver.Version" }.into()
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        let Version { numbers: [major, minor, patch], pre, metadata, original } = &*self.version;
        let number = |value: &u64| Value::Uint(Uint::Uint64, *value);
        vec![
            ("major".into(), number(major)),
            ("minor".into(), number(minor)),
            ("patch".into(), number(patch)),
            ("pre".into(), pre.as_str().into()),
            ("metadata".into(), metadata.as_str().into()),
            ("original".into(), original.as_str().into()),
        ]
    }

    fn to_text(&self) -> Option<Text> {
        Some(self.version.to_string().into())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(&self.version)
    }

    fn method(&self, name: &str) -> Option<Function> {
        let version = Rc::clone(&self.version);
        let number = |place: usize| {
            let number = self.version.numbers[place];
            Function::new("func() uint64", move |_, _| Ok(Value::Uint(Uint::Uint64, number)))
        };
        let text = |text: String| Function::new("func() string", move |_, _| Ok(text.clone().into()));
        let next = |place: usize| {
            let version = Rc::clone(&self.version);
            Function::new("func() semver.Version", move |_, _| {
                let next = Rc::new(version.next(place)?);
                Ok(Value::Object(Rc::new(Shared { version: next, pointer: false })))
            })
        };
        let compared = |holds: fn(Ordering) -> bool| {
            let version = Rc::clone(&self.version);
            Function::new("func(*semver.Version) bool", move |_, arguments| {
                Ok(Value::Bool(holds(version.precedence(&of(arguments)?))))
            })
        };
        let method = match name {
            "Major" => number(0),
            "Minor" => number(1),
            "Patch" => number(2),
            "Prerelease" => text(version.pre.clone()),
            "Metadata" => text(version.metadata.clone()),
            "Original" if self.pointer => text(version.original.clone()),
            "String" => text(version.to_string()),
            "IncMajor" => next(0),
            "IncMinor" => next(1),
            "IncPatch" => next(2),
            "Equal" if self.pointer => compared(Ordering::is_eq),
            "LessThan" if self.pointer => compared(Ordering::is_lt),
            "LessThanEqual" if self.pointer => compared(Ordering::is_le),
            "GreaterThan" if self.pointer => compared(Ordering::is_gt),
            "GreaterThanEqual" if self.pointer => compared(Ordering::is_ge),
            "Compare" if self.pointer => Function::new("func(*semver.Version) int", move |_, arguments| {
                Ok(Value::int(version.precedence(&of(arguments)?) as i64))
            }),
            _ => return None,
        };
        method.ok()
    }
}
