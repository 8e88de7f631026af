//! Diagrams of a task: start order, connections, ports reachable from outside, size and price.
//!
//! ```text
//! Plan ────────────┐
//!                  ├─▶ Diagram ─▶ routes ─▶ svg, text
//! TaskDefinition ──┘       └──────────────▶ mermaid
//! ```
//!
//! Containers are drawn in one column, the last to start on top. A container's dependencies are always below
//! it, so requests run downwards and the start order upwards. Any number of containers fits the page's width.

mod canvas;
mod diagram;
mod from_definition;
mod from_plan;
mod measure;
mod mermaid;
mod routes;
mod steps;
mod svg;
mod text;

pub use diagram::Diagram;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::{Charset, text};
