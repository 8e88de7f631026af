//! Writes a JSON value as a protobuf field.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::MessageWriter;
use crate::otlp::tables::{Cardinality, Field, Kind};
use crate::otlp::wire::{put_delimited, put_key, put_nested, put_varint};

/// The position of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Right after the field's name.
    Field,
    /// In the list of a repeated field; each element has its own key.
    Element,
    /// In the list of a repeated number; one key precedes all of them.
    PackedElement,
}

/// Writes a single value or a list of values of a field.
pub(super) struct ValueWriter<'a> {
    pub(super) field: &'static Field,
    pub(super) position: Position,
    pub(super) out: &'a mut Vec<u8>,
}

impl ValueWriter<'_> {
    fn write_key(&mut self) {
        if self.position != Position::PackedElement {
            put_key(
                self.out,
                u32::from(self.field.number),
                self.field.kind.wire(),
            );
        }
    }

    fn write_varint(&mut self, value: u64) {
        self.write_key();
        put_varint(self.out, value);
    }

    fn write_bytes(&mut self, value: &[u8]) {
        put_delimited(self.out, u32::from(self.field.number), value);
    }

    fn write_fixed64(&mut self, value: u64) {
        self.write_key();
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn type_error<E: Error>(&self, what: &str) -> E {
        E::custom(format_args!("`{}` cannot be {what}", self.field.name))
    }

    /// Writes an integer that was a JSON number or string.
    fn write_integer<E: Error>(&mut self, value: i128) -> Result<(), E> {
        let narrow = || E::custom(format_args!("`{}` is out of range", self.field.name));
        match self.field.kind {
            Kind::Int32 => {
                let value = i32::try_from(value).map_err(|_| narrow())?;
                // Protobuf sign-extends negative 32-bit integers to 64 bits.
                self.write_varint(i64::from(value) as u64);
            }
            // Zigzag maps small negative numbers to short varints.
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| narrow())?;
                self.write_varint(u64::from((value << 1 ^ value >> 31) as u32));
            }
            Kind::Uint32 => {
                let value = u32::try_from(value).map_err(|_| narrow())?;
                self.write_varint(u64::from(value));
            }
            Kind::Int64 => {
                let value = i64::try_from(value).map_err(|_| narrow())?;
                self.write_varint(value as u64);
            }
            Kind::Uint64 => {
                let value = u64::try_from(value).map_err(|_| narrow())?;
                self.write_varint(value);
            }
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| narrow())?;
                self.write_key();
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = u64::try_from(value).map_err(|_| narrow())?;
                self.write_fixed64(value);
            }
            Kind::Sfixed64 => {
                let value = i64::try_from(value).map_err(|_| narrow())?;
                self.write_fixed64(value as u64);
            }
            Kind::Double => self.write_fixed64((value as f64).to_bits()),
            _ => return Err(self.type_error("a number")),
        }

        Ok(())
    }

    fn write_text<E: Error>(&mut self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.write_bytes(text.as_bytes()),
            Kind::Binary => {
                let bytes =
                    decode_base64(text).ok_or_else(|| self.type_error("anything but base64"));
                self.write_bytes(&bytes?);
            }
            Kind::Id(length) => {
                let expected = "anything but hexadecimal digits of the right length";
                let id = decode_hex(text).filter(|id| id.is_empty() || id.len() == length);
                self.write_bytes(&id.ok_or_else(|| self.type_error(expected))?);
            }
            Kind::Double => {
                let value = parse_double(text).ok_or_else(|| self.type_error("this text"))?;
                self.write_fixed64(value.to_bits());
            }
            // Enums are not listed: OTLP forbids their names, so only integers are accepted.
            Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 => {
                let value = text
                    .parse::<i128>()
                    .map_err(|_| self.type_error("this text"))?;
                self.write_integer(value)?;
            }
            _ => return Err(self.type_error("text")),
        }

        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ValueWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueWriter<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a value for `{}`", self.field.name)
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        match (self.position, self.field.kind) {
            (Position::Field, _) => Ok(()),
            // Dropping an element would shift the ones after it; an empty message keeps the index.
            (_, Kind::Nested(_)) => {
                self.write_bytes(&[]);
                Ok(())
            }
            _ => Err(self.type_error("null in a list")),
        }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => {
                self.write_varint(u64::from(value));
                Ok(())
            }
            _ => Err(self.type_error("true or false")),
        }
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.write_integer(i128::from(value))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.write_integer(i128::from(value))
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.write_fixed64(value.to_bits());
            return Ok(());
        }
        // `1e3` is an integer in JSON as well.
        // 1e20 exceeds every 64-bit integer, so the cast below is exact.
        if value.fract() == 0.0 && value.abs() < 1e20 {
            return self.write_integer(value as i128);
        }
        Err(self.type_error("a fraction"))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.write_text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Nested(message) = self.field.kind else {
            return Err(self.type_error("an object"));
        };
        if self.field.cardinality == Cardinality::Repeated && self.position == Position::Field {
            return Err(self.type_error("an object, only a list"));
        }
        put_nested(self.out, u32::from(self.field.number), |out| {
            MessageWriter { message, out }.visit_map(map)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.field.cardinality != Cardinality::Repeated || self.position != Position::Field {
            return Err(self.type_error("a list"));
        }

        let field = self.field;
        let mut write_all = |position, out: &mut Vec<u8>| {
            while list
                .next_element_seed(ValueWriter {
                    field,
                    position,
                    out,
                })?
                .is_some()
            {}
            Ok(())
        };

        // Only numbers can be packed (protobuf encoding, "Packed Repeated Fields").
        if field.kind.wire() == 2 {
            return write_all(Position::Element, self.out);
        }
        put_nested(self.out, u32::from(field.number), |out| {
            write_all(Position::PackedElement, out)
        })
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// Decodes both alphabets, with or without padding, as the JSON mapping of protobuf allows.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

fn parse_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        number => number.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
