#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod builtin;
mod context;
mod error;
mod exec;
mod fmt;
mod function;
mod number;
mod parse;
mod quote;
pub mod semver;
pub mod sprig;
mod templates;
mod text;
mod unicode;
mod unicode_tables;
mod value;

pub use context::{Budget, Context, Limits};
pub use error::{Error, ErrorKind, Failure};
pub use function::{Arguments, Function, Functions, InvalidSignature, Signature};
pub use number::float_of;
pub use templates::{MissingKey, Parsed, Parser, Templates};
pub use text::Text;
pub use value::{Float, Int, List, Map, Object, Type, Uint, Value};
