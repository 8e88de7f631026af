//! The stages in order, from bytes to a result.

mod find;
mod report;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tracing::info_span;

use crate::Error;
use crate::answer::{Count, Timing};
use crate::classify::Models;
use crate::fit::{CoinMeasurement, Ranking, rank};
use crate::money::Currency;
use crate::photo::{Photo, PhotoLimits, decode};
use crate::raster::{Pyramid, Raster};

pub use find::{CoinCandidate, coins, metals};

/// Options for counting.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The currency, or `None` to detect it.
    pub currency: Option<Currency>,
    /// Limits of the picture.
    pub limits: PhotoLimits,
}

/// A result and the picture it was computed from.
#[derive(Debug)]
pub struct PhotoCount {
    /// The result.
    pub count: Count,
    /// The upright photo at working size.
    pub working: Raster,
    /// Number of pixels of the full photo per pixel of the working picture.
    pub scale: f32,
}

/// Counts the coins in the bytes of a photo.
pub fn count(bytes: &[u8], options: Options) -> Result<Count, Error> {
    static BUILTIN: LazyLock<Models> = LazyLock::new(Models::builtin);
    count_with(&BUILTIN, bytes, options).map(|result| result.count)
}

/// Counts with given models and also returns the working picture.
pub fn count_with(models: &Models, bytes: &[u8], options: Options) -> Result<PhotoCount, Error> {
    let mut clock = Clock::start();
    let mut photo = info_span!("decode").in_scope(|| decode(bytes, options.limits))?;
    let decode = clock.lap();

    // Moved out of the photo, because a copy would cost several megabytes.
    let pyramid = Pyramid::new(std::mem::replace(
        &mut photo.working,
        Raster::new(1, 1, [0; 3]),
    ));
    let mut found = info_span!("detect").in_scope(|| coins(&pyramid, models));

    report::sort_in_reading_order(&mut found);
    let detect = clock.lap();

    let _classify = info_span!("classify").entered();
    // Without colour the classifier would guess; equal scores leave the decision to the sizes.
    let colourless = is_colourless(pyramid.full());
    let mut metals = metals(&pyramid, models, &found);
    if colourless {
        metals.fill([0.0; 5]);
    }

    let ranking = best_ranking(
        options.currency,
        &measurements(&photo, pyramid.full(), &found, &metals),
    );
    let mut count = report::report(&photo, pyramid.full(), &found, ranking, options.currency);

    if colourless {
        count.warnings.push(report::no_colour());
    }
    count.timing_ms = Timing {
        decode,
        detect,
        classify: clock.lap(),
    };

    Ok(PhotoCount {
        count,
        scale: photo.scale,
        working: pyramid.into_full(),
    })
}

/// Returns the ranking of the requested currency, or of the one that explains the photo best.
fn best_ranking(requested: Option<Currency>, measurements: &[CoinMeasurement]) -> Option<Ranking> {
    let tried: &[Currency] = requested
        .as_ref()
        .map_or(&Currency::ALL, std::slice::from_ref);
    let rankings = tried
        .iter()
        .filter_map(|currency| rank(*currency, measurements));
    rankings.max_by(|a, b| a.evidence.total_cmp(&b.evidence))
}

fn measurements(
    photo: &Photo,
    picture: &Raster,
    found: &[CoinCandidate],
    metals: &[[f32; 5]],
) -> Vec<CoinMeasurement> {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let long = width.max(height);
    found
        .iter()
        .zip(metals)
        .map(|(found, metals)| CoinMeasurement {
            position: (
                (found.circle.x - width / 2.0) / long,
                (found.circle.y - height / 2.0) / long,
            ),
            diameter: 2.0 * found.circle.r * photo.scale,
            metals: *metals,
        })
        .collect()
}

/// Returns whether the picture is grey, so that colour carries no information.
fn is_colourless(picture: &Raster) -> bool {
    let spread = |p: &[u8]| p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2]);
    let coloured = picture
        .pixels()
        .chunks_exact(3)
        .filter(|p| spread(p) > 12)
        .count();
    // Under half a percent of coloured pixels: compression artefacts.
    coloured * 200 < picture.width() * picture.height()
}

struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the last lap.
    fn lap(&mut self) -> u32 {
        let now = Instant::now();
        let lap: Duration = now - self.0;
        self.0 = now;
        lap.as_millis() as u32
    }
}
