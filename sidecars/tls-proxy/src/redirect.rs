//! The plain HTTP listener that redirects to HTTPS.

use ::http::{
    HeaderValue, Request, Response, StatusCode,
    header::{HOST, LOCATION},
    uri::Authority,
};
use chassis::{
    Shutdown,
    http::{self, Body, Limits, problem},
};
use tokio::net::TcpListener;

/// Redirects every request (308) to the same URL with `https` and this port, until the shutdown.
pub(crate) async fn redirect_all(
    listener: TcpListener,
    port: u16,
    limits: Limits,
    shutdown: Shutdown,
) {
    let service = move |request: Request<Body>| async move { redirect(&request, port) };
    http::serve(listener, service, limits, shutdown).await;
}

fn redirect<B>(request: &Request<B>, port: u16) -> Response<Body> {
    let Some(location) = location(request, port) else {
        return problem(
            StatusCode::BAD_REQUEST,
            "bad_host",
            "a request must have exactly one host",
        );
    };

    let mut response = problem(StatusCode::PERMANENT_REDIRECT, "https_only", "use https");

    response.headers_mut().insert(LOCATION, location);
    response
}

fn location<B>(request: &Request<B>, port: u16) -> Option<HeaderValue> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let authority: Authority = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return None,
        (Some(authority), _, None) => authority.clone(),
        (None, host, None) => host?.to_str().ok()?.parse().ok()?,
    };

    // User information in the redirect could disguise the host to a reader.
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }

    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    let host = authority.host();
    let location = match port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };

    HeaderValue::from_str(&location).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect_location(host: &str, target: &str, port: u16) -> Option<String> {
        let request = Request::get(target).header(HOST, host).body(()).unwrap();
        location(&request, port).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn redirects_to_the_same_url_with_https() {
        let to = redirect_location("coins.example:80", "/a?b=c", 443);
        assert_eq!(to.as_deref(), Some("https://coins.example/a?b=c"));
        let to = redirect_location("[::1]", "/", 8443);
        assert_eq!(to.as_deref(), Some("https://[::1]:8443/"));
    }

    #[test]
    fn does_not_redirect_without_a_valid_host() {
        assert_eq!(redirect_location("evil@coins.example", "/", 443), None);
        assert_eq!(redirect_location("a b", "/", 443), None);
        assert_eq!(redirect_location("", "/", 443), None);
    }
}
