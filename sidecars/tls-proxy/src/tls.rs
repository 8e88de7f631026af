//! TLS termination: one configuration per certificate, chosen by server name; handshakes with limits;
//! all certificates replaced together when files change.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use ::aws_lc_rs::digest::{Context, SHA256};
use chassis::{HumanDuration, telemetry};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};
use rustls::{
    CertificateError as TlsCertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName,
    Error as TlsError, HandshakeKind, InvalidMessage, ProtocolVersion, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{
        Acceptor, ProducesTickets, ServerConnection, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{
    Config, MinVersion,
    certificate::{CertificateError, ClientAuthorities, LoadedCertificate, Material, SettingError},
    config::{ClientAuth, Mode},
    identity::{Allow, Identity},
    proxy_protocol,
    tickets::SharedTickets,
};

/// Returns the crypto provider, which is passed to rustls explicitly and not installed process-wide.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let suites = &mut provider.cipher_suites;
    // AES-128 is the fastest on CPUs with AES instructions, and 128 bits are enough.
    suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 3,
        _ => 4,
    });

    Arc::new(provider)
}

/// Returns the supported versions from the minimum on.
pub(crate) fn versions(min: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        MinVersion::Tls12 => &FROM_1_2,
        MinVersion::Tls13 => &FROM_1_3,
    }
}

static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The certificates in use, with everything derived from them.
pub(crate) struct CertificateSet {
    default: ServerConfigs,
    exact: HashMap<String, ServerConfigs>,
    /// By the name after `*.`.
    wildcards: HashMap<String, ServerConfigs>,
    ticketer: Arc<dyn ProducesTickets>,
    /// Of all files and secrets; `clients` only of the rules for clients.
    fingerprint: [u8; 32],
    clients: [u8; 32],
    /// First name and expiry of each certificate.
    pub(crate) expirations: Vec<(String, i64)>,
}

/// The configurations of one certificate, with two preferences of cipher suites.
#[derive(Clone)]
struct ServerConfigs {
    /// Server preference: AES-128 first.
    server_order: Arc<ServerConfig>,
    /// Client preference, for clients without AES instructions, which offer ChaCha20 first.
    client_order: Arc<ServerConfig>,
}

impl ServerConfigs {
    fn new(mut config: ServerConfig) -> Self {
        let client_order = Arc::new(config.clone());
        config.ignore_client_order = true;
        Self {
            server_order: config.into(),
            client_order,
        }
    }

    fn for_suites(&self, offered: &[CipherSuite]) -> &Arc<ServerConfig> {
        // Clients may offer a GREASE value first (RFC 8701).
        let first = offered.iter().find(|suite| suite.as_str().is_some());
        if first.is_some_and(|suite| CHACHA20.contains(suite)) {
            &self.client_order
        } else {
            &self.server_order
        }
    }
}

impl CertificateSet {
    /// Builds all configurations; the tickets of `before` stay valid if the rules for clients are the same.
    pub(crate) fn new(
        config: &Config,
        material: &Material,
        before: Option<&Self>,
    ) -> Result<Self, Vec<SettingError>> {
        let provider = provider();
        let unusable = |setting: &str| {
            let setting = setting.to_owned();
            move |error: TlsError| {
                let error = CertificateError::Unusable(error.to_string());
                vec![SettingError::new(setting, error)]
            }
        };

        // Seeding the random number generator may be slow; the first client must not wait for it.
        let random = provider.secure_random.fill(&mut [0; 32]);
        random.map_err(|error| unusable("certificate")(error.into()))?;
        let clients = fingerprint_of_clients(config, material.clients.as_ref());
        let same = before.filter(|before| before.clients == clients);
        // Without `ticket_key`, tickets are valid in this process only and end with the rules for clients.
        let ticketer: Arc<dyn ProducesTickets> = if !config.ticket_key.is_empty() {
            Arc::new(SharedTickets::new(&config.ticket_key, clients))
        } else if let Some(before) = same {
            Arc::clone(&before.ticketer)
        } else {
            aws_lc_rs::Ticketer::new().map_err(unusable("certificate"))?
        };

        let verifier = material
            .clients
            .as_ref()
            .map(|clients| build_verifier(config, clients, &provider))
            .transpose()?;
        let mut all_configs = Vec::with_capacity(material.certificates.len());

        for certificate in &material.certificates {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions(config.min_version))
                .map_err(unusable("min_version"))?;
            let builder = match &verifier {
                Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
                None => builder.with_no_client_auth(),
            };

            let certified = SingleCertAndKey::from(Arc::clone(&certificate.certified));
            let mut server_config = builder.with_cert_resolver(Arc::new(certified));
            server_config.alpn_protocols = match config.mode {
                _ if !certificate.alpn.is_empty() => certificate.alpn.clone(),
                Mode::Http => vec![H2.to_vec(), b"http/1.1".to_vec()],
                // The protocol inside TLS is unknown.
                Mode::Tcp | Mode::Originate => Vec::new(),
            };

            // Without a ticketer TLS 1.2 clients could not resume sessions.
            server_config.ticketer = Arc::clone(&ticketer);
            // A ticket should be used once (RFC 8446 appendix C.4); a resumed session gets a new one.
            server_config.send_tls13_tickets = 1;
            all_configs.push(ServerConfigs::new(server_config));
        }

