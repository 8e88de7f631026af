//! Generates a certificate for `localhost`, for development.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use chassis::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// Generates an authority, writes its certificate to the file, and returns a certificate it signed for
/// `localhost`, 127.0.0.1 and ::1, with its key. The authority's key is not stored anywhere.
pub(crate) fn certificate(ca_file: &Path) -> Result<Secret, String> {
    let (ca, pair) = generate().map_err(|error| format!("cannot be generated: {error}"))?;
    fs::write(ca_file, ca).map_err(|error| format!("cannot be written: {error}"))?;
    Ok(Secret::new(pair))
}

fn generate() -> Result<(String, String), rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new([])?;
    ca.distinguished_name
        .push(DnType::CommonName, "tls-proxy, for development");
    // No intermediate authorities below this one.
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];

    let ca_certificate = ca.self_signed(&ca_key)?.pem();
    let key = KeyPair::generate()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut leaf = CertificateParams::new(["localhost".to_owned()])?;

    leaf.distinguished_name
        .push(DnType::CommonName, "localhost");
    for ip in [
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16]),
    ] {
        leaf.subject_alt_names.push(SanType::IpAddress(ip));
    }

    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Clients with a slow clock must accept the certificate too.
    leaf.not_before = epoch + now.clone().unwrap_or_default().saturating_sub(CLOCK_SKEW);
    leaf.not_after = epoch + now.unwrap_or_default() + VALIDITY;
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?.pem();

    Ok((ca_certificate, certificate + &key.serialize_pem()))
}

/// Well below the maximum that browsers accept; a new certificate is generated at every start.
const VALIDITY: Duration = Duration::from_hours(24 * 90);
const CLOCK_SKEW: Duration = Duration::from_hours(1);
