//! From circles to coins.

use crate::classify::{Models, Patch, crop, features, softmax};
use crate::detect::{self, Circle};
use crate::raster::{Pyramid, Raster};

/// A circle that was taken for a coin.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Where it is in the working picture.
    pub circle: Circle,
    /// How sure it is to be a coin, 0 to 1.
    pub sureness: f32,
    /// The network's score of each metal.
    pub metals: [f32; 5],
}

/// Judges all circles of a picture and keeps those that are coins of one photo.
pub fn coins(pyramid: &Pyramid, models: &Models) -> Vec<Found> {
    let judged: Vec<Found> = detect::circles(pyramid)
        .into_iter()
        .filter(|circle| shown_in(pyramid.full(), circle) >= LEAST_SHOWN)
        .map(|circle| {
            let [coin, metals @ ..] = models.net.scores(&crop(pyramid, &circle, 0.0));
            Found {
                circle,
                sureness: 1.0 / (1.0 + (-coin).exp()),
                metals,
            }
        })
        .filter(is_coin)
        .collect();

    let found = of_one_size(apart(judged));
    // Doubtful circles are coins only beside a coin: a cup alone is a cup.
    if found.iter().any(|one| one.sureness > LEAST_SURENESS) {
        found
    } else {
        Vec::new()
    }
}

/// A circle with an edge all around is a coin even if the network has seen few like it.
fn is_coin(found: &Found) -> bool {
    let least = if found.circle.coverage >= CLOSED {
        LEAST_CLOSED
    } else {
        LEAST_SURENESS
    };
    found.sureness > least
}

/// The share of a circle's rim that is inside the picture; nothing if its centre is not.
pub(super) fn shown_in(picture: &Raster, circle: &Circle) -> f32 {
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

/// The score of each metal for every coin of a photo, from both classifiers.
pub fn metals(pyramid: &Pyramid, models: &Models, found: &[Found]) -> Vec<[f32; 5]> {
    let circles: Vec<Circle> = found.iter().map(|found| found.circle).collect();
    let patches: Vec<Patch> = circles
        .iter()
        .map(|circle| Patch::measure(pyramid, circle, &circles))
        .collect();
    let blend = |(features, found): (&_, &Found)| {
        let (linear, net) = (
            softmax(models.colours.scores(features)),
            softmax(found.metals),
        );
        let log = |share: f32| (share + 0.01).ln();
        std::array::from_fn(|i| NET_SHARE * log(net[i]) + (1.0 - NET_SHARE) * log(linear[i]))
    };

    features(&patches).iter().zip(found).map(blend).collect()
}

/// Of circles that claim the same place the surest stays.
fn apart(mut found: Vec<Found>) -> Vec<Found> {
    let rank = |f: &Found| f.sureness * (0.5 + 0.5 * f.circle.coverage);
    found.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let mut kept: Vec<Found> = Vec::new();

    for one in found {
        let clash = |other: &Found| {
            let apart = (one.circle.x - other.circle.x).hypot(one.circle.y - other.circle.y);
            apart < CLOSEST * one.circle.r.max(other.circle.r)
        };
        if !kept.iter().any(clash) {
            kept.push(one);
        }
    }

    kept
}

/// Coins of one photo differ little in size: the range of radii with the most evidence stays.
fn of_one_size(found: Vec<Found>) -> Vec<Found> {
    let within = |least: f32, r: f32| r >= least * 0.995 && r <= least * SIZE_RANGE;
    let evidence = |least: f32| -> f32 {
        let inside = found.iter().filter(|f| within(least, f.circle.r));
        inside
            .map(|f| f.sureness * f.circle.coverage.powi(2) * f.circle.r.sqrt())
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

const LEAST_SURENESS: f32 = 0.5;
const LEAST_CLOSED: f32 = 0.05;
const CLOSED: f32 = 0.95;
const LEAST_SHOWN: f32 = 0.6;
const CLOSEST: f32 = 0.75;
const SIZE_RANGE: f32 = 1.8;
const NET_SHARE: f32 = 0.25;
