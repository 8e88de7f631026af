//! The settings, with their documentation and defaults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chassis::{
    HumanDuration, Secret,
    http::{Limits, UpstreamLimits, UpstreamProtocol},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CipherSuite, KeyExchangeGroup};
use crate::{Network, allow::Allow, target::Target};

/// The settings of the proxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct Config {
    /// Address that accepts connections: TLS, or plain TCP in mode `originate`.
    pub listen: SocketAddr,
    /// What is forwarded: `http` requests or any `tcp` bytes after TLS is terminated; `originate` accepts plain bytes and sends them as TLS.
    pub mode: Mode,
    /// The next hop: `http://127.0.0.1:8081` in mode `http`, `tcp://127.0.0.1:5432` in mode `tcp`, `tls://db.example:5432` in mode `originate`.
    #[schemars(url)]
    pub upstream: Option<String>,
    /// Protocol of the next hop in mode `http`: `http1`, or `http2` without TLS, which gRPC needs.
    pub upstream_protocol: UpstreamProtocol,
    /// Certificate chain, leaf first: PEM, PEM with `\n` for line ends, base64 of PEM, or JSON that contains these. May include the key.
    pub certificate: Secret,
    /// Private key of the certificate, in the same forms; unset if `certificate` includes it.
    pub key: Secret,
    /// File with the certificate chain, instead of `certificate`.
    pub certificate_file: Option<PathBuf>,
    /// File with the private key; without it `certificate_file` must include the key.
    pub key_file: Option<PathBuf>,
    /// File with an OCSP response in DER, to be stapled to the certificate.
    pub ocsp_file: Option<PathBuf>,
    /// More certificates, chosen by server name: a list of objects with `certificate`, `key`, `certificate_file`, `key_file`, `ocsp_file`, `names`, `alpn`.
    pub certificates: Vec<ExtraCertificate>,
    /// For development: generate a certificate for `localhost` at the start, and write the certificate of its authority to this file.
    pub dev_ca_file: Option<PathBuf>,
    /// How often the files are checked for changes; `0s` disables the check.
    pub reload_interval: HumanDuration,
    /// Minimum TLS version: `1.2` or `1.3`.
    pub min_version: MinVersion,
    /// Cipher suites by IANA name, in order of preference; the default is all that are supported, AES-128 first.
    pub cipher_suites: Vec<CipherSuite>,
    /// Key exchange groups by IANA name, in order of preference; the default is `X25519MLKEM768, x25519, secp256r1, secp384r1`.
    pub key_exchange_groups: Vec<KeyExchangeGroup>,
    /// Protocols offered with ALPN, in order of preference; the default is `h2, http/1.1` in mode `http` and none otherwise.
    pub alpn: Vec<String>,
    /// Secret for session tickets, at least 32 characters; the same in every task, so that a session can be resumed at another task.
    pub ticket_key: Secret,
    /// Authorities of client certificates, as PEM; if set, clients are asked for a certificate (see `client_auth`).
    pub client_ca: Secret,
    /// File with the authorities of client certificates, instead of `client_ca`.
    pub client_ca_file: Option<PathBuf>,
    /// File with the SPIFFE bundle (JSON) of `spiffe_trust_domain`, whose authorities sign client certificates; instead of `client_ca`.
    pub spiffe_bundle_file: Option<PathBuf>,
    /// Trust domain, such as `prod.example.com`, that every client's SPIFFE ID must be in; a certificate with another or no ID is rejected.
    pub spiffe_trust_domain: Option<String>,
    /// File with revocation lists of the authorities, as PEM.
    pub client_crl_file: Option<PathBuf>,
    /// Whether a client without a certificate is rejected (`required`) or accepted without an identity (`optional`).
    pub client_auth: ClientAuth,
    /// Client certificates that are accepted; if empty, all that an authority has signed.
    pub allow: Allow,
    /// File with the authorities of the next hop's certificate in mode `originate`, as PEM; the default is the public ones.
    pub upstream_ca_file: Option<PathBuf>,
    /// Server name in the next hop's certificate in mode `originate`, if it differs from the host of `upstream`.
    pub upstream_server_name: Option<String>,
    /// Accept WebSockets over HTTP/2 (RFC 8441), in mode `http`; the next hop gets them over HTTP/1.1.
    pub websocket_over_http2: bool,
    /// Value of `Strict-Transport-Security` in every response, such as `max-age=31536000; includeSubDomains`.
    pub hsts: Option<String>,
    /// Address of a plain HTTP listener that redirects to `https`.
    pub redirect_listen: Option<SocketAddr>,
    /// Port in the redirect.
    pub redirect_port: u16,
    /// Require a PROXY protocol header (version 1 or 2) before TLS, and trust the address in it.
    pub accept_proxy_protocol: bool,
    /// Networks (`10.0.0.0/16`) or addresses that may send a PROXY protocol header; connections from others are closed. The default is any.
    pub proxy_protocol_sources: Vec<Network>,
    /// Send a PROXY protocol header to the next hop, in mode `tcp`; `v2` includes server name, ALPN and client certificate.
    pub send_proxy_protocol: SendProxyProtocol,
    /// Send the client's whole certificate to the next hop, in mode `http`: `client_cert` as `Client-Cert` (RFC 9440), `xfcc` as `Cert` and `Chain` in `X-Forwarded-Client-Cert`.
    pub forward_client_certificate: ForwardClientCertificate,
    /// Keep incoming `X-Forwarded-For`, `-Proto` and `-Host` and append to them; only behind a proxy that sets them.
    pub trust_forwarded: bool,
    /// Allow an `upstream` that is not on the loopback; traffic to it is not encrypted.
    pub insecure_upstream: bool,
    /// Allow a plain `listen` that is not on the loopback, in mode `originate`.
    pub insecure_listen: bool,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// Maximum number of concurrent TLS handshakes, counted from the client's first message; further ones wait.
    pub max_handshakes: usize,
    /// Maximum number of open connections per client address; 0 is unlimited.
    pub max_connections_per_client: usize,
    /// How long a connection may stay open before it is asked to close; `0s` is unlimited.
    pub max_connection_age: HumanDuration,
    /// During a stop, how long to keep serving while `upstream` still accepts connections; part of `drain_timeout`.
    pub upstream_drain_timeout: HumanDuration,
    /// Share of requests or connections that are logged: 0 is none, 0.01 every hundredth, 1 all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub access_log: f64,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the next hop.
    pub upstream_limits: UpstreamLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            mode: Mode::default(),
            upstream: None,
            upstream_protocol: UpstreamProtocol::default(),
            certificate: Secret::default(),
            key: Secret::default(),
            certificate_file: None,
            key_file: None,
            ocsp_file: None,
            certificates: Vec::new(),
            dev_ca_file: None,
            reload_interval: HumanDuration::from_secs(5),
            min_version: MinVersion::default(),
            cipher_suites: Vec::new(),
            key_exchange_groups: Vec::new(),
            alpn: Vec::new(),
            ticket_key: Secret::default(),
            client_ca: Secret::default(),
            client_ca_file: None,
            spiffe_bundle_file: None,
            spiffe_trust_domain: None,
            client_crl_file: None,
            client_auth: ClientAuth::default(),
            allow: Allow::default(),
            upstream_ca_file: None,
            upstream_server_name: None,
            websocket_over_http2: false,
            hsts: None,
            redirect_listen: None,
            redirect_port: 443,
            accept_proxy_protocol: false,
            proxy_protocol_sources: Vec::new(),
            send_proxy_protocol: SendProxyProtocol::default(),
            forward_client_certificate: ForwardClientCertificate::default(),
            trust_forwarded: false,
            insecure_upstream: false,
            insecure_listen: false,
            handshake_timeout: HumanDuration::from_secs(10),
            max_handshakes: 512,
            max_connections_per_client: 0,
            max_connection_age: HumanDuration::default(),
            upstream_drain_timeout: HumanDuration::default(),
            access_log: 0.0,
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
        }
    }
}

