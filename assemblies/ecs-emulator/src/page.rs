//! Pages of lists: `maxResults` and `nextToken`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api_error::ApiError;

/// A page of a list that is sorted by a key.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_token: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// Returns the response of a list operation: the items under this name, and `nextToken` unless it is the last page.
    pub(crate) fn to_json(&self, name: &str) -> Value {
        let mut body = json!({ name: self.items });
        if let Some(token) = &self.next_token {
            body["nextToken"] = token.as_str().into();
        }
        body
    }
}

/// The order of a list by its keys.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Ascending,
    Descending,
}

/// What the caller asks for.
#[derive(Debug, Default)]
pub(crate) struct PageRequest<'a> {
    pub(crate) max_results: Option<i64>,
    pub(crate) next_token: Option<&'a str>,
    pub(crate) order: Order,
}

impl PageRequest<'_> {
    /// Returns the page of the items after the token. Items must be sorted by key, each key once: an item that is
    /// added or removed between two pages moves no other.
    pub(crate) fn cut<T>(
        &self,
        items: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Page<T>, ApiError> {
        let size = match self.max_results {
            None => MAX_RESULTS,
            Some(size @ 1..=MAX_RESULTS) => size,
            Some(_) => {
                let message = format!("maxResults must be between 1 and {MAX_RESULTS}");
                return Err(ApiError::invalid_parameter(message));
            }
        };

        let after = self.next_token.map(decode).transpose()?;
        let is_after = |(key, _): &(String, T)| match (&after, self.order) {
            (None, _) => true,
            (Some(after), Order::Ascending) => key > after,
            (Some(after), Order::Descending) => key < after,
        };

        let mut rest = items.into_iter().filter(is_after).peekable();
        let (mut page, mut last) = (Vec::new(), None);
        // The item after the page is looked at, but not taken.
        while (page.len() as i64) < size {
            let Some((key, item)) = rest.next() else {
                break;
            };
            page.push(item);
            last = Some(key);
        }

        // Without a further item this is the last page, and a token would lead to an empty one.
        let next_token = last
            .filter(|_| rest.peek().is_some())
            .map(|key| encode(&key));
        Ok(Page {
            items: page,
            next_token,
        })
    }
}

fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn decode(token: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    key.ok_or_else(|| {
        ApiError::invalid_parameter("Invalid token: nextToken is not from an earlier response")
    })
}

const MAX_RESULTS: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> Vec<(String, u32)> {
        (0..5)
            .map(|number| (format!("{number:03}"), number))
            .collect()
    }

    #[test]
    fn pages_cover_a_list_once() {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let request = PageRequest {
                max_results: Some(2),
                next_token: token.as_deref(),
                order: Order::Ascending,
            };
            let page = request.cut(items()).unwrap();
            seen.extend(page.items);
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn rejects_sizes_and_tokens_out_of_range() {
        for (max_results, next_token) in [(Some(0), None), (Some(101), None), (None, Some("*"))] {
            let error = PageRequest {
                max_results,
                next_token,
                order: Order::Ascending,
            }
            .cut(items())
            .unwrap_err();
            assert_eq!(error.code, "InvalidParameterException");
        }
        let exact = PageRequest {
            max_results: Some(5),
            next_token: None,
            order: Order::Ascending,
        }
        .cut(items())
        .unwrap();
        assert_eq!(exact.next_token, None);
    }
}
