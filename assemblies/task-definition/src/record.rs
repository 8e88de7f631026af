//! One declaration per record: the Rust type, its JSON names, and the [`Shape`] that `read` holds
//! a text against. Three tables that had to agree are one.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a value of the RegisterTaskDefinition input may look like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A string.
    Text,
    /// A whole number, not smaller than the given one.
    Integer(i64),
    /// Any number.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of these words, exactly so.
    Choice(&'static [&'static str]),
    /// An object whose values are strings.
    TextMap,
    /// A list of one shape.
    List(&'static Shape),
    /// An object with exactly these fields.
    Record(&'static [Field]),
    /// Whatever JSON can say.
    Any,
}

/// One field of a [`Shape::Record`].
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether the record makes no sense without it.
    pub required: bool,
}

/// A Rust type that stands for a [`Shape`].
pub trait Shaped {
    /// The shape.
    const SHAPE: Shape;
    /// Whether the field may be left out of its record.
    const OPTIONAL: bool = false;
    /// Whether the value says nothing, so that it is not written.
    fn is_absent(&self) -> bool {
        false
    }
}

impl Shaped for String {
    const SHAPE: Shape = Shape::Text;
}
impl Shaped for u32 {
    const SHAPE: Shape = Shape::Integer(0);
}
impl Shaped for i64 {
    const SHAPE: Shape = Shape::Integer(i64::MIN);
}
impl Shaped for bool {
    const SHAPE: Shape = Shape::Bool;
}

impl Shaped for f64 {
    const SHAPE: Shape = Shape::Number;
}
impl Shaped for Value {
    const SHAPE: Shape = Shape::Any;
}

impl Shaped for BTreeMap<String, String> {
    const SHAPE: Shape = Shape::TextMap;
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// A list that has to be there, although it may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Required<T>(pub T);

impl<T> Deref for Required<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Shaped> Shaped for Required<T> {
    const SHAPE: Shape = T::SHAPE;
}

/// Declares structs of the API. Every field is written `"nameInJson" rust_name: Type`, in the order
/// in which it is to be printed. Nothing absent is printed, so the output is short and byte-stable.
macro_rules! records {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $( $(#[$field_doc:meta])* $wire:literal $field:ident : $type:ty, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[serde(rename = $wire, skip_serializing_if = "crate::record::Shaped::is_absent")]
                pub $field: $type,
            )*
        }

        impl crate::record::Shaped for $name {
            const SHAPE: crate::record::Shape = crate::record::Shape::Record(&[
                $(crate::record::Field {
                    name: $wire,
                    shape: <$type as crate::record::Shaped>::SHAPE,
                    required: !<$type as crate::record::Shaped>::OPTIONAL,
                },)*
            ]);
        }
    )*};
}
pub(crate) use records;
