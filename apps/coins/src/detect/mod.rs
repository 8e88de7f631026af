//! Detects circles: edges vote for centres, then rays measure each circle.

mod edges;
mod rays;
mod vote;

use crate::raster::{Pyramid, grow};

/// A circle in the working picture and the quality of its edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    /// The centre, from the left.
    pub x: f32,
    /// The centre, from the top.
    pub y: f32,
    /// The radius.
    pub r: f32,
    /// The share of rays with an edge at the radius, 0 to 1.
    pub coverage: f32,
    /// The mean strength of that edge, 0 to 1.
    pub contrast: f32,
}

/// Returns every circle that might be a coin, the best first; most are not coins.
pub fn circles(pyramid: &Pyramid) -> Vec<Circle> {
    let mut found = Vec::new();
    for (level, raster) in pyramid.levels().iter().enumerate() {
        let factor = (1_usize << level) as f32;
        let edges = edges::detect_edges(raster);
        for peak in vote::peaks(raster, &edges) {
            let (x, y) = (grow(peak.x, factor), grow(peak.y, factor));
            found.push((x, y, peak.r * factor, peak.score));
        }
    }

    found.sort_by(|a, b| b.3.total_cmp(&a.3));
    // Bounds the time for the measurements on busy pictures.
    found.truncate(MAX_PEAKS);
    let coarse = found
        .iter()
        .filter_map(|&(x, y, r, _)| rays::coarse(pyramid, x, y, r));
    // Duplicates are removed before the expensive measurement, and again after it made circles
    // coincide.
    let distinct = remove_duplicates(
        coarse
            .filter(|circle| circle.coverage > MIN_COVERAGE)
            .collect(),
    );
    let fine = distinct
        .iter()
        .filter_map(|circle| rays::fine(pyramid, circle));

    remove_duplicates(
        fine.filter(|circle| circle.coverage > MIN_COVERAGE)
            .collect(),
    )
}

/// Keeps one of several circles that differ by a few percent.
fn remove_duplicates(mut circles: Vec<Circle>) -> Vec<Circle> {
    circles.sort_by(|a, b| b.coverage.total_cmp(&a.coverage));
    let mut unique: Vec<Circle> = Vec::new();
    for circle in circles {
        let twin = |other: &Circle| {
            let apart = (circle.x - other.x).hypot(circle.y - other.y);
            apart < 0.12 * other.r && (circle.r / other.r - 1.0).abs() < 0.05
        };
        if !unique.iter().any(twin) {
            unique.push(circle);
        }
    }

    unique
}

const MAX_PEAKS: usize = 1500;
const MIN_COVERAGE: f32 = 0.4;
