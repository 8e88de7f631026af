//! A request that can be sent again, with another login.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderValue, Method, Request, Uri};

/// A request without its `Authorization` header.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

impl Call {
    /// Creates a request without a body.
    pub(crate) fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn build(
        &self,
        url: Uri,
        authorization: Option<&str>,
    ) -> Result<Request<()>, http::Error> {
        let mut request = Request::builder().method(&self.method).uri(url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }

        request.body(())
    }
}
