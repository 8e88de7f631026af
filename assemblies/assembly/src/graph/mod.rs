//! The picture of a plan: who stands where, which port leads where, what it costs.

mod layout;
mod mermaid;
mod pen;
mod svg;

pub use mermaid::mermaid;
pub use svg::svg;
