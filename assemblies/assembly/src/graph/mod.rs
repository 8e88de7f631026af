//! The diagram of a task: who starts when, which port leads where, what can be reached from outside, what
//! it takes and what it costs.
//!
//! ```text
//! Plan ────────────┐
//!                  ├─▶ Diagram ─▶ routes ─▶ svg, text
//! TaskDefinition ──┘       └──────────────▶ mermaid
//! ```
//!
//! Containers stand one below the other, those that start last on top: what they wait for is always below
//! them, so requests run downwards, and the start upwards. Any number of containers fits the width of a page.

mod canvas;
mod diagram;
mod from_definition;
mod from_plan;
mod measure;
mod mermaid;
mod order;
mod routes;
mod svg;
mod text;

pub use diagram::Diagram;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::{Charset, text};
