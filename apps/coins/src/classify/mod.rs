//! Classifies circles: coin or not, and the colour.

mod colour;
mod net;

pub use colour::{COLOUR_FEATURES, Colours, Patch, features};
pub use net::{CROP_SIDE, Crop, NET_WEIGHTS, Net, OUTPUTS, crop, normalize, shape};

/// The trained weights of both classifiers.
///
/// The example `train` writes the file; `models/README.md` describes its data.
#[derive(Debug, Clone)]
pub struct Models {
    /// Classifies circles as coins or not, with a first estimate of the colour.
    pub net: Net,
    /// Classifies the colour.
    pub colours: Colours,
}

impl Models {
    /// The length of the file in bytes.
    pub const BYTES: usize = 4 * (NET_WEIGHTS + Colours::WEIGHTS);

    /// Returns the models included in the program.
    pub fn builtin() -> Self {
        Self::from_bytes(include_bytes!("../../models/coins.bin"))
    }

    /// Parses weights: little-endian 32-bit floats, first the network's, then the colours'.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut values: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect();
        let colours = values.split_off(NET_WEIGHTS);
        Self {
            net: Net::new(values),
            colours: Colours::new(colours),
        }
    }

    /// Returns the bytes that [`Models::from_bytes`] parses.
    pub fn to_bytes(&self) -> Vec<u8> {
        let values = self.net.weights().iter().chain(self.colours.weights());
        values.flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// Converts scores to probabilities that sum to one.
pub fn softmax<const N: usize>(scores: [f32; N]) -> [f32; N] {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    // Relative to the largest score, so that `exp` cannot overflow.
    let powers = scores.map(|score| (score - most).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}
