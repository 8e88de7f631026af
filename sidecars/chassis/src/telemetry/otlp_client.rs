//! The connection of the OpenTelemetry exporters to their endpoint.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};

use crate::http::PlainClient;

/// Sends what an exporter has encoded.
#[derive(Debug)]
pub(super) struct OtlpClient(PlainClient);

impl OtlpClient {
    /// Creates the client of a signal, with the timeout in `OTEL_EXPORTER_OTLP_SIGNAL_TIMEOUT` or
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.
    pub(super) fn from_variables(signal: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self(PlainClient::new(timeout(signal, variable)))
    }
}

impl HttpClient for OtlpClient {
    // The signature that `async_trait` gives the method.
    fn send_bytes<'client, 'future>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'future>>
    where
        'client: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            let sent = self.0.send(request).await;
            // The exporter reports only that there was an error of the network.
            sent.inspect_err(|error| tracing::debug!(error = %error, "telemetry not sent"))
        })
    }
}

/// Returns the timeout of a signal (OpenTelemetry Protocol Exporter, configuration options).
fn timeout(signal: &str, variable: impl Fn(&str) -> Option<String>) -> Duration {
    let names = [
        format!("OTEL_EXPORTER_OTLP_{signal}_TIMEOUT"),
        "OTEL_EXPORTER_OTLP_TIMEOUT".to_owned(),
    ];
    let milliseconds = names
        .iter()
        .find_map(|name| variable(name)?.trim().parse().ok());
    milliseconds.map_or(DEFAULT_TIMEOUT, Duration::from_millis)
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_of_the_signal_wins() {
        let general = ("OTEL_EXPORTER_OTLP_TIMEOUT", "300");
        let cases: [(&[(&str, &str)], u64); 4] = [
            (&[], 10_000),
            (&[general], 300),
            (&[general, ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "20")], 20),
            (&[general, ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2s")], 300),
        ];
        for (variables, milliseconds) in cases {
            let variable = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let limit = timeout("TRACES", variable);
            assert_eq!(limit, Duration::from_millis(milliseconds), "{variables:?}");
        }
    }
}
