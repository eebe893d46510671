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

pub use crypto::{CERTIFICATES, certificate_functions};
pub use dates::{DATES, Now, date_functions, time};
pub use json::read as read_json;
pub use random::{CHANCE, Random, random_functions};

use crate::function::{Functions, TableBody};

/// A function with its names and its Go signature.
type Entry = (&'static [&'static str], &'static str, TableBody);

/// Sprig's functions that need nothing but their arguments.
///
/// ```
/// use trueup_template::{Limits, Templates, Value, sprig};
///
/// let mut templates = Templates::new("all").with_functions(sprig::functions());
/// templates.parse("main", "{{ list `b` `a` | sortAlpha | join `,` | quote }}")?;
/// assert_eq!(templates.execute("main", Value::Nil, &Limits::default())?, br#""a,b""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn functions() -> Functions {
    let mut functions = Functions::new();
    functions.reserve(ROOM);
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
        for name in *names {
            functions.insert_entry(name, signature, *body);
        }
    }
    functions
}

/// How many functions Helm has, with those that it adds to these.
const ROOM: usize = 320;

/// What Go says when a method is called on the type of nil.
const NIL_DEREFERENCE: &str = "runtime error: invalid memory address or nil pointer dereference";

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;
    use std::rc::Rc;

    #[test]
    fn all_signatures_can_be_read() {
        let functions = functions();
        for name in functions.names() {
            assert!(functions.get(name.as_bytes()).is_some(), "{name}");
        }
        assert!(functions.names().count() > 150);
    }

    #[test]
    fn the_names_of_what_is_made_later_are_told_before() {
        let random: Random = Rc::new(|bytes| bytes.fill(1));
        let now: Now = Rc::new(|| Timestamp::UNIX_EPOCH);
        for (told, made) in [
            (&CHANCE[..], random_functions(&random)),
            (&CERTIFICATES[..], certificate_functions(&random, &now)),
            (&DATES[..], date_functions(&now, &TimeZone::UTC)),
        ] {
            assert_eq!(made.unwrap().names().collect::<Vec<_>>(), told);
        }
    }
}
