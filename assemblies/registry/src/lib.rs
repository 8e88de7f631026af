//! Asks image registries which image a tag stands for.
//!
//! ```text
//! "web:1.2" ─▶ Reference ┐                    ┌ 401 ─▶ challenge ─▶ token ┐
//! Credentials ───────────┴ Client::resolve ─▶ GET manifest ◀──────────────┘ ─▶ hash, platforms ─▶ Image
//! ```
//!
//! Any registry that speaks the OCI distribution protocol is understood: open ones, those that want a
//! password, and those that send the client for a token first. What is believed is the hash of the bytes
//! that came, never a header about them. Plain http is spoken to this machine only; manifests are not
//! taken from where a redirect leads; every wait and every length has a limit.
//!
//! Start reading at [`Client::resolve`]. [`Reference`] is the grammar of names, [`Credentials`] what
//! docker's `config.json` and its helpers know.

mod auth;
mod client;
mod credentials;
mod digest;
mod error;
mod manifest;
mod reference;
mod transport;

pub use client::{Client, Limits};
pub use credentials::{Credentials, Login};
pub use digest::{Digest, NoDigest};
pub use error::{Error, Problem};
pub use manifest::{Image, Platform};
pub use reference::{NoReference, Reference};

/// The README's example, tried by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct ReadmeExamples;
