//! The keys of the issuer: where they come from, which are fit, and how they are kept fresh.
//!
//! ```text
//! Source ──load▶ bytes ──KeySet::parse▶ KeySet ──▶ Keys (what requests look into)
//!   ▲ fetch.rs for URLs                              │ an unknown key id asks for one more load
//!   └────────────────── Refresher ◀──────────────────┘ at most once per cool-down
//! ```

mod cache;
mod fetch;
mod origin;
mod set;

pub(crate) use cache::format_chain;
pub use cache::{Keys, Refresher, Timing};
pub use fetch::{FetchError, Fetcher, PlainHttp, Roots, RootsError};
pub use origin::{LoadError, Origin, Source, SourceError};
pub use set::{IgnoreReason, IgnoredKey, KeySet, KeySetError};
