//! The proxy for a URL, from the variables that most programs use.

use std::{env, fmt, sync::Arc};

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::{
    AddressPolicy, ClientConfig, ClientError, Origin, PlainHttp, SetupError,
    address::{AddressRule, is_local},
};

/// The proxies from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, also in lower case.
///
/// A proxy is a URL with the scheme `http` or `https`, with a user and password if needed. `NO_PROXY` is
/// a list of domains (with their subdomains), addresses and networks, or `*`.
#[derive(Clone, Default)]
pub struct ProxySettings {
    matcher: Option<Arc<Matcher>>,
    /// The variable that has no valid value.
    invalid: Option<&'static str>,
}

/// The way to a server.
#[derive(Debug, Clone)]
pub(super) enum Route {
    Direct,
    /// A tunnel of bytes through the proxy, with the method CONNECT.
    Tunnel(Intercept),
    /// The proxy itself sends the request; for plain http.
    Forward(Intercept),
}

impl ProxySettings {
    /// Returns settings without a proxy.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the variables of this process; only for `main`, which passes them to libraries.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    /// Reads the variables; `variable` returns the value of one.
    ///
    /// [`Client::new`](super::Client::new) reports an invalid value: connecting directly instead could
    /// evade the egress rules that the proxy is there for.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
            value.unwrap_or_default()
        };
        let (https, http) = (value(HTTPS_PROXY), value("HTTP_PROXY"));
        // In a CGI process this variable is the header `Proxy` of a client ("httpoxy", CVE-2016-5385).
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http = if is_cgi { String::new() } else { http };

        let mut builder = Matcher::builder().no(value("NO_PROXY"));
        let mut invalid = None;
        for (name, proxy) in [(HTTPS_PROXY, &https), ("HTTP_PROXY", &http)] {
            if !proxy.is_empty() && !is_proxy_url(proxy) {
                invalid = Some(name);
            }
        }

        if https.is_empty() && http.is_empty() {
            return Self::none();
        }
        builder = builder.https(https).http(http);
        Self {
            matcher: Some(Arc::new(builder.build())),
            invalid,
        }
    }

    pub(super) fn check(&self) -> Result<(), SetupError> {
        self.invalid
            .map_or(Ok(()), |name| Err(SetupError::Proxy(name)))
    }

    fn intercept(&self, origin: &Origin) -> Option<Intercept> {
        if is_local(origin.host()) {
            return None;
        }
        self.matcher.as_ref()?.intercept(&origin.url())
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Matcher` prints no password.
        formatter
            .debug_tuple("ProxySettings")
            .field(&self.matcher)
            .finish()
    }
}

impl ClientConfig {
    /// Returns the route to a server, if the address policy allows it.
    pub(super) fn route(&self, origin: &Origin) -> Result<Route, ClientError> {
        let is_plain = origin.is_plain();
        let rule = AddressRule::new(self.addresses, self.plain_http, is_plain);
        // Only this host is allowed then, and no proxy leads there.
        let is_loopback_only = is_plain && self.plain_http == PlainHttp::LoopbackOnly;
        let proxy = self.proxy.intercept(origin);
        let proxy = proxy.filter(|_| !is_loopback_only);

        // The connector resolves only names, so literal addresses are checked here, on every route.
        if !rule.allows_host(origin.host()) {
            return Err(rule.refuse(origin));
        }

        match proxy {
            None => Ok(Route::Direct),
            Some(_) if self.addresses == AddressPolicy::PublicOnly => {
                Err(ClientError::RefusedProxy(origin.host().to_owned()))
            }
            Some(proxy) if is_plain => Ok(Route::Forward(proxy)),
            Some(proxy) => Ok(Route::Tunnel(proxy)),
        }
    }
}

impl AddressRule {
    /// Returns the error for a server whose address is not allowed.
    pub(super) fn refuse(self, origin: &Origin) -> ClientError {
        let host = origin.host().to_owned();
        match self {
            Self::Loopback => ClientError::PlainHttp(host),
            Self::Any | Self::Public => ClientError::RefusedAddress(host),
        }
    }
}

/// Returns whether the matcher supports a proxy; it ignores others silently.
fn is_proxy_url(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else {
        return false;
    };
    // Without a scheme it is `http`, as for curl.
    url.authority().is_some() && matches!(url.scheme_str(), None | Some("http" | "https"))
}

const HTTPS_PROXY: &str = "HTTPS_PROXY";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)], addresses: AddressPolicy) -> ClientConfig {
        let proxy = ProxySettings::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        ClientConfig {
            addresses,
            proxy,
            ..ClientConfig::default()
        }
    }

    fn route(config: &ClientConfig, url: &'static str) -> Result<Route, ClientError> {
        config.route(&Origin::from_url(&Uri::from_static(url)).unwrap())
    }

    const BOTH: &[(&str, &str)] = &[
        ("https_proxy", "http://proxy.example:3128"),
        ("HTTP_PROXY", "proxy.example:3128"),
        ("NO_PROXY", "internal.example, 10.0.0.0/8"),
    ];

    #[test]
    fn chooses_the_route_by_scheme_and_no_proxy() {
        let config = config(BOTH, AddressPolicy::Any);
        for (url, proxy) in [
            ("https://a.example/", "tunnel"),
            ("http://a.example/", "forward"),
            ("https://internal.example/", "direct"),
            ("https://b.internal.example/", "direct"),
            ("https://not-internal.example/", "tunnel"),
            ("http://10.1.2.3/", "direct"),
            ("http://192.168.1.1/", "forward"),
            // Never through a proxy: this host, and the endpoints of the task.
            ("http://localhost:1/", "direct"),
            ("https://[::1]/", "direct"),
            ("http://169.254.170.2/v2", "direct"),
        ] {
            let route = match route(&config, url).unwrap() {
                Route::Direct => "direct",
                Route::Tunnel(_) => "tunnel",
                Route::Forward(_) => "forward",
            };
            assert_eq!(route, proxy, "{url}");
        }
    }

    #[test]
    fn uses_no_proxy_for_plain_http_to_loopback_only() {
        let config = ClientConfig {
            plain_http: PlainHttp::LoopbackOnly,
            ..config(BOTH, AddressPolicy::Any)
        };
        let name = route(&config, "http://a.example/");
        assert!(matches!(name, Ok(Route::Direct)), "{name:?}");
        let address = route(&config, "http://192.0.2.1/");
        assert!(
            matches!(address, Err(ClientError::PlainHttp(_))),
            "{address:?}"
        );
    }

    #[test]
    fn refuses_a_proxy_where_it_would_resolve_the_name() {
        let config = config(BOTH, AddressPolicy::PublicOnly);
        let proxied = route(&config, "https://a.example/");
        assert!(
            matches!(proxied, Err(ClientError::RefusedProxy(_))),
            "{proxied:?}"
        );
        let direct = route(&config, "https://internal.example/");
        assert!(matches!(direct, Ok(Route::Direct)), "{direct:?}");
    }

    #[test]
    fn checks_literal_addresses_also_through_a_proxy() {
        let config = config(BOTH, AddressPolicy::PublicOrProxied);
        let name = route(&config, "https://a.example/");
        assert!(matches!(name, Ok(Route::Tunnel(_))), "{name:?}");
        for url in [
            "https://192.168.1.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/",
            "https://localhost/",
        ] {
            let refused = route(&config, url);
            assert!(
                matches!(refused, Err(ClientError::RefusedAddress(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn reports_an_invalid_proxy_without_its_password() {
        for value in [
            "socks5://u:secret@proxy:1080",
            "http://u:secret@",
            "not a url",
        ] {
            let config = config(&[("HTTPS_PROXY", value)], AddressPolicy::Any);
            let error = config.proxy.check().unwrap_err().to_string();
            assert!(
                error.contains("HTTPS_PROXY") && !error.contains("secret"),
                "{error}"
            );
        }
        let none = config(&[("HTTPS_PROXY", "")], AddressPolicy::Any);
        assert!(none.proxy.check().is_ok());
    }

    #[test]
    fn ignores_the_header_of_a_cgi_request() {
        let variables = [
            ("HTTP_PROXY", "http://evil.example"),
            ("REQUEST_METHOD", "GET"),
        ];
        let config = config(&variables, AddressPolicy::Any);
        assert!(matches!(
            route(&config, "http://a.example/"),
            Ok(Route::Direct)
        ));
    }

    #[test]
    fn debug_output_has_no_password() {
        let variables = [("HTTPS_PROXY", "http://user:secret@proxy.example:3128")];
        let text = format!("{:?}", config(&variables, AddressPolicy::Any));
        assert!(
            text.contains("proxy.example") && !text.contains("secret"),
            "{text}"
        );
    }
}
