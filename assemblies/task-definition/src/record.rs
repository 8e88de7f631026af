//! One declaration per record: the Rust type, its JSON names, and the [`Schema`] that `read` validates a text
//! against.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The schema of a value of the ECS API.
#[derive(Debug, Clone, Copy)]
pub enum Schema {
    /// A string.
    Text,
    /// An integer with this minimum.
    Integer(i64),
    /// Any number.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// An object with string values.
    TextMap,
    /// A list of items with this schema.
    List(&'static Schema),
    /// An object with exactly these fields.
    Record(&'static [Field]),
    /// Any JSON value.
    Any,
}

impl Schema {
    /// Returns the schema of the value at a JSON pointer: `/containerDefinitions/0/cpu`.
    pub(crate) fn at(self, pointer: &str) -> Option<Self> {
        let steps = pointer.split('/').skip(1);
        steps
            .into_iter()
            .try_fold(self, |schema, step| match schema {
                Self::List(inner) => Some(*inner),
                Self::Record(fields) => {
                    let field = fields.iter().find(|field| field.name == step)?;
                    Some(field.schema)
                }
                Self::TextMap => Some(Self::Text),
                _ => None,
            })
    }
}

/// One field of a [`Schema::Record`].
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// The schema of its value.
    pub schema: Schema,
    /// Whether the field must be present.
    pub required: bool,
}

/// A Rust type with a [`Schema`].
pub trait HasSchema {
    /// The schema.
    const SCHEMA: Schema;
    /// Whether the field may be omitted from its record.
    const OPTIONAL: bool = false;
    /// Returns whether the value is empty and is not serialized.
    fn is_absent(&self) -> bool {
        false
    }
}

impl HasSchema for String {
    const SCHEMA: Schema = Schema::Text;
}
impl HasSchema for u32 {
    const SCHEMA: Schema = Schema::Integer(0);
}
impl HasSchema for i64 {
    const SCHEMA: Schema = Schema::Integer(i64::MIN);
}
impl HasSchema for bool {
    const SCHEMA: Schema = Schema::Bool;
}

impl HasSchema for f64 {
    const SCHEMA: Schema = Schema::Number;
}
impl HasSchema for Value {
    const SCHEMA: Schema = Schema::Any;
}

impl HasSchema for BTreeMap<String, String> {
    const SCHEMA: Schema = Schema::TextMap;
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: HasSchema> HasSchema for Option<T> {
    const SCHEMA: Schema = T::SCHEMA;
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: HasSchema> HasSchema for Vec<T> {
    const SCHEMA: Schema = Schema::List(&T::SCHEMA);
    const OPTIONAL: bool = true;
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// A list that must be present but may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Required<T>(pub T);

impl<T> Deref for Required<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: HasSchema> HasSchema for Required<T> {
    const SCHEMA: Schema = T::SCHEMA;
}

/// Declares structs of the API. Each field is written `"nameInJson" rust_name: Type`, in serialization order.
/// Absent fields are not serialized, so the output is short and byte-stable.
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
                #[serde(rename = $wire, skip_serializing_if = "crate::record::HasSchema::is_absent")]
                pub $field: $type,
            )*
        }

        impl crate::record::HasSchema for $name {
            const SCHEMA: crate::record::Schema = crate::record::Schema::Record(&[
                $(crate::record::Field {
                    name: $wire,
                    schema: <$type as crate::record::HasSchema>::SCHEMA,
                    required: !<$type as crate::record::HasSchema>::OPTIONAL,
                },)*
            ]);
        }
    )*};
}
pub(crate) use records;
