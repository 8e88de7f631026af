//! A Hough transform: every edge pixel votes for the two points one radius away across the edge;
//! maxima of the votes are centres. The radii are the same few pixels at each size of the picture,
//! so large and small coins cost the same.

use super::edges::Edge;
use crate::raster::Raster;

/// A local maximum of the votes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) r: f32,
    pub(super) score: f32,
}

/// Returns the local maxima of the votes for each radius, in pixels of this size of the picture.
pub(super) fn peaks(raster: &Raster, edges: &[Edge]) -> Vec<Peak> {
    let (width, height) = (raster.width(), raster.height());
    let mut votes = vec![0_u16; width * height];
    let mut peaks = Vec::new();

    for step in 0..RADII {
        let r = SMALLEST * (LARGEST / SMALLEST).powf(step as f32 / (RADII - 1) as f32);
        votes.fill(0);
        for edge in edges {
            // A coin may be lighter or darker than its background.
            for side in [r, -r] {
                let x = (edge.x + edge.across.0 * side + 0.5).floor();
                let y = (edge.y + edge.across.1 * side + 0.5).floor();
                if x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32 {
                    let vote = &mut votes[y as usize * width + x as usize];
                    // 16 bits halve the memory traffic; saturated cells are maxima anyway.
                    *vote = vote.saturating_add(edge.weight);
                }
            }
        }
        collect(
            &sum_neighborhoods(&votes, width, height),
            width,
            height,
            r,
            &mut peaks,
        );
    }

    peaks
}

/// Returns the sum of each 3x3 neighbourhood, because votes are off by about a pixel.
fn sum_neighborhoods(votes: &[u16], width: usize, height: usize) -> Vec<u32> {
    let mut across = vec![0_u32; votes.len()];
    for (row, out) in votes
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        for x in 0..width {
            let left = if x > 0 { row[x - 1] } else { 0 };
            let right = if x + 1 < width { row[x + 1] } else { 0 };
            out[x] = u32::from(left) + u32::from(row[x]) + u32::from(right);
        }
    }

    let mut out = vec![0_u32; votes.len()];
    for y in 0..height {
        for x in 0..width {
            let above = if y > 0 {
                across[(y - 1) * width + x]
            } else {
                0
            };

            let below = if y + 1 < height {
                across[(y + 1) * width + x]
            } else {
                0
            };
            out[y * width + x] = above + across[y * width + x] + below;
        }
    }

    out
}

fn collect(votes: &[u32], width: usize, height: usize, r: f32, peaks: &mut Vec<Peak>) {
    // The votes of a complete, strong edge: 64 is the maximum weight of an edge pixel.
    let full = 64.0 * std::f32::consts::TAU * r;
    let least = (MIN_SCORE * full) as u32;
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let here = votes[y * width + x];
            if here < least {
                continue;
            }

            let i = y * width + x;
            // Strict on one side only, so that a plateau gives one peak.
            let earlier = [i - width - 1, i - width, i - width + 1, i - 1];
            let later = [i + 1, i + width - 1, i + width, i + width + 1];
            if earlier.iter().all(|&j| votes[j] < here) && later.iter().all(|&j| votes[j] <= here) {
                peaks.push(Peak {
                    x: x as f32,
                    y: y as f32,
                    r,
                    score: here as f32 / full,
                });
            }
        }
    }
}

const SMALLEST: f32 = 11.0;
const LARGEST: f32 = 26.0;
const RADII: usize = 10;
const MIN_SCORE: f32 = 0.16;
