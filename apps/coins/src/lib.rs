//! Counts the value of the coins in a photo.
//!
//! # Stages
//!
//! ```text
//! bytes ─photo▶ upright picture ─detect▶ circles ─classify::net▶ coins ─classify::colour▶ metals
//!                                                                  │                        │
//!                                          Count ◀─answer─ ranking ◀──────────fit───────────┘
//! ```
//!
//! - [`photo`] decodes a JPEG, PNG or WebP within limits, applies its orientation and shrinks it.
//! - [`detect`] finds circles: edges vote for centres, and rays measure each circle.
//! - [`classify`] distinguishes coins from other circles with a small network, and copper, silver
//!   and gold by colour. The weights are in `models/`, their training in `training/`.
//! - [`fit`] finds the scale and tilt at which every coin has the diameter of an existing coin. No
//!   coin is assumed to be known: "the largest is a quarter" is wrong in every photo without one.
//!   Assignments that fit about as well are reported as alternatives.
//! - [`picture`] draws the result onto the photo; [`drawing`] draws test photos.
//! - [`serve`] is the HTTP service, [`Coins`] the component.
//!
//! Start reading at [`count()`].

pub mod answer;
pub mod classify;
pub mod count;
pub mod detect;
pub mod drawing;
pub mod fit;
pub mod money;
pub mod photo;
pub mod picture;
pub mod raster;
mod service;

mod component;
mod config;
mod error;
mod font;

pub use chassis::{Readiness, Shutdown, Trigger};
pub use component::Coins;
pub use config::Config;
pub use count::{Options, PhotoCount, count, count_with};
pub use error::Error;
pub use service::serve;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