        let Some(default) = all_configs.first().cloned() else {
            let error = CertificateError::NoCertificate;
            return Err(vec![SettingError::new("certificate", error)]);
        };

        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        // In reverse, so that the additional certificates win over the default one, which is first: they are
        // more specific.
        for (certificate, configs) in material.certificates.iter().zip(&all_configs).rev() {
            for name in &certificate.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(name.to_owned())
                    .or_insert_with(|| configs.clone());
            }
        }

        Ok(Self {
            default,
            exact,
            wildcards,
            ticketer,
            fingerprint: fingerprint(material, clients),
            clients,
            expirations: material
                .certificates
                .iter()
                .filter_map(expiration)
                .collect(),
        })
    }

    /// Returns the configurations for a server name.
    fn choose(&self, name: Option<&str>) -> &ServerConfigs {
        // With a single name the certificate is the default in any case.
        if self.exact.len() + self.wildcards.len() < 2 {
            return &self.default;
        }
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.default;
        };
        let parent = || self.wildcards.get(name.split_once('.')?.1);
        let found = self.exact.get(&name).or_else(parent);
        found.unwrap_or(&self.default)
    }
}

impl fmt::Debug for CertificateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSet")
            .field("expirations", &self.expirations)
            .finish_non_exhaustive()
    }
}

fn expiration(certificate: &LoadedCertificate) -> Option<(String, i64)> {
    let name = certificate
        .names
        .first()
        .map_or("(no name)", String::as_str);
    Some((name.to_owned(), certificate.not_after?))
}

fn fingerprint(material: &Material, clients: [u8; 32]) -> [u8; 32] {
    let mut sum = Context::new(&SHA256);
    sum.update(&clients);
    for certificate in &material.certificates {
        for der in &certificate.certified.cert {
            sum.update(der);
        }
        sum.update(&certificate.secret);
        sum.update(certificate.certified.ocsp.as_deref().unwrap_or_default());
    }
    finish(sum)
}

fn fingerprint_of_clients(config: &Config, clients: Option<&ClientAuthorities>) -> [u8; 32] {
    let mut sum = Context::new(&SHA256);
    if let Some(clients) = clients {
        sum.update(format!("{:?} {:?}", config.client_auth, config.allow).as_bytes());
        for authority in &clients.authorities {
            sum.update(authority);
        }
        for list in &clients.revocation_lists {
            sum.update(list);
        }
    }
    finish(sum)
}

fn finish(sum: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(sum.finish().as_ref());
    bytes
}

fn build_verifier(
    config: &Config,
    clients: &ClientAuthorities,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<AllowListVerifier>, Vec<SettingError>> {
    let roots = Arc::clone(&clients.roots);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if !clients.revocation_lists.is_empty() {
        // A certificate is revoked only if a list names it; authorities without a list are accepted.
        builder = builder
            .with_crls(clients.revocation_lists.iter().cloned())
            .allow_unknown_revocation_status();
    }

    if config.client_auth == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }

    let inner = builder.build().map_err(|error| {
        let error = CertificateError::Unusable(error.to_string());
        vec![SettingError::new(clients.setting, error)]
    })?;
    let allow = config.allow.clone();

    Ok(Arc::new(AllowListVerifier { inner, allow }))
}

/// Verifies client certificates: signed by an authority and in the allow list.
#[derive(Debug)]
struct AllowListVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    allow: Allow,
}

