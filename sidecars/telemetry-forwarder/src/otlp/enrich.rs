//! Adds missing resource attributes to a request; existing ones are never replaced.

use std::borrow::Cow;

use super::wire::{Record, Records, Value, WireError, put_delimited, put_head, varint_length};

/// Attributes to add, already encoded.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    key: String,
    /// The complete `attributes` field of a `Resource`, including its key and length.
    field: Vec<u8>,
}

impl Attributes {
    /// Encodes string attributes; the first of several with the same key wins.
    pub fn new<K: Into<String>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut attributes = Self::default();
        for (key, value) in pairs {
            attributes.insert(key.into(), value.as_ref());
        }
        attributes
    }

    /// Returns whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the keys, in the order in which they are added.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    fn insert(&mut self, key: String, value: &str) {
        if self.entries.iter().any(|entry| entry.key == key) {
            return;
        }
        let mut any_value = Vec::new();
        put_delimited(&mut any_value, ANY_VALUE_STRING, value.as_bytes());
        let mut key_value = Vec::new();
        put_delimited(&mut key_value, KEY_VALUE_KEY, key.as_bytes());
        put_delimited(&mut key_value, KEY_VALUE_VALUE, &any_value);
        let mut field = Vec::new();
        put_delimited(&mut field, RESOURCE_ATTRIBUTES, &key_value);
        self.entries.push(Entry { key, field });
    }
}

/// Adds the missing attributes to every resource of a validated request.
///
/// Several `resource` fields in one envelope are merged into one, as protobuf specifies and some
/// backends do not.
pub fn enrich<'a>(request: &'a [u8], attributes: &Attributes) -> Result<Cow<'a, [u8]>, WireError> {
    enrich_within(request, attributes, usize::MAX).map_err(|error| match error {
        EnrichError::Wire(error) => error,
        // Unreachable: nothing is larger than the limit above.
        EnrichError::TooLarge => WireError::Truncated,
    })
}

/// An error of [`enrich_within`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrichError {
    /// The request is malformed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The result is larger than the limit.
    #[error("the request is too large with the attributes of its resources")]
    TooLarge,
}

/// Like [`enrich`], with a limit of the result in bytes.
///
/// Attributes are added to each envelope, and an envelope takes a few bytes, so without a limit a small
/// request could become a hundred times as large.
pub fn enrich_within<'a>(
    request: &'a [u8],
    attributes: &Attributes,
    max_bytes: usize,
) -> Result<Cow<'a, [u8]>, EnrichError> {
    if attributes.is_empty() {
        return Ok(Cow::Borrowed(request));
    }

    let added: usize = attributes
        .entries
        .iter()
        .map(|entry| entry.field.len())
        .sum();
    let mut out = Vec::with_capacity(request.len() + added + 16);

    for record in Records::new(request) {
        match record? {
            Record {
                number: ENVELOPES,
                value: Value::Delimited(envelope),
                ..
            } => {
                put_envelope(&mut out, envelope, attributes)?;
            }
            other => out.extend_from_slice(other.raw),
        }

        if out.len() > max_bytes {
            return Err(EnrichError::TooLarge);
        }
    }

    Ok(Cow::Owned(out))
}

/// Returns a limit of what [`enrich_within`] allocates for a request, in bytes.
pub fn max_enriched_bytes(request: &[u8], attributes: &Attributes) -> usize {
    let fields = attributes.entries.iter().map(|entry| entry.field.len());
    // The key and length of an envelope and its resource may each take a few bytes more.
    let added = fields.sum::<usize>() + 16;
    let envelopes = Records::new(request).map_while(Result::ok).count();
    request.len() + added.saturating_mul(envelopes.max(1))
}

fn put_envelope(
    out: &mut Vec<u8>,
    envelope: &[u8],
    attributes: &Attributes,
) -> Result<(), WireError> {
    let (mut resource_length, mut rest) = (0, 0);
    for record in Records::new(envelope) {
        match resource_of(record?) {
            Ok(resource) => resource_length += resource.len(),
            Err(other) => rest += other.raw.len(),
        }
    }

    let missing = missing(envelope, attributes)?;
    resource_length += missing.iter().map(|field| field.len()).sum::<usize>();
    // One byte of key, then the length of the resource.
    let head = 1 + varint_length(resource_length as u64);

    // The length precedes the content, so the sizes above must match the bytes written below.
    put_head(out, ENVELOPES, head + resource_length + rest);
    put_head(out, RESOURCE, resource_length);
    // Concatenated messages merge, so the added attributes need no re-encoding.
    for record in Records::new(envelope) {
        if let Ok(resource) = resource_of(record?) {
            out.extend_from_slice(resource);
        }
    }
    for field in missing {
        out.extend_from_slice(field);
    }
    for record in Records::new(envelope) {
        if let Err(other) = resource_of(record?) {
            out.extend_from_slice(other.raw);
        }
    }

    Ok(())
}

