//! Builds the result from a ranking.

use super::find::{CoinCandidate, visible_share};
use crate::answer::{Alternative, Coin, Count, Image, Scale, Timing, Total, Warning};
use crate::fit::{Assignment, Ranking};
use crate::money::Currency;
use crate::photo::Photo;
use crate::raster::Raster;

/// Sorts coins by rows from the top, and within a row from the left.
pub(super) fn sort_in_reading_order(found: &mut [CoinCandidate]) {
    found.sort_by(|a, b| a.circle.y.total_cmp(&b.circle.y));
    let mut start = 0;
    for i in 1..=found.len() {
        let below = i == found.len()
            || found[i].circle.y - found[start].circle.y > 0.9 * found[start].circle.r;
        if below {
            found[start..i].sort_by(|a, b| a.circle.x.total_cmp(&b.circle.x));
            start = i;
        }
    }
}

/// Builds the result; without a ranking it has no coins.
pub(super) fn report(
    photo: &Photo,
    picture: &Raster,
    found: &[CoinCandidate],
    ranking: Option<Ranking>,
    requested: Option<Currency>,
) -> Count {
    let image = Image {
        width: photo.width,
        height: photo.height,
        orientation: photo.orientation,
    };
    let mut count = Count {
        currency: requested,
        total: Total {
            minor: 0,
            display: requested.map_or_else(String::new, |currency| currency.display(0)),
            confidence: 1.0,
        },
        ambiguous: false,
        alternatives: Vec::new(),
        coins: Vec::new(),
        scale: None,
        image,
        warnings: warnings(photo),
        timing_ms: Timing::default(),
    };

    if let Some(ranking) = ranking {
        fill(&mut count, photo, picture, found, &ranking);
    }
    count
}

fn fill(
    count: &mut Count,
    photo: &Photo,
    picture: &Raster,
    found: &[CoinCandidate],
    ranking: &Ranking,
) {
    let totals = ranking.totals();
    let Some(&(minor, confidence, best)) = totals.first() else {
        return;
    };
    // The index comes from the same ranking, so it always exists.
    let Some((assignment, _)) = ranking.assignments.get(best) else {
        return;
    };
    let currency = ranking.currency;

    count.currency = Some(currency);
    count.total = Total {
        minor,
        display: currency.display(minor),
        confidence,
    };
    count.ambiguous = confidence < MIN_CONFIDENCE;
    count.scale = Some(Scale {
        px_per_mm: assignment.scale,
        tilt: [assignment.tilt.0, assignment.tilt.1],
    });

    count.coins = found
        .iter()
        .enumerate()
        .map(|(i, found)| coin(i, found, photo, picture, ranking, assignment))
        .collect();

    // The first total is the result itself.
    count.alternatives = totals[1..]
        .iter()
        .filter(|(_, probability, _)| *probability >= MIN_ALTERNATIVE)
        .take(MAX_ALTERNATIVES)
        .map(|&(minor, probability, index)| Alternative {
            minor,
            display: currency.display(minor),
            probability,
            change: describe_change(currency, assignment, &ranking.assignments[index].0),
        })
        .collect();
}

fn coin(
    i: usize,
    found: &CoinCandidate,
    photo: &Photo,
    picture: &Raster,
    ranking: &Ranking,
    assignment: &Assignment,
) -> Coin {
    let kind = &ranking.currency.coins()[assignment.kinds[i]];
    let agreeing = ranking
        .assignments
        .iter()
        .filter(|(other, _)| other.kinds[i] == assignment.kinds[i]);
    let circle = found.circle;

    Coin {
        id: i + 1,
        x: (circle.x + 0.5) * photo.scale,
        y: (circle.y + 0.5) * photo.scale,
        r: circle.r * photo.scale,
        denomination: kind.value,
        name: kind.name,
        // The weight of all assignments that agree about this coin.
        confidence: agreeing.map(|(_, weight)| weight).sum::<f32>() * found.probability,
        partial: visible_share(picture, &circle) < 1.0,
    }
}

/// Describes the difference between two assignments.
fn describe_change(currency: Currency, from: &Assignment, to: &Assignment) -> String {
    let coins = currency.coins();
    let differing: Vec<usize> = (0..from.kinds.len())
        .filter(|&i| from.kinds[i] != to.kinds[i])
        .collect();

    match differing.as_slice() {
        [] => String::new(),
        few @ ([_] | [_, _] | [_, _, _]) => few
            .iter()
            .map(|&i| {
                let (new, old) = (coins[to.kinds[i]].name, coins[from.kinds[i]].name);
                format!("coin {}: {new} instead of {old}", i + 1)
            })
            .collect::<Vec<_>>()
            .join(", "),
        many => format!("{} coins are of another size class", many.len()),
    }
}

fn warnings(photo: &Photo) -> Vec<Warning> {
    if photo.width.max(photo.height) >= MIN_SIDE {
        return Vec::new();
    }
    let message = format!("coins cannot be distinguished in photos under {MIN_SIDE} pixels");
    vec![Warning {
        code: "too_small",
        message,
    }]
}

/// Returns the warning for a grey picture.
pub(super) fn no_colour() -> Warning {
    let message = "the photo has no colour, so only sizes were compared".to_owned();
    Warning {
        code: "no_colour",
        message,
    }
}

const MIN_CONFIDENCE: f32 = 0.6;
const MIN_ALTERNATIVE: f32 = 0.01;
const MAX_ALTERNATIVES: usize = 5;
const MIN_SIDE: u32 = 120;