impl Config {
    /// Returns whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        !self.client_ca.is_empty()
            || self.client_ca_file.is_some()
            || self.spiffe_bundle_file.is_some()
    }

    /// Returns whether there is a main certificate; in mode `originate` it is the client certificate.
    pub(crate) fn has_certificate(&self) -> bool {
        !self.certificate.is_empty() || self.certificate_file.is_some()
    }

    /// Returns every file that is reloaded.
    pub(crate) fn files(&self) -> Vec<&Path> {
        let own = [
            &self.certificate_file,
            &self.key_file,
            &self.ocsp_file,
            &self.client_ca_file,
            &self.spiffe_bundle_file,
            &self.client_crl_file,
            &self.upstream_ca_file,
        ];

        let more = self.certificates.iter().flat_map(|extra| {
            [&extra.certificate_file, &extra.key_file, &extra.ocsp_file].into_iter()
        });
        let all = own.into_iter().chain(more);

        all.filter_map(|path| path.as_deref()).collect()
    }

    /// Returns the next hop of a TCP connection; `None` if it is invalid.
    pub(crate) fn target(&self) -> Option<Target> {
        Target::parse(self.upstream.as_deref()?).ok()
    }
}

/// The mode of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// TLS in, HTTP requests out.
    #[default]
    Http,
    /// TLS in, the decrypted bytes out.
    Tcp,
    /// Bytes in, TLS out.
    Originate,
}

/// An additional certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExtraCertificate {
    /// Like the setting of the same name.
    pub certificate: Secret,
    /// Like the setting of the same name.
    pub key: Secret,
    /// Like the setting of the same name.
    pub certificate_file: Option<PathBuf>,
    /// Like the setting of the same name.
    pub key_file: Option<PathBuf>,
    /// Like the setting of the same name.
    pub ocsp_file: Option<PathBuf>,
    /// Server names the certificate is for, `*.example.com` for one label; the default is the names in it.
    pub names: Vec<String>,
    /// Like the setting of the same name, for these names.
    pub alpn: Vec<String>,
}

/// The minimum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// TLS 1.2, for old clients.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The treatment of a client without a certificate, if there are authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// The client is rejected.
    #[default]
    Required,
    /// The client is accepted without an identity.
    Optional,
}

/// The header with the client's whole certificate, sent to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForwardClientCertificate {
    /// None.
    #[default]
    Off,
    /// `Client-Cert` and `Client-Cert-Chain`, of RFC 9440.
    ClientCert,
    /// The elements `Cert` and `Chain` of `X-Forwarded-Client-Cert`, as Envoy writes them.
    Xfcc,
}

/// The PROXY protocol header sent to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendProxyProtocol {
    /// None.
    #[default]
    Off,
    /// A version 1 header, one line of text.
    V1,
    /// A version 2 header, binary, with the properties of the TLS connection.
    V2,
}