impl ClientCertVerifier for AllowListVerifier {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let verified = self.inner.verify_client_cert(certificate, chain, now)?;
        let is_allowed =
            Identity::from_certificate(certificate).is_some_and(|owner| self.allow.admits(&owner));
        if is_allowed {
            Ok(verified)
        } else {
            Err(TlsCertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Accepts TLS connections.
#[derive(Clone)]
pub(crate) struct TlsAcceptor(Arc<Shared>);

struct Shared {
    certificates: RwLock<Arc<CertificateSet>>,
    handshake_timeout: HumanDuration,
    handshakes: Semaphore,
    accept_proxy_protocol: bool,
    max_per_client: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
    connections: AtomicUsize,
    counters: Counters,
}

struct Counters {
    handshakes: Counter<u64>,
    rejected: Counter<u64>,
    expiry: Gauge<f64>,
    connections: Gauge<f64>,
    bytes: Counter<u64>,
}

/// A connection with a completed handshake.
pub(crate) struct Accepted {
    /// Boxed, because it is large and every future that holds it would be as large.
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    /// The client's address, from a PROXY protocol header or the connection.
    pub(crate) address: SocketAddr,
    /// The address the client connected to.
    pub(crate) local: SocketAddr,
    pub(crate) identity: Option<Identity>,
    pub(crate) guard: ConnectionGuard,
}

/// Counts a connection for its client until dropped.
pub(crate) struct ConnectionGuard {
    shared: Arc<Shared>,
    client: IpAddr,
}

impl TlsAcceptor {
    pub(crate) fn new(certificates: CertificateSet, config: &Config) -> Self {
        let counters = Counters {
            handshakes: telemetry::counter(
                "tls_proxy.handshakes",
                "{handshake}",
                "TLS handshakes, by outcome.",
            ),
            rejected: telemetry::counter(
                "tls_proxy.refused",
                "{connection}",
                "Connections rejected before they are served, by reason.",
            ),
            expiry: telemetry::gauge(
                "tls_proxy.certificate.expiry",
                "s",
                "Expiry of each certificate, in seconds since 1970.",
            ),
            bytes: bytes_counter(),
            connections: telemetry::gauge(
                "tls_proxy.connections",
                "{connection}",
                "Open connections, including those in a handshake.",
            ),
        };

        let shared = Shared {
            certificates: RwLock::new(Arc::new(certificates)),
            handshake_timeout: config.handshake_timeout,
            handshakes: Semaphore::new(config.max_handshakes.clamp(1, Semaphore::MAX_PERMITS)),
            accept_proxy_protocol: config.accept_proxy_protocol,
            max_per_client: config.max_connections_per_client,
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            counters,
        };

        let acceptor = Self(Arc::new(shared));
        acceptor.record_expirations();
        acceptor
    }

    /// Returns the counter of bytes.
    pub(crate) fn bytes(&self) -> Counter<u64> {
        self.0.counters.bytes.clone()
    }

    /// Returns the certificates in use.
    pub(crate) fn current(&self) -> Arc<CertificateSet> {
        Arc::clone(
            &self
                .0
                .certificates
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Uses these certificates for new connections; returns whether they differ from the current ones.
    pub(crate) fn replace(&self, certificates: CertificateSet) -> bool {
        // A touched file is not a new certificate: tickets and metrics stay as they are.
        if self.current().fingerprint == certificates.fingerprint {
            return false;
        }
        *self
            .0
            .certificates
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(certificates);
        self.record_expirations();
        true
    }

    fn record_expirations(&self) {
        for (name, end) in &self.current().expirations {
            let attributes = [KeyValue::new("name", name.clone())];
            self.0.counters.expiry.record(*end as f64, &attributes);
        }
    }

    /// Performs the handshake within `handshake_timeout`.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<Accepted> {
        let limit = self.0.handshake_timeout;
        let accepting = timeout(limit.duration(), self.handshake(stream, address));
        let accepted = accepting
            .await
            .unwrap_or_else(|_| Err(timeout_error(limit)));
        let mut attributes = vec![KeyValue::new(
            "outcome",
            accepted.as_ref().map_or_else(outcome, |_| "completed"),
        )];

        if let Ok(accepted) = &accepted {
            let tls = accepted.stream.get_ref().1;
            attributes.push(KeyValue::new("version", version(tls)));
            attributes.push(KeyValue::new("resumed", is_resumed(tls)));
        }

        self.0.counters.handshakes.add(1, &attributes);
        accepted.map_err(explain)
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
        mut address: SocketAddr,
    ) -> io::Result<Accepted> {
        let local = stream.local_addr()?;
        if self.0.accept_proxy_protocol {
            let header = proxy_protocol::read_header(&mut stream).await;
            let header = header.inspect_err(|_| self.record_rejected("proxy_protocol"))?;
            address = header.unwrap_or(address);
        }

        // After the PROXY protocol header, so that the real client is counted and not the load balancer.
        let guard = self.register(address.ip().to_canonical())?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;

        // Only after the ClientHello, so that silent clients do not use up the permits.
        let _permit = self
            .0
            .handshakes
            .acquire()
            .await
            .map_err(io::Error::other)?;
        let certificates = self.current();
        let hello = start.client_hello();
        let configs = certificates.choose(hello.server_name());
        let config = Arc::clone(configs.for_suites(hello.cipher_suites()));
        let stream = Box::new(start.into_stream(config).await?);
        let tls = stream.get_ref().1;
        let identity = tls
            .peer_certificates()
            .and_then(<[_]>::first)
            .and_then(Identity::from_certificate);

        // rustls does not verify the certificate of a resumed session again, so its expiry is checked here.
        if let Some(identity) = &identity
            && is_resumed(tls)
            && identity.not_after < UnixTime::now().as_secs() as i64
        {
            self.record_rejected("client_expired");
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the client certificate expired after the session began",
            ));
        }

        Ok(Accepted {
            stream,
            address,
            local,
            identity,
            guard,
        })
    }

    fn record_rejected(&self, reason: &'static str) {
        let attributes = [KeyValue::new("reason", reason)];
        self.0.counters.rejected.add(1, &attributes);
    }

    fn register(&self, client: IpAddr) -> io::Result<ConnectionGuard> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if self.0.max_per_client > 0 && *count >= self.0.max_per_client {
            drop(open);
            self.record_rejected("per_client");
            return Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("`max_connections_per_client` reached by {client}"),
            ));
        }

