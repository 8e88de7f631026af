//! Detects RSA keys with a private key that follows from the public one (ROCA, CVE-2017-15361).
//!
//! A smart card library generated primes of the form `k·M + 65537^a mod M`, with `M` a product of
//! the first primes. A modulus of two such primes is a power of 65537 modulo each of them; for
//! other moduli the probability is about one in a hundred million.

/// Returns whether a big-endian modulus has the fingerprint of that library.
pub(super) fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power_of_generator(remainder(modulus, *prime), *prime))
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

fn is_power_of_generator(number: u32, prime: u32) -> bool {
    let generator = GENERATOR % prime;
    let mut power = generator;
    // The powers of the generator form a cycle that ends at 1.
    while power != 1 && power != number {
        power = power * generator % prime;
    }
    power == number
}

const GENERATOR: u32 = 65537;

/// The primes of `M` for the smallest keys; larger keys use these and more.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_the_fingerprint() {
        let fingerprinted = power_of_generator(128);
        assert!(has_roca_fingerprint(&fingerprinted));
        let mut other = fingerprinted;
        // One flipped bit leaves the subgroup for at least one prime.
        *other.last_mut().unwrap() ^= 2;
        assert!(!has_roca_fingerprint(&other));
        assert!(!has_roca_fingerprint(&[0xff; 256]));
    }

    /// Returns 65537^exponent; multiplying by 65537 is a shift by two bytes and an addition.
    fn power_of_generator(exponent: usize) -> Vec<u8> {
        let mut number = vec![1_u8];
        for _ in 0..exponent {
            let shifted = [&number[..], &[0, 0]].concat();
            let padded = [&[0, 0][..], &number].concat();
            let mut carry = 0;
            let mut sum: Vec<u8> = Vec::new();

            for (a, b) in shifted.iter().zip(&padded).rev() {
                let digit = u16::from(*a) + u16::from(*b) + carry;
                sum.push(digit as u8);
                carry = digit >> 8;
            }

            sum.push(carry as u8);
            number = sum
                .into_iter()
                .rev()
                .skip_while(|byte| *byte == 0)
                .collect();
        }

        number
    }
}
