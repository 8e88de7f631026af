//! RGB pixels, their target size, and their orientation.

/// RGB pixels, row by row, three bytes each.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rgb: Vec<u8>,
}

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pixels({}x{})", self.width, self.height)
    }
}

/// The maximum size of a picture; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Maximum width, in pixels.
    pub width: u32,
    /// Maximum height, in pixels.
    pub height: u32,
}

/// The transformation from stored pixels to an upright picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    swap: bool,
    flip_x: bool,
    flip_y: bool,
}

impl Fit {
    /// Returns the size to scale a stored picture to: square pixels, within the limits, never
    /// enlarged, at least 1x1. The size is in the stored orientation.
    pub(crate) fn size(
        self,
        stored: (u32, u32),
        pixel_aspect: Option<(u32, u32)>,
        orientation: Orientation,
    ) -> (u32, u32) {
        let (num, den) = pixel_aspect.unwrap_or((1, 1));
        let (mut width, mut height) = (f64::from(stored.0), f64::from(stored.1));

        // Pixels become square by shrinking the longer side, which invents no detail.
        if num > den {
            height = height * f64::from(den) / f64::from(num);
        } else {
            width = width * f64::from(num) / f64::from(den);
        }

        // The limits are for the upright picture; scaling happens before the rotation.
        let (limit_x, limit_y) = if orientation.swap {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };

        let ratio = shrink(width, limit_x).min(shrink(height, limit_y));
        (whole(width * ratio), whole(height * ratio))
    }
}

fn shrink(side: f64, limit: u32) -> f64 {
    if limit == 0 {
        1.0
    } else {
        (f64::from(limit) / side).min(1.0)
    }
}

fn whole(side: f64) -> u32 {
    (side.round() as u32).max(1)
}

impl Orientation {
    /// Derives the orientation from a display matrix.
    pub(crate) fn from_matrix(matrix: &[i32; 9]) -> Self {
        let [a, b, _, c, d, ..] = *matrix;
        // x' = a·x + c·y, y' = b·x + d·y: if b outweighs a, the axes are exchanged.
        let swap = b.unsigned_abs() > a.unsigned_abs();
        let (x, y) = if swap { (c, b) } else { (a, d) };
        Self {
            swap,
            flip_x: x < 0,
            flip_y: y < 0,
        }
    }

    /// Applies the transformation to a picture.
    pub(crate) fn apply(self, picture: Pixels) -> Pixels {
        if self == Self::default() {
            return picture;
        }

        let (stored_width, stored_height) = (picture.width as usize, picture.height as usize);
        let (width, height) = if self.swap {
            (stored_height, stored_width)
        } else {
            (stored_width, stored_height)
        };

        let mut rgb = Vec::with_capacity(picture.rgb.len());
        for y in 0..height {
            let source_y = if self.flip_y { height - 1 - y } else { y };
            for x in 0..width {
                let source_x = if self.flip_x { width - 1 - x } else { x };
                let (column, row) = if self.swap {
                    (source_y, source_x)
                } else {
                    (source_x, source_y)
                };

                let at = (row * stored_width + column) * 3;
                rgb.extend_from_slice(&picture.rgb[at..at + 3]);
            }
        }

        Pixels {
            width: width as u32,
            height: height as u32,
            rgb,
        }
    }

    /// Returns the rotation in degrees, clockwise; mirroring is ignored.
    pub(crate) fn degrees(self) -> u32 {
        match (self.swap, self.flip_x, self.flip_y) {
            (false, false, _) => 0,
            (false, true, _) => 180,
            (true, true, _) => 90,
            (true, false, _) => 270,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    /// Builds a picture of 2x3 pixels; the letters are the red values.
    fn picture(rows: [[u8; 2]; 3]) -> Pixels {
        let rgb = rows.iter().flatten().flat_map(|red| [*red, 0, 0]).collect();
        Pixels {
            width: 2,
            height: 3,
            rgb,
        }
    }

    fn reds(picture: &Pixels) -> Vec<u8> {
        picture.rgb.iter().step_by(3).copied().collect()
    }

    fn turn(a: i32, b: i32, c: i32, d: i32) -> Orientation {
        Orientation::from_matrix(&[a, b, 0, c, d, 0, 0, 0, 1 << 30])
    }

    #[test]
    fn rotates_by_90_degrees() {
        let turned = turn(0, ONE, -ONE, 0).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!((turned.width, turned.height), (3, 2));
        assert_eq!(reds(&turned), b"ecafdb");
        assert_eq!(turn(0, ONE, -ONE, 0).degrees(), 90);
    }

    #[test]
    fn rotates_by_270_degrees() {
        let turned = turn(0, -ONE, ONE, 0).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"bdface");
        assert_eq!(turn(0, -ONE, ONE, 0).degrees(), 270);
    }

    #[test]
    fn rotates_by_180_degrees() {
        let turned = turn(-ONE, 0, 0, -ONE).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"fedcba");
    }

    #[test]
    fn mirrors_horizontally() {
        let turned = turn(-ONE, 0, 0, ONE).apply(picture([*b"ab", *b"cd", *b"ef"]));
        assert_eq!(reds(&turned), b"badcfe");
    }

    #[test]
    fn shrinks_to_the_limits_and_never_enlarges() {
        let fit = Fit {
            width: 640,
            height: 0,
        };
        let upright = Orientation::default();

        assert_eq!(fit.size((1920, 1080), None, upright), (640, 360));
        assert_eq!(fit.size((320, 180), None, upright), (320, 180));
        assert_eq!(
            Fit {
                width: 640,
                height: 100
            }
            .size((1920, 1080), None, upright),
            (178, 100)
        );

        assert_eq!(
            Fit {
                width: 0,
                height: 0
            }
            .size((1919, 1079), None, upright),
            (1919, 1079)
        );

        assert_eq!(
            Fit {
                width: 10,
                height: 0
            }
            .size((8000, 2), None, upright),
            // A side never shrinks to 0.
            (10, 1)
        );
    }

    #[test]
    fn applies_the_limits_to_the_upright_picture() {
        let fit = Fit {
            width: 360,
            height: 0,
        };
        assert_eq!(
            fit.size((1920, 1080), None, turn(0, ONE, -ONE, 0)),
            (640, 360)
        );
    }

    #[test]
    fn makes_pixels_square() {
        let fit = Fit {
            width: 0,
            height: 0,
        };

        assert_eq!(
            fit.size((720, 576), Some((64, 45)), Orientation::default()),
            // PAL 16:9 has pixels of 64:45.
            (720, 405)
        );

        assert_eq!(
            fit.size((720, 480), Some((8, 9)), Orientation::default()),
            (640, 480)
        );
    }
}
