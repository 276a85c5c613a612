//! Client of the vendor's API: signed calls, lenient parsing of responses, errors, and the walk over a paged list.

pub mod client;
pub mod error;
mod request;
pub mod response;
pub mod sign;
pub mod walk;

pub use request::ListRequest;
