//! Looks at what is inside a circle: is it a coin, and of what colour?

mod colour;
mod net;

pub use colour::{COLOUR_FEATURES, Colours, Patch, features};
pub use net::{CROP_SIDE, Crop, NET_WEIGHTS, Net, OUTPUTS, crop, normalize, shape};

/// What was learnt from labelled photos: the weights of both classifiers.
///
/// `examples/train.rs` makes the file; `models/README.md` says from what.
#[derive(Debug, Clone)]
pub struct Models {
    /// Tells coins from other circles, and gives a first guess at the colour.
    pub net: Net,
    /// Tells the colour classes apart.
    pub colours: Colours,
}

impl Models {
    /// The length of the file in bytes.
    pub const BYTES: usize = 4 * (NET_WEIGHTS + Colours::WEIGHTS);

    /// The models that come with the program.
    pub fn builtin() -> Self {
        Self::from_bytes(include_bytes!("../../models/coins.bin"))
    }

    /// Reads weights: little-endian 32-bit floats, first the net's, then the colours'.
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

    /// The bytes that [`Models::from_bytes`] reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let values = self.net.weights().iter().chain(self.colours.weights());
        values.flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// Scores as probabilities that sum to one.
pub fn softmax<const N: usize>(scores: [f32; N]) -> [f32; N] {
    let most = scores.iter().copied().fold(f32::MIN, f32::max);
    let powers = scores.map(|score| (score - most).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}
