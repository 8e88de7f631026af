//! Loads labelled photos and divides the detected circles into coins and others.

use std::error::Error;
use std::path::Path;

use coins::detect::{self, Circle};
use coins::money::{Currency, Metal};
use coins::photo::{PhotoLimits, decode};
use coins::raster::Pyramid;
use serde::Deserialize;

/// A picture and its labelled circles.
pub(crate) struct TrainingScene {
    pub(crate) pyramid: Pyramid,
    /// One circle per coin, with its metal: the detected one if there is one, else the label's.
    pub(crate) coins: Vec<(Circle, usize)>,
    /// Further correct circles, with the metal.
    pub(crate) others: Vec<(Circle, usize)>,
    /// Circles that are not coins.
    pub(crate) wrong: Vec<Circle>,
}

#[derive(Deserialize)]
struct Label {
    file: String,
    currency: Currency,
    coins: Vec<LabelledCoin>,
}

#[derive(Deserialize)]
struct LabelledCoin {
    denomination: u32,
    x: f32,
    y: f32,
    r: Option<f32>,
}

/// Loads the photos of the given sources and their negatives.
pub(crate) fn scenes(
    photos: &Path,
    negatives: &Path,
    sources: &[&str],
) -> Result<Vec<TrainingScene>, Box<dyn Error>> {
    let mut labels: Vec<Label> =
        serde_json::from_slice(&std::fs::read(photos.join("labels.json"))?)?;
    let is_selected = |label: &Label| {
        let source = label.file.split('_').nth(1).unwrap_or_default();
        sources.is_empty() || sources.contains(&source)
    };

    labels.retain(is_selected);
    let mut others: Vec<_> = std::fs::read_dir(negatives)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();

    // The order of a directory is arbitrary; the division must be reproducible.
    others.sort();
    // Sources that start with `kaa` use the even negatives, others the odd ones.
    let even = sources.first() == Some(&"kaa");
    let mut index = 0;

    others.retain(|_| {
        index += 1;
        sources.is_empty() || (index % 2 == 0) == even
    });

    let mut scenes = Vec::new();
    for label in &labels {
        scenes.push(load_labelled(&photos.join(&label.file), label)?);
    }

    for path in &others {
        let pyramid = Pyramid::new(decode(&std::fs::read(path)?, PhotoLimits::default())?.working);
        let wrong = detect::circles(&pyramid);
        scenes.push(TrainingScene {
            pyramid,
            coins: Vec::new(),
            others: Vec::new(),
            wrong,
        });
    }

    Ok(scenes)
}

fn load_labelled(path: &Path, label: &Label) -> Result<TrainingScene, Box<dyn Error>> {
    let photo = decode(&std::fs::read(path)?, PhotoLimits::default())?;
    let scale = photo.scale;
    let pyramid = Pyramid::new(photo.working);
    let mut known: Vec<f32> = label.coins.iter().filter_map(|coin| coin.r).collect();

    known.sort_by(f32::total_cmp);
    // Some labels have no radius; the median of the photo is used.
    let middle = known[known.len() / 2];
    let truth: Vec<(Circle, usize, bool)> = label
        .coins
        .iter()
        .map(|coin| {
            let r = coin.r.unwrap_or(middle) / scale;
            let (x, y) = (coin.x / scale, coin.y / scale);
            let circle = Circle {
                x,
                y,
                r,
                coverage: 1.0,
                contrast: 0.5,
            };

            (
                circle,
                metal(label.currency, coin.denomination),
                coin.r.is_some(),
            )
        })
        .collect();

    let mut best: Vec<Option<(f32, Circle)>> = vec![None; truth.len()];
    let (mut others, mut wrong) = (Vec::new(), Vec::new());
    for circle in detect::circles(&pyramid) {
        let fits = |coin: &Circle, known: bool| {
            let apart = (circle.x - coin.x).hypot(circle.y - coin.y) / coin.r;
            // An estimated radius is less reliable, so its error counts less.
            let wider = (circle.r / coin.r).ln().abs() * if known { 1.0 } else { 0.4 };
            apart.max(wider)
        };
        let nearest = truth
            .iter()
            .enumerate()
            .map(|(i, (coin, _, known))| (i, fits(coin, *known)))
            .min_by(|a, b| a.1.total_cmp(&b.1));

        match nearest {
            Some((i, off)) if off < 0.07 => {
                others.push((circle, truth[i].1));
                if best[i].is_none_or(|(least, _)| off < least) {
                    best[i] = Some((off, circle));
                }
            }
            // Neither right nor clearly wrong: left out of the training.
            Some((_, off)) if off < 0.13 => {}
            _ => wrong.push(circle),
        }
    }

    let coins = truth
        .iter()
        .zip(best)
        .filter(|((_, _, known), best)| *known || best.is_some())
        .map(|((circle, metal, _), best)| (best.map_or(*circle, |best| best.1), *metal))
        .collect();

    Ok(TrainingScene {
        pyramid,
        coins,
        others,
        wrong,
    })
}

fn metal(currency: Currency, value: u32) -> usize {
    let kind = currency.coins().iter().find(|kind| kind.value == value);
    let position = |metal| Metal::ALL.iter().position(|known| *known == metal);
    kind.and_then(|kind| position(kind.metal))
        .expect("labels contain only known coins")
}
