//! One JSON value, written as the field it stands for.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::MessageWriter;
use crate::otlp::tables::{Count, Field, Kind};
use crate::otlp::wire::{put_delimited, put_key, put_nested, put_varint};

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Right after the field's name.
    Field,
    /// In the list of a repeated field; each gets a key of its own.
    Listed,
    /// In the list of a repeated number; one key stands before them all.
    Packed,
}

/// Writes one value of a field, or the list of them.
pub(super) struct ValueWriter<'a> {
    pub(super) field: &'static Field,
    pub(super) place: Place,
    pub(super) out: &'a mut Vec<u8>,
}

impl ValueWriter<'_> {
    fn key(&mut self) {
        if self.place != Place::Packed {
            put_key(
                self.out,
                u32::from(self.field.number),
                self.field.kind.wire(),
            );
        }
    }

    fn varint(&mut self, value: u64) {
        self.key();
        put_varint(self.out, value);
    }

    fn bytes(&mut self, value: &[u8]) {
        put_delimited(self.out, u32::from(self.field.number), value);
    }

    fn fixed64(&mut self, value: u64) {
        self.key();
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn unexpected<E: Error>(&self, what: &str) -> E {
        E::custom(format_args!("`{}` cannot be {what}", self.field.name))
    }

    /// A number, whether it was written as a number or as text.
    fn integer<E: Error>(&mut self, value: i128) -> Result<(), E> {
        let narrow = || E::custom(format_args!("`{}` is out of range", self.field.name));
        match self.field.kind {
            Kind::Int32 => {
                let value = i32::try_from(value).map_err(|_| narrow())?;
                // Negative 32-bit numbers are written as 64-bit ones.
                self.varint(i64::from(value) as u64);
            }
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| narrow())?;
                self.varint(u64::from((value << 1 ^ value >> 31) as u32));
            }
            Kind::Uint32 => {
                let value = u32::try_from(value).map_err(|_| narrow())?;
                self.varint(u64::from(value));
            }
            Kind::Int64 => {
                let value = i64::try_from(value).map_err(|_| narrow())?;
                self.varint(value as u64);
            }
            Kind::Uint64 => {
                let value = u64::try_from(value).map_err(|_| narrow())?;
                self.varint(value);
            }
            Kind::Fixed32 => {
                let value = u32::try_from(value).map_err(|_| narrow())?;
                self.key();
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = u64::try_from(value).map_err(|_| narrow())?;
                self.fixed64(value);
            }
            Kind::Sfixed64 => {
                let value = i64::try_from(value).map_err(|_| narrow())?;
                self.fixed64(value as u64);
            }
            Kind::Double => self.fixed64((value as f64).to_bits()),
            _ => return Err(self.unexpected("a number")),
        }

        Ok(())
    }

    fn text<E: Error>(&mut self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Binary => {
                let bytes = decode_base64(text).ok_or_else(|| self.unexpected("other than base64"));
                self.bytes(&bytes?);
            }
            Kind::Id(length) => {
                let wrong = "other than hexadecimal digits of an id's length";
                let id = decode_hex(text).filter(|id| id.is_empty() || id.len() == length);
                self.bytes(&id.ok_or_else(|| self.unexpected(wrong))?);
            }
            Kind::Double => {
                let value = double(text).ok_or_else(|| self.unexpected("this text"))?;
                self.fixed64(value.to_bits());
            }
            // Names of enums must not be understood: only integers are OTLP.
            Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 => {
                let value = text
                    .parse::<i128>()
                    .map_err(|_| self.unexpected("this text"))?;
                self.integer(value)?;
            }
            _ => return Err(self.unexpected("text")),
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
        match (self.place, self.field.kind) {
            (Place::Field, _) => Ok(()),
            // Dropping a listed one would move its neighbours; the empty message keeps its place.
            (_, Kind::Nested(_)) => {
                self.bytes(&[]);
                Ok(())
            }
            _ => Err(self.unexpected("null in a list")),
        }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => {
                self.varint(u64::from(value));
                Ok(())
            }
            _ => Err(self.unexpected("true or false")),
        }
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.fixed64(value.to_bits());
            return Ok(());
        }
        // 1e3 is a whole number too.
        if value.fract() == 0.0 && value.abs() < 1e20 {
            return self.integer(value as i128);
        }
        Err(self.unexpected("a fraction"))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.text(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Nested(message) = self.field.kind else {
            return Err(self.unexpected("an object"));
        };
        if self.field.count == Count::Many && self.place == Place::Field {
            return Err(self.unexpected("an object, only a list"));
        }
        put_nested(self.out, u32::from(self.field.number), |out| {
            MessageWriter { message, out }.visit_map(map)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.field.count != Count::Many || self.place != Place::Field {
            return Err(self.unexpected("a list"));
        }

        let field = self.field;
        let mut write_all = |place, out: &mut Vec<u8>| {
            while list
                .next_element_seed(ValueWriter { field, place, out })?
                .is_some()
            {}
            Ok(())
        };

        if field.kind.wire() == 2 {
            return write_all(Place::Listed, self.out);
        }
        put_nested(self.out, u32::from(field.number), |out| {
            write_all(Place::Packed, out)
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

/// Both alphabets, with padding or without, as the JSON form of protobuf allows.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

fn double(text: &str) -> Option<f64> {
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
