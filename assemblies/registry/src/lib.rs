//! A client for OCI registries, and readers and writers of images: resolves, pulls, pushes, lists and deletes.
//!
//! ```text
//! "web:1.2" ─▶ Reference ┐                    ┌ 401 ─▶ challenge ─▶ token ┐
//! Credentials ───────────┴ Client::resolve ─▶ GET manifest ◀──────────────┘ ─▶ hash, platforms ─▶ Image
//! ```
//!
//! Supports registries with the OCI distribution API: public ones, those with basic authentication, and
//! those with bearer tokens. The digest is computed from the response body, never taken from a header.
//! Plain http is allowed to loopback only, redirects are not followed for manifests, and every wait and
//! size has a limit.
//!
//! ```text
//! ImageSource: layout, archive or reference ─ ImageReader::open ─▶ OpenedImage ┬ fetch_layers ─▶ Store (blobs)
//!                                                                              └ unpack ─▶ UnpackedImage
//! ```
//!
//! [`push`] uploads a layout, and [`prune`] selects the images that nothing names any more. All requests to a
//! repository go through a session (`session.rs`), which logs in, retries and shares the token.
//!
//! [`layout`] writes, reads and unpacks images as OCI layouts, [`program`] builds the image of one static program.
//!
//! Start reading at [`Client::resolve`] and [`Client::push`]. [`Reference`] parses image names, [`Credentials`] reads docker's
//! `config.json` and runs its credential helpers.

mod auth;
mod call;
mod client;
mod credentials;
mod digest;
mod ecr;
mod error;
mod image_reader;
pub mod layout;
mod login;
mod manifest;
pub mod program;
mod proxy;
pub mod prune;
mod pull;
pub mod push;
mod reference;
mod referrers;
mod repository;
mod resolve;
mod session;
mod size;
mod source;
mod store;
mod tasks;
mod tempdir;
mod transport;

pub use client::{Client, Limits, SetupError};
pub use credentials::{Credentials, Login, LoginFuture, LoginSource};
pub use digest::{Digest, ParseDigestError};
pub use ecr::EcrRegistry;
pub use error::{Error, ErrorKind};
pub use image_reader::{ImageReader, OpenedImage, ReadImageError, split_name};
pub use manifest::{Image, Platform};
pub use proxy::{InvalidProxy, ProxySettings};
pub use pull::{OnProgress, PullLimits, PullProgress, RemoteImage};
pub use reference::{ParseReferenceError, Reference};
pub use referrers::{AttachedArtifact, ReadArtifact};
pub use size::format_bytes;
pub use source::{ImageSource, ParseSourceError};
pub use store::{Store, UnpackImageError, UnpackedImage};

/// The folder of a project with the images that were built in it, a layout for each.
pub const BUILT_IMAGES: &str = ".assemble/images";

/// The example of the README, compiled by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct ReadmeExamples;
