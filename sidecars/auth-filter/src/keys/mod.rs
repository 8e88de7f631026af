//! The keys of an issuer: where they come from, which are usable, and how they are kept fresh.
//!
//! ```text
//! Source ──load▶ bytes ──KeySet::parse▶ KeySet ──▶ Keys (read by requests)
//!   ▲ fetch.rs for URLs                              │ an unknown key id requests one more load
//!   └────────────────── Refresher ◀──────────────────┘ at most once per min_refresh_interval
//! ```

mod cache;
mod fetch;
mod origin;
mod set;

pub use cache::{Keys, Refresher, Timing};
pub use fetch::{FetchError, Fetcher};
pub use origin::{LoadError, Origin, Source, SourceError};
pub use set::{IgnoreReason, IgnoredKey, KeySet, KeySetError};
