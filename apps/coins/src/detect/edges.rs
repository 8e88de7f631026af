//! Detects edges and their directions.

use crate::raster::Raster;

/// An edge pixel: its position, the unit vector across the edge, and its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) across: (f32, f32),
    pub(super) weight: u16,
}

/// Returns the ridges of the gradient in the colour channel that changes most: a copper coin on red
/// cloth has an edge in blue and none in grey.
pub(super) fn detect_edges(raster: &Raster) -> Vec<Edge> {
    let (width, height) = (raster.width(), raster.height());
    if width < 5 || height < 5 {
        return Vec::new();
    }

    let gradient = gradient(raster);
    let mut edges = Vec::new();
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let (dx, dy, size) = gradient[y * width + x];
            if size < MIN_GRADIENT {
                continue;
            }

            let (ux, uy) = (dx / size, dy / size);
            // The neighbour in the direction of the gradient; 1.3 rounds diagonals to a diagonal
            // step.
            let (sx, sy) = ((ux * 1.3) as isize, (uy * 1.3) as isize);
            let step = sy * width as isize + sx;
            let here = (y * width + x) as isize;
            let before = gradient[(here - step) as usize].2;
            let after = gradient[(here + step) as usize].2;

            // Non-maximum suppression; `<=` on one side keeps exactly one of two equal neighbours.
            if size < before || size <= after {
                continue;
            }

            // A parabola through the three values locates the ridge between pixels.
            let bend = before + after - 2.0 * size;
            let shift = if bend < -1e-3 {
                (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
            } else {
                0.0
            };

            edges.push(Edge {
                x: x as f32 + shift * sx as f32,
                y: y as f32 + shift * sy as f32,
                across: (ux, uy),
                weight: (64.0 * size / (size + HALF_WEIGHT)) as u16,
            });
        }
    }

    edges
}

/// Returns the Scharr gradient of a slightly blurred picture, as (dx, dy, length) in grey levels
/// per pixel.
fn gradient(raster: &Raster) -> Vec<(f32, f32, f32)> {
    let (width, height) = (raster.width(), raster.height());
    let blurred = blur(raster);
    let row = width * 3;
    let mut out = vec![(0.0, 0.0, 0.0); width * height];

    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let i = y * row + x * 3;
            let mut best = (0, 0, 0);
            for c in i..i + 3 {
                let at = |offset: isize| i64::from(blurred[(c as isize + offset) as usize]);
                let r = row as isize;
                let dx =
                    3 * (at(3 - r) - at(-3 - r) + at(3 + r) - at(r - 3)) + 10 * (at(3) - at(-3));
                let dy =
                    3 * (at(r - 3) - at(-r - 3) + at(r + 3) - at(3 - r)) + 10 * (at(r) - at(-r));
                let square = dx * dx + dy * dy;

                if square > best.2 {
                    best = (dx, dy, square);
                }
            }

            // 32 is the sum of the Scharr weights, 16 the factor of the blur.
            let scale = 1.0 / (32.0 * 16.0);
            let size = (best.2 as f32).sqrt() * scale;
            out[y * width + x] = (best.0 as f32 * scale, best.1 as f32 * scale, size);
        }
    }

    out
}

/// Returns a 3x3 binomial blur, scaled by 16 to keep the fraction.
fn blur(raster: &Raster) -> Vec<u16> {
    let (width, height) = (raster.width(), raster.height());
    let row = width * 3;
    let source = raster.pixels();
    let mut across = vec![0_u16; row * height];

    for y in 0..height {
        for i in 0..row {
            // The border repeats the edge pixel.
            let left = if i >= 3 { i - 3 } else { i };
            let right = if i + 3 < row { i + 3 } else { i };
            let at = |i: usize| u16::from(source[y * row + i]);
            across[y * row + i] = at(left) + 2 * at(i) + at(right);
        }
    }

    let mut out = vec![0_u16; row * height];
    for y in 0..height {
        let above = y.saturating_sub(1) * row;
        let below = (y + 1).min(height - 1) * row;
        for i in 0..row {
            out[y * row + i] = across[above + i] + 2 * across[y * row + i] + across[below + i];
        }
    }

    out
}

const MIN_GRADIENT: f32 = 1.5;
const HALF_WEIGHT: f32 = 4.0;
