//! Draws photos of coins for tests and samples: textured discs in the true colours and relative
//! sizes on a plain or noisy background. The same scene gives the same bytes on every host.

use crate::money::{Currency, Metal};
use crate::raster::Raster;

/// A scene to draw.
#[derive(Debug, Clone)]
pub struct Scene {
    width: usize,
    height: usize,
    background: [u8; 3],
    scale: f32,
    coins: Vec<(Metal, f32, f32, f32)>,
}

impl Scene {
    /// Creates an empty scene with a number of pixels per millimetre.
    pub fn new(width: usize, height: usize, pixels_per_millimetre: f32) -> Self {
        let background = [52, 70, 92];
        Self {
            width,
            height,
            background,
            scale: pixels_per_millimetre,
            coins: Vec::new(),
        }
    }

    /// Sets the colour of the background.
    pub fn with_background(mut self, background: [u8; 3]) -> Self {
        self.background = background;
        self
    }

    /// Adds a coin with its centre in pixels; an unknown value is ignored.
    pub fn coin(mut self, currency: Currency, value: u32, x: f32, y: f32) -> Self {
        if let Some(kind) = currency.coins().iter().find(|kind| kind.value == value) {
            self.coins
                .push((kind.metal, kind.diameter / 2.0 * self.scale, x, y));
        }
        self
    }

    /// Adds coins in rows from the top left.
    pub fn coins(mut self, currency: Currency, values: &[u32]) -> Self {
        let step = 32.0 * self.scale;
        let columns = ((self.width as f32 / step) as usize).max(1);
        for (i, value) in values.iter().enumerate() {
            let (column, row) = (i % columns, i / columns);
            // Small offsets, so that the coins form no exact grid.
            let x = (column as f32 + 0.5) * step + 0.06 * step * (row % 2) as f32;
            let y = (row as f32 + 0.5) * step + 0.08 * step * (column % 2) as f32;
            self = self.coin(currency, *value, x, y);
        }
        self
    }

    /// Draws the scene.
    pub fn draw(&self) -> Raster {
        let mut canvas = Raster::new(self.width, self.height, self.background);
        for y in 0..self.height as isize {
            for x in 0..self.width as isize {
                let grain =
                    noise(x, y, 0) * 7.0 + cloud(x as f32 / 90.0, y as f32 / 90.0, 1) * 14.0;
                canvas.set(x, y, self.background.map(|v| shade(f32::from(v) + grain)));
            }
        }

        for (i, &(metal, r, x, y)) in self.coins.iter().enumerate() {
            shadow(&mut canvas, r, x, y);
            disc(&mut canvas, metal, r, x, y, i as u64 + 2);
        }

        canvas
    }
}

/// Draws a soft shadow at the lower right, too narrow to be detected as a rim.
fn shadow(canvas: &mut Raster, r: f32, x: f32, y: f32) {
    let (x, y) = (x + 0.03 * r, y + 0.04 * r);
    let reach = r * 1.1;
    for py in (y - reach) as isize..=(y + reach) as isize {
        for px in (x - reach) as isize..=(x + reach) as isize {
            let away = (px as f32 - x).hypot(py as f32 - y) / r;
            if away < 1.08 {
                let dark = 1.0 - 0.45 * ((1.08 - away) / 0.1).clamp(0.0, 1.0);
                let below = canvas.at(px, py);
                canvas.set(px, py, below.map(|v| shade(f32::from(v) * dark)));
            }
        }
    }
}

fn disc(canvas: &mut Raster, metal: Metal, r: f32, x: f32, y: f32, seed: u64) {
    for py in (y - r - 1.0) as isize..=(y + r + 1.0) as isize {
        for px in (x - r - 1.0) as isize..=(x + r + 1.0) as isize {
            let (dx, dy) = (px as f32 - x, py as f32 - y);
            let away = dx.hypot(dy);
            // Antialiasing over one pixel.
            let cover = (r + 0.5 - away).clamp(0.0, 1.0);
            if cover <= 0.0 {
                continue;
            }

            let light = relief(dx / r, dy / r, seed) + noise(px, py, seed) * 0.05;
            let base = surface(metal, away / r);
            let below = canvas.at(px, py);
            let mix = |i: usize| {
                let coin = f32::from(base[i]) * (1.0 + light);
                shade(f32::from(below[i]) * (1.0 - cover) + coin * cover)
            };
            canvas.set(px, py, [mix(0), mix(1), mix(2)]);
        }
    }
}

/// Returns how much lighter or darker a coin is at a point in radii from its centre: rim, portrait
/// and lettering, lit from the upper left.
fn relief(x: f32, y: f32, seed: u64) -> f32 {
    let height = |x: f32, y: f32| {
        let away = x.hypot(y);
        let rim = smooth((away - 0.9) / 0.04) * 0.05;
        let turn = y.atan2(x) * 11.0 + seed as f32;
        let band = smooth((away - 0.7) / 0.03) * smooth((0.86 - away) / 0.03);
        let letters = band * smooth(turn.sin() * 2.0) * 0.025;
        let lean = (seed % 7) as f32 * 0.9;
        let (u, v) = (
            x * lean.cos() + y * lean.sin(),
            y * lean.cos() - x * lean.sin(),
        );
        let head = smooth((0.5 - (u * 1.25).hypot(v - 0.04)) / 0.12) * 0.05;
        let fine = cloud(u * 7.0 + 40.0, v * 7.0 + 40.0, seed) * 0.03 * smooth((0.66 - away) / 0.1);
        rim + letters + head + fine
    };

    let step = 0.03;
    let slope = height(x + step, y + step) - height(x - step, y - step);
    (slope * 6.0).clamp(-0.4, 0.4) - 0.06 * (x + y)
}

fn surface(metal: Metal, away: f32) -> [u8; 3] {
    let (copper, silver, gold) = ([158, 98, 66], [166, 166, 163], [190, 158, 88]);
    let inside = away < 0.72;
    match (metal, inside) {
        (Metal::Copper, _) => copper,
        (Metal::Silver, _) | (Metal::GreyInGold, true) | (Metal::GoldInGrey, false) => silver,
        (Metal::Gold, _) | (Metal::GreyInGold, false) | (Metal::GoldInGrey, true) => gold,
    }
}

/// Returns noise between -1 and 1 for a pixel.
fn noise(x: isize, y: isize, seed: u64) -> f32 {
    let mut z = (x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (y as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ seed.wrapping_mul(0x1656_67b1_9e37_79f9);
    // The mixing function of SplitMix64.
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z >> 40) as f32 / (1_u64 << 23) as f32) - 1.0
}

/// Returns smooth noise, interpolated between whole coordinates.
fn cloud(x: f32, y: f32, seed: u64) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (smooth(x - left), smooth(y - top));
    let corner = |dx: isize, dy: isize| noise(left as isize + dx, top as isize + dy, seed + 99);
    let above = corner(0, 0) * (1.0 - u) + corner(1, 0) * u;
    let below = corner(0, 1) * (1.0 - u) + corner(1, 1) * u;
    above * (1.0 - v) + below * v
}

fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    // Smoothstep.
    t * t * (3.0 - 2.0 * t)
}

fn shade(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}
