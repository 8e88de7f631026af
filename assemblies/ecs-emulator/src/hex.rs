//! Bytes as hexadecimal text.

/// Formats bytes with two lower-case digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    #[test]
    fn formats_two_digits_per_byte() {
        assert_eq!(super::hex(&[0, 0x0a, 0xff]), "000aff");
    }
}
