//! Makes a picture of a video: a frame of a film as a small JPEG or PNG.
//!
//! ```text
//!  Location ──access──▶ RangeSource ──worker──▶ Picture ──access──▶ file, s3://
//!  file, https, s3      size + read_at          libav ▶ pick ▶ scale ▶ frame ▶ encode
//! ```
//!
//! Everything meets in one function, [`picture`]: a source of bytes and a [`Request`] in, a
//! [`Picture`] or a classed [`Error`] out. It reads only the parts of the film it needs: from a
//! file, from memory, or over HTTP in ranges. `run` puts places to read from and to write to
//! around it, `serve` puts HTTP around it.
//!
//! Where to start reading: `worker.rs` for the whole way of a picture, `pick.rs` for which frame
//! is taken, `libav/` for everything unsafe, `source/` for how few bytes are read, `error.rs` for
//! the classes of failure.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use thumbnail::{Fit, Format, Kind, MemorySource, Request, Seek};
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
//! let source = MemorySource::new("this is no film");
//! let error = thumbnail::picture(Box::new(source), &request).unwrap_err();
//! assert_eq!(error.kind(), Kind::NotMedia);
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
mod query;
mod report;
mod run;
mod s3;
mod service;
mod settings;
mod source;
mod telemetry;
mod worker;

pub use component::Thumbnail;
pub use encode::Format;
pub use error::{Error, Kind};
pub use frame::Fit;
pub use location::{Location, Object};
pub use pick::Seek;
pub use position::Position;
pub use report::Report;
pub use s3::Aws;
pub use service::serve;
pub use settings::Config;
pub use source::{FileSource, MemorySource, RangeSource, Traffic};
pub use worker::{Facts, Picture, Request, Stages, picture};
