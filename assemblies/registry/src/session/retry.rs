//! Retries of requests while a registry is busy or failing.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::Session;
use crate::error::ErrorKind;
use crate::transport::Response;

impl Session {
    /// Sends a request and retries within the limits while the registry is busy or failing.
    pub(crate) async fn send_with_retries(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, ErrorKind> {
        let mut attempt = 0;
        loop {
            let outcome = self.client.transport.send(request.clone()).await;
            let (error, requested) = match outcome {
                Ok(response) if is_retryable(response.status) => self.busy(&response),
                // Every request of this client can be repeated: uploads that were started twice expire.
                Err(error @ ErrorKind::Interrupted { .. }) => (error, None),
                outcome => return outcome,
            };

            let Some(wait) = self.retry_wait(attempt, requested) else {
                return Err(error);
            };
            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the error of a busy or failing registry, and the wait that it requests.
    pub(crate) fn busy(&self, response: &Response) -> (ErrorKind, Option<Duration>) {
        let wait = response.header("retry-after").and_then(retry_after);
        let error = if response.status == StatusCode::TOO_MANY_REQUESTS {
            let host = self.host();
            ErrorKind::RateLimited { host, wait }
        } else {
            self.status(response)
        };

        (error, wait)
    }

    /// Returns the wait before the next attempt; `None` if the limits allow no more.
    pub(crate) fn retry_wait(&self, attempt: u32, requested: Option<Duration>) -> Option<Duration> {
        let limits = self.client.limits;
        if attempt >= limits.max_retries {
            return None;
        }

        if let Some(wait) = requested {
            // A longer wait is reported instead, so that the command does not seem to hang.
            return (wait <= limits.max_retry_wait).then_some(wait);
        }

        // Random, so that clients that failed together do not come back together.
        let wait = INITIAL_RETRY_WAIT * 2_u32.pow(attempt.min(6));
        let wait = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
        Some(wait.min(limits.max_retry_wait))
    }
}

/// Returns whether a request with this status may succeed later.
pub(crate) fn is_retryable(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// Parses `Retry-After`: seconds or an HTTP date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

const INITIAL_RETRY_WAIT: Duration = Duration::from_millis(500);
