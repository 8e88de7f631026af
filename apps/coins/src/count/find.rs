//! Selects coins among circles.

use crate::classify::{Models, Patch, crop, features, softmax};
use crate::detect::{self, Circle};
use crate::raster::{Pyramid, Raster};

/// A circle classified as a coin.
#[derive(Debug, Clone, Copy)]
pub struct CoinCandidate {
    /// The circle in the working picture.
    pub circle: Circle,
    /// The probability that it is a coin, 0 to 1.
    pub probability: f32,
    /// The network's score of each metal.
    pub metals: [f32; 5],
}

/// Classifies all circles of a picture and returns the coins.
pub fn coins(pyramid: &Pyramid, models: &Models) -> Vec<CoinCandidate> {
    let candidates: Vec<CoinCandidate> = detect::circles(pyramid)
        .into_iter()
        .filter(|circle| visible_share(pyramid.full(), circle) >= MIN_VISIBLE)
        .map(|circle| {
            let [coin, metals @ ..] = models.net.scores(&crop(pyramid, &circle, 0.0));
            CoinCandidate {
                circle,
                probability: 1.0 / (1.0 + (-coin).exp()),
                metals,
            }
        })
        .filter(is_coin)
        .collect();

    let found = keep_similar_sizes(remove_overlapping(candidates));
    // Uncertain circles count only next to a certain one: a cup alone is not a coin.
    if found
        .iter()
        .any(|candidate| candidate.probability > MIN_PROBABILITY)
    {
        found
    } else {
        Vec::new()
    }
}

/// Returns whether a candidate is a coin. A circle with a closed edge needs less probability,
/// because the network may not have seen such a coin.
fn is_coin(found: &CoinCandidate) -> bool {
    let least = if found.circle.coverage >= CLOSED {
        MIN_PROBABILITY_CLOSED
    } else {
        MIN_PROBABILITY
    };
    found.probability > least
}

/// Returns the share of a circle's rim inside the picture; 0 if its centre is outside.
pub(super) fn visible_share(picture: &Raster, circle: &Circle) -> f32 {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let inside = |x: f32, y: f32| x >= -0.5 && y >= -0.5 && x < width && y < height;
    if !inside(circle.x, circle.y) {
        return 0.0;
    }
    let on_rim = |ray: usize| {
        let (sin, cos) = (ray as f32 * std::f32::consts::TAU / 64.0).sin_cos();
        inside(circle.x + cos * circle.r, circle.y + sin * circle.r)
    };
    (0..64).filter(|ray| on_rim(*ray)).count() as f32 / 64.0
}

/// Returns the score of each metal for every coin, from both classifiers.
pub fn metals(pyramid: &Pyramid, models: &Models, found: &[CoinCandidate]) -> Vec<[f32; 5]> {
    let circles: Vec<Circle> = found.iter().map(|found| found.circle).collect();
    let patches: Vec<Patch> = circles
        .iter()
        .map(|circle| Patch::measure(pyramid, circle, &circles))
        .collect();
    let blend = |(features, found): (&_, &CoinCandidate)| {
        let (linear, net) = (
            softmax(models.colours.scores(features)),
            softmax(found.metals),
        );
        // Products of experts: the weighted geometric mean of both distributions.
        let log = |share: f32| (share + 0.01).ln();
        std::array::from_fn(|i| NET_SHARE * log(net[i]) + (1.0 - NET_SHARE) * log(linear[i]))
    };

    features(&patches).iter().zip(found).map(blend).collect()
}

/// Keeps the most probable of overlapping circles.
fn remove_overlapping(mut found: Vec<CoinCandidate>) -> Vec<CoinCandidate> {
    let rank = |f: &CoinCandidate| f.probability * (0.5 + 0.5 * f.circle.coverage);
    found.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let mut unique: Vec<CoinCandidate> = Vec::new();

    for candidate in found {
        let clash = |other: &CoinCandidate| {
            let apart =
                (candidate.circle.x - other.circle.x).hypot(candidate.circle.y - other.circle.y);
            apart < CLOSEST * candidate.circle.r.max(other.circle.r)
        };
        if !unique.iter().any(clash) {
            unique.push(candidate);
        }
    }

    unique
}

/// Keeps the range of radii with the most evidence: coins in one photo differ little in size.
fn keep_similar_sizes(found: Vec<CoinCandidate>) -> Vec<CoinCandidate> {
    let within = |least: f32, r: f32| r >= least * 0.995 && r <= least * SIZE_RANGE;
    let evidence = |least: f32| -> f32 {
        let inside = found.iter().filter(|f| within(least, f.circle.r));
        inside
            .map(|f| f.probability * f.circle.coverage.powi(2) * f.circle.r.sqrt())
            .sum()
    };

    let radii = found.iter().map(|f| f.circle.r);
    let Some(least) = radii.max_by(|&a, &b| evidence(a).total_cmp(&evidence(b))) else {
        return found;
    };

    found
        .into_iter()
        .filter(|f| within(least, f.circle.r))
        .collect()
}

const MIN_PROBABILITY: f32 = 0.5;
const MIN_PROBABILITY_CLOSED: f32 = 0.05;
const CLOSED: f32 = 0.95;
const MIN_VISIBLE: f32 = 0.6;
const CLOSEST: f32 = 0.75;
// The widest and narrowest coins differ by 1.6 in euro; the rest is perspective.
const SIZE_RANGE: f32 = 1.8;
// The linear model sees the light of the whole photo, so it counts more for colour.
const NET_SHARE: f32 = 0.25;
