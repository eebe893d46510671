//! The functions of Sprig (v3.3), by subject. What they take, give and say is Sprig's, its panics included: those come
//! out of Go's templates as errors.

mod convert;
mod crypto;
mod dates;
mod decimals;
mod defaults;
mod dicts;
mod encoding;
mod json;
mod layout;
mod lists;
mod math;
mod paths;
mod random;
mod reflection;
mod regexes;
mod semver;
mod strings;
mod timestamps;
mod urls;
mod words;

pub use crypto::certificate_functions;
pub use dates::{Now, date_functions, time};
pub use json::read as read_json;
pub use random::{Random, random_functions};

use crate::context::Context;
use crate::error::Failure;
use crate::function::{Arguments, Function, Functions, InvalidSignature};
use crate::value::Value;

type Body = fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure>;

/// A function with its names and its Go signature.
type Entry = (&'static [&'static str], &'static str, Body);

/// Sprig's functions that need nothing but their arguments.
///
/// ```
/// use trueup_template::{Limits, Templates, Value, sprig};
///
/// let mut templates = Templates::new("all").with_functions(sprig::functions()?);
/// templates.parse("main", "{{ list `b` `a` | sortAlpha | join `,` | quote }}")?;
/// assert_eq!(templates.execute("main", Value::Nil, &Limits::default())?, br#""a,b""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn functions() -> Result<Functions, InvalidSignature> {
    let mut functions = Functions::new();
    let tables = [
        crypto::TABLE,
        decimals::TABLE,
        defaults::TABLE,
        dicts::TABLE,
        encoding::TABLE,
        json::TABLE,
        lists::TABLE,
        math::TABLE,
        paths::TABLE,
        reflection::TABLE,
        regexes::TABLE,
        semver::TABLE,
        strings::TABLE,
        urls::TABLE,
        words::TABLE,
    ];
    for (names, signature, body) in tables.into_iter().flatten() {
        let function = Function::new(signature, body)?;
        for name in *names {
            functions.insert(*name, function.clone());
        }
    }
    Ok(functions)
}

/// What Go says when a method is called on the type of nil.
const NIL_DEREFERENCE: &str = "runtime error: invalid memory address or nil pointer dereference";