        *count += 1;
        drop(open);
        let connections = self.0.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.counters.connections.record(connections as f64, &[]);

        Ok(ConnectionGuard {
            shared: Arc::clone(&self.0),
            client,
        })
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let before = self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        let connections = before.saturating_sub(1) as f64;
        self.shared.counters.connections.record(connections, &[]);

        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);

        if let Some(count) = open.get_mut(&self.client) {
            // Entries without connections are removed, so that the map is bounded by the open connections.
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
impl ConnectionGuard {
    /// Creates a guard without a running proxy.
    pub(crate) fn for_test() -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".into()]);
        let rcgen::CertifiedKey { cert, signing_key } = certified.unwrap();
        let config = Config {
            certificate: chassis::Secret::new(cert.pem() + &signing_key.serialize_pem()),
            ..Config::default()
        };
        let material = Material::load(&config, &provider()).unwrap();
        let certificates = CertificateSet::new(&config, &material, None).unwrap();
        let acceptor = TlsAcceptor::new(certificates, &config);
        acceptor.register([127, 0, 0, 1].into()).unwrap()
    }
}

/// Creates the counter of bytes.
pub(crate) fn bytes_counter() -> Counter<u64> {
    let description = "Decrypted bytes of closed connections, by direction.";
    telemetry::counter("tls_proxy.bytes", "By", description)
}

/// Returns the TLS version in the notation of OpenSSL: `TLSv1.3`.
pub(crate) fn version(tls: &ServerConnection) -> &'static str {
    match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    }
}

fn is_resumed(tls: &ServerConnection) -> bool {
    tls.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn outcome(error: &io::Error) -> &'static str {
    match error.kind() {
        // The kinds that `accept` and `handshake` themselves create come first.
        io::ErrorKind::TimedOut => "timed_out",
        io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied => "refused",
        _ if is_cleartext(error) => "cleartext",
        _ => "failed",
    }
}

fn explain(error: io::Error) -> io::Error {
    if is_cleartext(&error) {
        io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS")
    } else {
        error
    }
}

fn is_cleartext(error: &io::Error) -> bool {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<TlsError>());
    // A record with an unknown content type, such as the `G` of `GET`.
    matches!(
        cause,
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType))
    )
}

fn timeout_error(limit: HumanDuration) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no handshake within {limit}"),
    )
}

const CHACHA20: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
pub(crate) const H2: &[u8] = b"h2";