/// Returns the resource in a record of an envelope, or else the record.
fn resource_of(record: Record<'_>) -> Result<&[u8], Record<'_>> {
    match record {
        Record {
            number: RESOURCE,
            value: Value::Delimited(resource),
            ..
        } => Ok(resource),
        other => Err(other),
    }
}

/// Returns the attributes that no resource of the envelope has.
///
/// Neither the resources nor their attributes are collected: some take two bytes, and a reference to one takes eight
/// times as many.
fn missing<'a>(envelope: &[u8], attributes: &'a Attributes) -> Result<Vec<&'a [u8]>, WireError> {
    let mut is_present = vec![false; attributes.entries.len()];
    for record in Records::new(envelope) {
        let Ok(resource) = resource_of(record?) else {
            continue;
        };
        for record in Records::new(resource) {
            if let Record {
                number: RESOURCE_ATTRIBUTES,
                value: Value::Delimited(pair),
                ..
            } = record?
                && let Some(key) = key_of(pair)?
            {
                // A linear search: there are a dozen attributes to add.
                let entries = attributes.entries.iter();
                let same = entries.zip(&mut is_present);
                same.filter(|(entry, _)| entry.key.as_bytes() == key)
                    .for_each(|(_, is_present)| *is_present = true);
            }
        }
    }

    let entries = attributes.entries.iter().zip(is_present);
    Ok(entries
        .filter(|(_, is_present)| !is_present)
        .map(|(entry, _)| entry.field.as_slice())
        .collect())
}

/// Returns the key of a `KeyValue`; the last one if it occurs several times, as in protobuf.
fn key_of(pair: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let mut key = None;
    for record in Records::new(pair) {
        if let Record {
            number: KEY_VALUE_KEY,
            value: Value::Delimited(bytes),
            ..
        } = record?
        {
            key = Some(bytes);
        }
    }

    Ok(key)
}

// Field numbers of the messages in opentelemetry-proto; the same for all three signals.
const ENVELOPES: u32 = 1;
const RESOURCE: u32 = 1;
const RESOURCE_ATTRIBUTES: u32 = 1;
const KEY_VALUE_KEY: u32 = 1;
const KEY_VALUE_VALUE: u32 = 2;
const ANY_VALUE_STRING: u32 = 1;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    use super::*;
    use crate::otlp::{Signal, samples, validate::validate};

    fn attributes_of(request: &[u8]) -> Vec<(String, String)> {
        let request = ExportTraceServiceRequest::decode(request).unwrap();
        let resource = request.resource_spans[0].resource.clone().unwrap();
        resource
            .attributes
            .into_iter()
            .map(samples::text_pair)
            .collect()
    }

    #[test]
    fn adds_missing_attributes_and_keeps_existing_ones() {
        let request = samples::request(Signal::Traces, 2);
        let added = Attributes::new([("service.name", "other"), ("cloud.region", "eu-west-1")]);
        let enriched = enrich(&request, &added).unwrap();
        assert_eq!(
            attributes_of(&enriched),
            [
                ("service.name".to_owned(), "sample".to_owned()),
                ("cloud.region".to_owned(), "eu-west-1".to_owned()),
            ]
        );
        assert_eq!(validate(Signal::Traces, &enriched), Ok(2));
    }

    #[test]
    fn adds_a_resource_to_an_envelope_without_one() {
        // Longer than 127 bytes, so that the lengths take two bytes each.
        let added = Attributes::new([("a", "1".repeat(200))]);
        // `resource_spans` of length 0.
        let enriched = enrich(&[0x0a, 0x00], &added).unwrap();
        assert_eq!(
            attributes_of(&enriched),
            [("a".to_owned(), "1".repeat(200))]
        );
    }

    #[test]
    fn merges_two_resources_of_one_envelope() {
        let resource = |key: &str| {
            let attributes = Attributes::new([(key, "x")]);
            let field = attributes.entries[0].field.clone();
            let mut out = Vec::new();
            put_delimited(&mut out, RESOURCE, &field);
            out
        };

        let mut request = Vec::new();
        put_delimited(
            &mut request,
            ENVELOPES,
            &[resource("a"), resource("b")].concat(),
        );

        let enriched = enrich(&request, &Attributes::new([("b", "new"), ("c", "new")])).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            attributes_of(&enriched),
            [pair("a", "x"), pair("b", "x"), pair("c", "new")]
        );
    }

    #[test]
    fn stops_at_the_limit() {
        let added = Attributes::new([("a", "1".repeat(200))]);
        let envelopes = [0x0a, 0x00].repeat(1000);
        let enriched = enrich(&envelopes, &added).unwrap().len();
        assert!(enrich_within(&envelopes, &added, enriched).is_ok());
        let error = enrich_within(&envelopes, &added, enriched - 1);
        assert_eq!(error, Err(EnrichError::TooLarge));
    }

    #[test]
    fn borrows_the_request_when_there_is_nothing_to_add() {
        let request = samples::request(Signal::Logs, 1);
        let enriched = enrich(&request, &Attributes::default()).unwrap();
        assert!(matches!(enriched, Cow::Borrowed(_)));
    }
}
