//! The encoders of both versions.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::SIGNATURE;

/// The properties of TLS in a version 2 header (`PP2_TYPE_SSL`, `PP2_TYPE_ALPN`, `PP2_TYPE_AUTHORITY`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsInfo<'a> {
    pub(crate) alpn: Option<&'a [u8]>,
    pub(crate) server_name: Option<&'a str>,
    pub(crate) version: &'a str,
    pub(crate) cipher: &'a str,
    /// Whether the client sent a certificate that was verified.
    pub(crate) is_verified: bool,
    /// The common name in the certificate.
    pub(crate) common_name: Option<&'a str>,
}

/// Encodes a version 1 header.
pub(crate) fn encode_v1(source: SocketAddr, target: SocketAddr) -> Vec<u8> {
    let (source_ip, target_ip) = same_family(source.ip(), target.ip());
    let family = if source_ip.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {source_ip} {target_ip} {} {}\r\n",
        source.port(),
        target.port()
    )
    .into_bytes()
}

/// Encodes a version 2 header with the properties of TLS.
pub(crate) fn encode_v2(source: SocketAddr, target: SocketAddr, tls: &TlsInfo<'_>) -> Vec<u8> {
    let mut block = Vec::new();
    let family = match same_family(source.ip(), target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            block.extend(source.octets());
            block.extend(target.octets());
            0x11
        }
        (source, target) => {
            block.extend(as_v6(source).octets());
            block.extend(as_v6(target).octets());
            0x21
        }
    };

    block.extend(source.port().to_be_bytes());
    block.extend(target.port().to_be_bytes());
    if let Some(alpn) = tls.alpn {
        tlv(&mut block, ALPN, alpn);
    }

    if let Some(name) = tls.server_name {
        tlv(&mut block, AUTHORITY, name.as_bytes());
    }

    let flags = CLIENT_SSL | if tls.is_verified { CLIENT_CERT } else { 0 };
    // The field `verify` is zero if a certificate was verified, and nonzero otherwise.
    let unverified = u32::from(!tls.is_verified);
    // `PP2_TYPE_SSL`: flags, the result of the verification, then TLVs.
    let mut ssl = vec![flags];

    ssl.extend(unverified.to_be_bytes());
    tlv(&mut ssl, SSL_VERSION, tls.version.as_bytes());
    if let Some(name) = tls.common_name {
        tlv(&mut ssl, SSL_CN, name.as_bytes());
    }

    tlv(&mut ssl, SSL_CIPHER, tls.cipher.as_bytes());
    tlv(&mut block, SSL, &ssl);
    let mut header = SIGNATURE.to_vec();
    // Version 2, command PROXY.
    header.push(0x21);
    header.push(family);
    header.extend((block.len() as u16).to_be_bytes());
    header.extend(block);

    header
}

fn tlv(into: &mut Vec<u8>, kind: u8, value: &[u8]) {
    // Real names are far shorter; a truncated one would be wrong, so an oversized one is omitted.
    if let Ok(length) = u16::try_from(value.len())
        && value.len() <= MAX_VALUE
    {
        into.push(kind);
        into.extend(length.to_be_bytes());
        into.extend(value);
    }
}

/// Returns both addresses in one family: IPv4 if possible, otherwise IPv6.
fn same_family(source: IpAddr, target: IpAddr) -> (IpAddr, IpAddr) {
    let (source, target) = (source.to_canonical(), target.to_canonical());
    if source.is_ipv4() == target.is_ipv4() {
        (source, target)
    } else {
        (as_v6(source).into(), as_v6(target).into())
    }
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

const MAX_VALUE: usize = 1024;
const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT: u8 = 0x02;

#[cfg(test)]
mod tests {
    use ppp::{v1 as other_v1, v2 as other_v2};
    use proptest::prelude::*;

    use super::*;
    use crate::proxy_protocol::{ParseHeaderError, parse_v1, parse_v2};

    #[test]
    fn another_parser_finds_the_tls_properties() {
        let header = encode_v2(
            "203.0.113.9:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
            &tls_info(),
        );
        let read = other_v2::Header::try_from(&header[..]).unwrap();
        let found: Vec<(u8, Vec<u8>)> = read
            .tlvs()
            .map(|tlv| tlv.unwrap())
            .map(|tlv| (tlv.kind, tlv.value.to_vec()))
            .collect();

        assert_eq!(found[0], (ALPN, b"h2".to_vec()));
        assert_eq!(found[1], (AUTHORITY, b"coins.example".to_vec()));
        assert_eq!(found[2].0, SSL);
        assert_eq!(&found[2].1[..5], [CLIENT_SSL | CLIENT_CERT, 0, 0, 0, 0]);
        let text = String::from_utf8_lossy(&found[2].1);
        assert!(text.contains("app") && text.contains("TLSv1.3"), "{text:?}");
    }

    proptest! {
        #[test]
        fn encoded_headers_are_parsed_by_us_and_another_parser(source in address(), target in address()) {
            let line = encode_v1(source, target);
            let read = parse_v1(&line).unwrap().unwrap();
            prop_assert_eq!(plain(read), plain(source));
            prop_assert!(other_v1::Header::try_from(&line[..]).is_ok());
            let header = encode_v2(source, target, &tls_info());
            prop_assert_eq!(plain(block(&header).unwrap().unwrap()), plain(source));
            prop_assert!(other_v2::Header::try_from(&header[..]).is_ok());
        }
    }

    fn tls_info() -> TlsInfo<'static> {
        TlsInfo {
            alpn: Some(b"h2"),
            server_name: Some("coins.example"),
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            is_verified: true,
            common_name: Some("app"),
        }
    }

    fn block(header: &[u8]) -> Result<Option<SocketAddr>, ParseHeaderError> {
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        parse_v2(header[12], header[13], &header[16..16 + length])
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), 1..u16::MAX).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    fn plain(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }
}
