//! Trains both classifiers from labelled photos and writes `models/coins.bin`.
//!
//! ```text
//! cargo run --release -p coins --example train -- PHOTOS NEGATIVES OUT.bin [SOURCE,SOURCE…]
//!     [--colours-only]
//! ```
//!
//! `PHOTOS` contains photos and `labels.json`; `NEGATIVES` contains pictures without coins. With a
//! list of sources only their photos and every second negative are used, so that the others can be
//! used for evaluation. The network takes minutes, the colours a second: `--colours-only` keeps the
//! network of `OUT.bin`.

#![expect(clippy::print_stderr, reason = "a tool that reports its progress")]
#![expect(clippy::expect_used, reason = "a failed training has nothing to save")]

mod colour;
mod data;
mod examples;
mod layers;
mod network;
mod random;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use coins::classify::{Colours, Models, Net};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let colours_only = arguments
        .iter()
        .any(|argument| argument == "--colours-only");

    arguments.retain(|argument| argument != "--colours-only");
    let [photos, negatives, out, sources @ ..] = arguments.as_slice() else {
        return Err(
            "usage: train PHOTOS NEGATIVES OUT.bin [SOURCE,SOURCE...] [--colours-only]".into(),
        );
    };
    let sources: Vec<&str> = sources
        .first()
        .map(|s| s.split(',').collect())
        .unwrap_or_default();
    let start = Instant::now();

    let scenes = data::scenes(Path::new(photos), Path::new(negatives), &sources)?;
    eprintln!("{} pictures read after {:?}", scenes.len(), start.elapsed());
    let net = if colours_only {
        let bytes = std::fs::read(out)?;
        Models::from_bytes(bytes.as_slice().try_into()?).net
    } else {
        Net::new(network::train(&scenes, EPOCHS))
    };

    eprintln!("network ready after {:?}", start.elapsed());
    let colours = Colours::new(colour::train(&scenes.iter().collect::<Vec<_>>()));
    eprintln!("colours trained after {:?}", start.elapsed());
    let models = Models { net, colours };

    std::fs::write(out, models.to_bytes())?;
    Ok(())
}

const EPOCHS: usize = 12;
