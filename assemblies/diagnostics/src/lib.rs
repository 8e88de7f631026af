//! Texts in which every value has a span, findings about them, and the configuration of rules.
//!
//! # Tour
//!
//! ```text
//! text ──source::parse──▶ Node ──your checks──▶ Finding ──RuleConfig::apply──▶ Outcome ──render──▶ message
//!                           │                      └──apply_fixes──▶ text
//!                           └─LocationMap─▶ Location
//! ```
//!
//! - [`source`] parses YAML or JSON and keeps the span of every value, within fixed limits.
//! - [`Location`] is a line of a text or a derivation from one; [`LocationMap`] has the locations of a document.
//! - [`Finding`] is a rule's message about a value. [`Finding::render`] draws the source line and a caret.
//! - [`apply_fixes`] applies the [`Fix`]es of findings to the text and keeps the rest byte for byte.
//! - [`RuleConfig`] suppresses, lowers and raises findings, each with a reason.
//! - [`RuleRef`] is the id and the source of a rule that is reported before any check runs.
//! - [`nearest`] suggests a known word for a misspelt one.
//!
//! The crate knows nothing about the documents it serves. It is pure: it reads no file, no clock, no environment,
//! and prints nothing.
//!
//! ```
//! use diagnostics::source::{Source, parse};
//! use diagnostics::{Color, Finding, LocationMap, nearest};
//!
//! let source = Source::new("shop.yaml", "name: shop\nprot: 8080\n");
//! let node = parse(&source).expect("well-formed");
//! let locations = LocationMap::from_source(&source, node);
//!
//! let suggestion = nearest("prot", ["name", "port"]).expect("one is near");
//! let hint = format!("did you mean `{suggestion}`?");
//! let finding = Finding::error("A01", locations.get("/prot"), "there is no field `prot`", hint);
//! assert!(finding.render(Color::No).contains("--> shop.yaml:2:7"));
//! ```

mod finding;
mod fixes;
mod location;
pub mod placeholder;
mod rule_config;
mod rule_ref;
pub mod source;
mod spelling;

pub use finding::{Color, Edit, Finding, Fix, Severity};
pub use fixes::{FixError, apply_fixes, apply_fixes_below};
pub use location::{Location, LocationMap, escape};
pub use rule_config::{Level, LevelOverride, LevelSource, Outcome, RuleConfig, SuppressedFinding};
pub use rule_ref::RuleRef;
pub use spelling::nearest;
