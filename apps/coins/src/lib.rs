//! Tells the value of the coins in a photo.
//!
//! # The way of a photo
//!
//! ```text
//! bytes ─photo▶ upright picture ─detect▶ circles ─classify::net▶ coins ─classify::colour▶ metals
//!                                                                  │                        │
//!                                          Count ◀─answer─ ranking ◀──────────fit───────────┘
//! ```
//!
//! - [`photo`] decodes a JPEG, PNG or WebP within limits, turns it upright, and shrinks it.
//! - [`detect`] finds circles by letting edges vote for centres, and measures each with rays.
//! - [`classify`] tells coins from other circles with a small network, and copper from silver from
//!   gold by colour. What it learnt is in `models/`, how is in `training/`.
//! - [`fit`] finds the one scale and tilt under which all coins have the width of a coin that
//!   exists. No coin is taken for known: "the largest is a quarter" is wrong in every photo
//!   without one. Ways that fit about as well are told as alternatives.
//! - [`picture`] draws the answer onto the photo; [`drawing`] draws photos to try it on.
//! - [`service`] is the HTTP side of it, [`Coins`] the component.
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
pub mod service;

mod component;
mod config;
mod error;
mod font;

pub use component::Coins;
pub use config::Config;
pub use count::{Options, PhotoCount, count, count_with};
pub use error::Error;
