//! Makes a picture of a video: a frame as a small JPEG or PNG.
//!
//! ```text
//!  Location ──access──▶ RangeSource ──worker──▶ Picture ──access──▶ file, s3://
//!  file, https, s3      size + read_at          libav ▶ pick ▶ scale ▶ frame ▶ encode
//! ```
//!
//! The central function is [`picture`]: it takes a source of bytes and a [`Request`], and returns a
//! [`Picture`] or an [`Error`] with a kind. It reads only the required parts of the video: from a
//! file, from memory, or over HTTP in ranges. [`run`] adds input and output locations, [`serve`] is
//! the HTTP service, and [`Thumbnail`] the component.
//!
//! Where to start reading: `worker.rs` runs all stages, `pick.rs` selects the frame, `libav/` has
//! all unsafe code, `source/` reads the bytes, `error.rs` lists the kinds of errors.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use thumbnail::{Fit, Format, ErrorKind, MemorySource, Request, Seek};
//!
//! let request = Request {
//!     at: "50%".parse()?,
//!     seek: Seek::Before,
//!     fit: Fit { width: 640, height: 0 },
//!     format: Format::Jpeg,
//!     quality: 85,
//!     max_pixels: 8192 * 8192,
//!     deadline: Instant::now() + Duration::from_secs(30),
//! };
//! let source = MemorySource::new("not a video");
//! let error = thumbnail::picture(Box::new(source), &request).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NotMedia);
//! # Ok::<(), thumbnail::Error>(())
//! ```

mod access;
mod client;
mod component;
mod encode;
mod error;
mod frame;
mod libav;
mod location;
mod pick;
mod position;
mod process;
mod query;
mod report;
mod run;
mod s3;
mod service;
mod settings;
mod source;
mod telemetry;
mod worker;

pub use chassis::{Readiness, Shutdown, Trigger};
pub use component::Thumbnail;
pub use encode::Format;
pub use error::{Error, ErrorKind};
pub use frame::Fit;
pub use location::{Location, Object};
pub use pick::Seek;
pub use position::Position;
pub use report::Report;
pub use run::run;
pub use s3::Aws;
pub use service::serve;
pub use settings::Config;
pub use source::{FileSource, MemorySource, RangeSource, Traffic};
pub use worker::{Picture, PictureInfo, Request, StageTimings, picture};

/// Runs the program, or decodes if it was started as a child of itself, and returns its exit code.
pub fn main() -> std::process::ExitCode {
    process::enter().unwrap_or_else(chassis::main::<Thumbnail>)
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
