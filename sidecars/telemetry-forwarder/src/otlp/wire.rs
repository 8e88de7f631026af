//! Reads and writes the protobuf wire format, as far as OTLP uses it.

/// An error in protobuf data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a value.
    #[error("the data ends too early")]
    Truncated,
    /// A varint is longer than ten bytes or larger than 64 bits.
    #[error("a varint is too long")]
    Varint,
    /// A key has field number 0, a field number above the maximum, or an unsupported wire type.
    #[error("a key is invalid")]
    Key,
    /// The wire type of a known field does not match its definition.
    #[error("the wire type does not match")]
    WireType,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A trace or span id has neither its fixed length nor length 0.
    #[error("an id has the wrong length")]
    IdLength,
    /// Messages are nested too deeply.
    #[error("messages are nested too deeply")]
    Depth,
}

/// The value of a record, by wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Delimited(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// A field in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The field's number.
    pub number: u32,
    /// The field's value.
    pub value: Value<'a>,
    /// Key and value together, for copying.
    pub raw: &'a [u8],
}

/// An iterator over the records of a message; it ends after the first error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Starts at the first record of a message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[inline]
    fn step(&mut self) -> Result<Record<'a>, WireError> {
        let start = self.bytes;
        let key = take_varint(&mut self.bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::Key)?;

        // A key has 32 bits: 29 for the field number, 3 for the wire type.
        if number == 0 || number > 0x1fff_ffff {
            return Err(WireError::Key);
        }
        let value = match key & 7 {
            0 => Value::Varint(take_varint(&mut self.bytes)?),
            1 => Value::Fixed64(u64::from_le_bytes(take_array(&mut self.bytes)?)),
            2 => Value::Delimited(take_delimited(&mut self.bytes)?),
            5 => Value::Fixed32(u32::from_le_bytes(take_array(&mut self.bytes)?)),
            // 3 and 4 are the deprecated groups, 6 and 7 are undefined.
            _ => return Err(WireError::Key),
        };

        // The bytes that `self.bytes` has moved past.
        let raw = &start[..start.len() - self.bytes.len()];
        Ok(Record { number, value, raw })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let step = self.step();
        // The position after an error is meaningless, so iteration ends.
        if step.is_err() {
            self.bytes = &[];
        }
        Some(step)
    }
}

/// Reads the next varint and moves past it.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    // Most keys, lengths and enums take one byte; inlining this case speeds up validation.
    if let Some((&first, rest)) = bytes.split_first()
        && first < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(first));
    }
    take_long_varint(bytes)
}

fn take_long_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        // Nine bytes hold 63 bits, so the tenth has one left.
        if index == 9 && byte > 1 {
            return Err(WireError::Varint);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);

        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }

    Err(if bytes.len() < 10 {
        WireError::Truncated
    } else {
        WireError::Varint
    })
}

/// Reads the next eight bytes as a little-endian number and moves past them.
pub fn take_fixed64(bytes: &mut &[u8]) -> Result<u64, WireError> {
    take_array(bytes).map(u64::from_le_bytes)
}

#[inline]
fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], WireError> {
    let (array, rest) = bytes.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
    *bytes = rest;
    Ok(*array)
}

#[inline]
fn take_delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], WireError> {
    let length = usize::try_from(take_varint(bytes)?).map_err(|_| WireError::Truncated)?;
    let (inner, rest) = bytes.split_at_checked(length).ok_or(WireError::Truncated)?;
    *bytes = rest;
    Ok(inner)
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns the number of bytes that `put_varint` appends.
pub fn varint_length(value: u64) -> usize {
    // ceil(bits / 7) without a division by the bit count; zero takes one byte as well.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends the key of a field; `wire` is the wire type's number.
pub fn put_key(out: &mut Vec<u8>, number: u32, wire: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire));
}

/// Appends the key and the length of a delimited field; its bytes must follow.
pub fn put_head(out: &mut Vec<u8>, number: u32, length: usize) {
    put_key(out, number, 2);
    put_varint(out, length as u64);
}

/// Appends a whole delimited field.
pub fn put_delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_head(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a delimited field of a length known only after `write`.
pub fn put_nested<E>(
    out: &mut Vec<u8>,
    number: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_key(out, number, 2);
    let start = out.len();

    // Most lengths take one byte; a longer one shifts the content to the right.
    out.push(0);
    write(out)?;
    let length = (out.len() - start - 1) as u64;
    let mut prefix = Vec::with_capacity(10);

    put_varint(&mut prefix, length);
    if let [only] = prefix[..] {
        out[start] = only;
    } else {
        out.splice(start..=start, prefix);
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_varints() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            16383,
            16384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_length(value));
            assert_eq!(take_varint(&mut &bytes[..]), Ok(value));
        }
    }

    #[test]
    fn rejects_varints_over_64_bits_and_truncated_ones() {
        assert_eq!(take_varint(&mut &[0xff; 10][..]), Err(WireError::Varint));
        assert_eq!(take_varint(&mut &[0xff; 9][..]), Err(WireError::Truncated));
        assert_eq!(take_varint(&mut &[][..]), Err(WireError::Truncated));
    }

    #[test]
    fn rejects_groups_field_zero_and_lengths_past_the_end() {
        let first = |bytes: &'static [u8]| Records::new(bytes).next();
        assert_eq!(first(&[0x0b]), Some(Err(WireError::Key)));
        assert_eq!(first(&[0x00, 0x00]), Some(Err(WireError::Key)));
        assert_eq!(first(&[0x0a, 0x02, 0x00]), Some(Err(WireError::Truncated)));
    }

    #[test]
    fn nests_a_message_longer_than_one_length_byte() {
        let mut out = Vec::new();
        let written = put_nested(&mut out, 2, |out| {
            out.extend_from_slice(&[7; 300]);
            Ok::<(), WireError>(())
        });

        assert_eq!(written, Ok(()));
        let record = Records::new(&out).next().unwrap().unwrap();
        assert_eq!(
            (record.number, record.value),
            (2, Value::Delimited(&[7; 300]))
        );
    }
}
