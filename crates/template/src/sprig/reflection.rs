//! What a value is.

use super::Entry;
use super::convert::{deep_equal, kind};
use crate::value::Value;

pub(super) const TABLE: &[Entry] = &[
    (&["typeOf"], "func(interface {}) string", |_, arguments| Ok(arguments.any(0).type_name().into())),
    (&["typeIs"], "func(string, interface {}) bool", |_, arguments| {
        Ok(Value::Bool(arguments.text(0)?[..] == *arguments.any(1).type_name().as_bytes()))
    }),
    (&["typeIsLike"], "func(string, interface {}) bool", |_, arguments| {
        let (wanted, own) = (arguments.text(0)?, arguments.any(1).type_name());
        let own = own.as_bytes();
        Ok(Value::Bool(own == &wanted[..] || own.strip_prefix(b"*") == Some(&wanted[..])))
    }),
    (&["kindOf"], "func(interface {}) string", |_, arguments| Ok(kind(arguments.any(0)).into())),
    (&["kindIs"], "func(string, interface {}) bool", |_, arguments| {
        Ok(Value::Bool(arguments.text(0)?[..] == *kind(arguments.any(1)).as_bytes()))
    }),
    (&["deepEqual"], "func(interface {}, interface {}) bool", |context, arguments| {
        deep_equal(context, arguments.any(0), arguments.any(1), 0).map(Value::Bool)
    }),
];
