//! The two ways to patch a resource: strategic merge with its schema, and JSON patches (RFC 6902).

pub(crate) mod json6902;
pub(crate) mod lists;
pub(crate) mod schema;
pub(crate) mod strategic;
