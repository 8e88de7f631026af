//! Turns a ranking into an answer.

use super::find::{Found, shown_in};
use crate::answer::{Alternative, Coin, Count, Image, Scale, Timing, Total, Warning};
use crate::fit::{Assignment, Ranking};
use crate::money::Currency;
use crate::photo::Photo;
use crate::raster::Raster;

/// Sorts coins by rows from the top, and within a row from the left.
pub(super) fn in_reading_order(found: &mut [Found]) {
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

/// Tells what was found; without a ranking nothing was.
pub(super) fn report(
    photo: &Photo,
    picture: &Raster,
    found: &[Found],
    ranking: Option<Ranking>,
    asked: Option<Currency>,
) -> Count {
    let image = Image {
        width: photo.width,
        height: photo.height,
        orientation: photo.orientation,
    };
    let mut count = Count {
        currency: asked,
        total: Total {
            minor: 0,
            display: asked.map_or_else(String::new, |currency| currency.display(0)),
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

fn fill(count: &mut Count, photo: &Photo, picture: &Raster, found: &[Found], ranking: &Ranking) {
    let totals = ranking.totals();
    let Some(&(minor, confidence, best)) = totals.first() else {
        return;
    };
    let Some((way, _)) = ranking.ways.get(best) else {
        return;
    };
    let currency = ranking.currency;

    count.currency = Some(currency);
    count.total = Total {
        minor,
        display: currency.display(minor),
        confidence,
    };
    count.ambiguous = confidence < SURE;
    count.scale = Some(Scale {
        px_per_mm: way.scale,
        tilt: [way.tilt.0, way.tilt.1],
    });

    count.coins = found
        .iter()
        .enumerate()
        .map(|(i, found)| coin(i, found, photo, picture, ranking, way))
        .collect();

    count.alternatives = totals[1..]
        .iter()
        .filter(|(_, probability, _)| *probability >= LEAST_TOLD)
        .take(MOST_TOLD)
        .map(|&(minor, probability, index)| Alternative {
            minor,
            display: currency.display(minor),
            probability,
            change: change(currency, way, &ranking.ways[index].0),
        })
        .collect();
}

fn coin(
    i: usize,
    found: &Found,
    photo: &Photo,
    picture: &Raster,
    ranking: &Ranking,
    way: &Assignment,
) -> Coin {
    let kind = &ranking.currency.coins()[way.kinds[i]];
    let agreeing = ranking
        .ways
        .iter()
        .filter(|(other, _)| other.kinds[i] == way.kinds[i]);
    let circle = found.circle;

    Coin {
        id: i + 1,
        x: (circle.x + 0.5) * photo.scale,
        y: (circle.y + 0.5) * photo.scale,
        r: circle.r * photo.scale,
        denomination: kind.value,
        name: kind.name,
        confidence: agreeing.map(|(_, weight)| weight).sum::<f32>() * found.sureness,
        partial: shown_in(picture, &circle) < 1.0,
    }
}

/// Says in words how another way differs.
fn change(currency: Currency, from: &Assignment, to: &Assignment) -> String {
    let coins = currency.coins();
    let differing: Vec<usize> = (0..from.kinds.len())
        .filter(|&i| from.kinds[i] != to.kinds[i])
        .collect();

    match differing.as_slice() {
        [] => String::new(),
        few @ ([_] | [_, _] | [_, _, _]) => few
            .iter()
            .map(|&i| {
                let (is, was) = (coins[to.kinds[i]].name, coins[from.kinds[i]].name);
                format!("coin {}: {is} instead of {was}", i + 1)
            })
            .collect::<Vec<_>>()
            .join(", "),
        many => format!("{} coins are of another size class", many.len()),
    }
}

fn warnings(photo: &Photo) -> Vec<Warning> {
    if photo.width.max(photo.height) >= LEAST_SIDE {
        return Vec::new();
    }
    let message = format!("under {LEAST_SIDE} pixels a side coins are not told apart");
    vec![Warning {
        code: "too_small",
        message,
    }]
}

/// The warning for a grey picture.
pub(super) fn no_colour() -> Warning {
    let message = "the photo has no colour, so only sizes were compared".to_owned();
    Warning {
        code: "no_colour",
        message,
    }
}

const SURE: f32 = 0.6;
const LEAST_TOLD: f32 = 0.01;
const MOST_TOLD: usize = 5;
const LEAST_SIDE: u32 = 120;
