//! Server-side apply's bookkeeping, read and compared: who owns which field ([`managed`], [`fields`]), what the live
//! values of owned fields hash to ([`token`]), whether an apply would change anything ([`extract`]), how two versions of an
//! object differ and who made them differ ([`compare`]), which fields a person means ([`pattern`]) and what is still to be applied
//! when some are left to others ([`leave`]), how the fields of client-side apply and of Helm are taken over ([`migrate`], [`release`]), which fields admission
//! rewrites ([`rewrite`]), how the server writes back what it is given ([`canonical`], [`quantity`]), which refusals mean what ([`refusal`]), and what may be
//! shown of a Secret ([`secrets`]).
//!
//! [`structured`] is the merge itself and [`field_manager`] the API server's use of it; trueup asks the server where it can.
//!
//! Pure: values in, values out.

pub mod canonical;
pub mod compare;
pub mod extract;
pub mod field_manager;
pub mod fields;
pub mod leave;
pub mod managed;
pub mod migrate;
pub mod pattern;
pub mod quantity;
pub mod refusal;
pub mod release;
pub mod rewrite;
pub mod secrets;
pub mod structured;
pub mod token;
