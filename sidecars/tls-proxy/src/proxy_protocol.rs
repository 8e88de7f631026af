//! The PROXY protocol, versions 1 and 2: the client's address, sent before the first byte.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>. A listener that expects a header
//! accepts no connection without one: a client that may omit the header could also forge it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// The error of parsing a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseHeaderError {
    /// The header is missing.
    #[error("the connection does not begin with a PROXY protocol header")]
    Missing,
    /// The version 1 header is malformed.
    #[error("the PROXY protocol header of version 1 is malformed")]
    InvalidV1,
    /// The version 2 header is malformed.
    #[error("the PROXY protocol header of version 2 is malformed")]
    InvalidV2,
}

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

/// Reads the header from the stream; returns the client's address, or `None` for `UNKNOWN` and `LOCAL`.
pub(crate) async fn read_header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    // The 12-byte signature of version 2 and the byte after it; every version 1 line is longer.
    let mut head = [0; 13];
    stream.read_exact(&mut head).await?;
    if head.starts_with(SIGNATURE) {
        let mut rest = [0; 3];
        stream.read_exact(&mut rest).await?;
        let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
        // The client has not been verified yet, so the allocation is bounded.
        if length > MAX_BLOCK {
            return Err(invalid_data(ParseHeaderError::InvalidV2));
        }

        let mut block = vec![0; length];
        stream.read_exact(&mut block).await?;
        return parse_v2(head[12], rest[0], &block).map_err(invalid_data);
    }

    if !head.starts_with(b"PROXY ") {
        return Err(invalid_data(ParseHeaderError::Missing));
    }

    let mut line = head.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE {
            return Err(invalid_data(ParseHeaderError::InvalidV1));
        }

        // The bytes after the line belong to TLS and must stay in the socket.
        let mut seen = [0; MAX_LINE];
        let room = MAX_LINE - line.len();
        let count = stream.peek(&mut seen[..room]).await?;
        // The client closed within the header.
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }

        let end = seen[..count].iter().position(|byte| *byte == b'\n');
        let part = end.map_or(count, |end| end + 1);
        stream.read_exact(&mut seen[..part]).await?;
        line.extend_from_slice(&seen[..part]);
        if end.is_some() && !line.ends_with(b"\r\n") {
            return Err(invalid_data(ParseHeaderError::InvalidV1));
        }
    }

    parse_v1(&line).map_err(invalid_data)
}

/// Parses a version 1 header, including its line end.
pub fn parse_v1(line: &[u8]) -> Result<Option<SocketAddr>, ParseHeaderError> {
    let text = str::from_utf8(line).map_err(|_| ParseHeaderError::InvalidV1)?;
    let text = text
        .strip_suffix("\r\n")
        .ok_or(ParseHeaderError::InvalidV1)?;
    if line.len() > MAX_LINE {
        return Err(ParseHeaderError::InvalidV1);
    }

    let mut fields = text.split(' ');
    if fields.next() != Some("PROXY") {
        return Err(ParseHeaderError::Missing);
    }

    let family = fields.next();
    if family == Some("UNKNOWN") {
        return Ok(None);
    }

    let (Some(source), Some(target), Some(port), Some(target_port), None) = (
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
        fields.next(),
    ) else {
        return Err(ParseHeaderError::InvalidV1);
    };

    let ip = |text: &str| -> Result<IpAddr, ParseHeaderError> {
        match family {
            Some("TCP4") => text.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
            Some("TCP6") => text.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            _ => None,
        }
        .ok_or(ParseHeaderError::InvalidV1)
    };

    let number = |text: &str| -> Result<u16, ParseHeaderError> {
        // `parse` accepts a sign and leading zeros, which the specification does not.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        text.parse()
            .ok()
            .filter(|_| is_plain)
            .ok_or(ParseHeaderError::InvalidV1)
    };

    // The target is not used, but must be valid.
    ip(target)?;
    number(target_port)?;
    Ok(Some(SocketAddr::new(ip(source)?, number(port)?)))
}

/// Parses a version 2 header: the byte of version and command, the byte of family, and the rest.
pub fn parse_v2(
    version_and_command: u8,
    family: u8,
    block: &[u8],
) -> Result<Option<SocketAddr>, ParseHeaderError> {
    if version_and_command >> 4 != 2 {
        return Err(ParseHeaderError::InvalidV2);
    }
    match version_and_command & 0xf {
        // LOCAL: a health check by the sender, without a client.
        0 => return Ok(None),
        1 => {}
        _ => return Err(ParseHeaderError::InvalidV2),
    }

    // The low half is the transport: over TCP only STREAM has meaningful addresses.
    let (source, tlvs): (Option<SocketAddr>, &[u8]) = match (family >> 4, family & 0xf) {
        (0, 0) | (3, 0..=2) | (0..=2, 2) => (None, &[]),
        (1, 1) => {
            let (addresses, tlvs) = block
                .split_first_chunk::<12>()
                .ok_or(ParseHeaderError::InvalidV2)?;
            let [a, b, c, d, .., high, low, _, _] = *addresses;
            let ip = Ipv4Addr::new(a, b, c, d);
            let port = u16::from_be_bytes([high, low]);
            (Some((ip, port).into()), tlvs)
        }
        (2, 1) => {
            let (addresses, tlvs) = block
                .split_first_chunk::<36>()
                .ok_or(ParseHeaderError::InvalidV2)?;
            let mut ip = [0; 16];
            ip.copy_from_slice(&addresses[..16]);
            let port = u16::from_be_bytes([addresses[32], addresses[33]]);
            (Some((Ipv6Addr::from(ip), port).into()), tlvs)
        }
        _ => return Err(ParseHeaderError::InvalidV2),
    };

    // The contents of TLVs are ignored, but their lengths must add up.
    let mut rest = tlvs;
    while !rest.is_empty() {
        let ([_, high, low], after) = rest
            .split_first_chunk::<3>()
            .ok_or(ParseHeaderError::InvalidV2)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = after.get(length..).ok_or(ParseHeaderError::InvalidV2)?;
    }

    Ok(source)
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

fn invalid_data(header: ParseHeaderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, header)
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// 107 bytes, from the specification.
const MAX_LINE: usize = 107;
const MAX_BLOCK: usize = 4096;
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
    use ppp::{HeaderResult, PartialResult as _, v1 as other_v1, v2 as other_v2};
    use proptest::prelude::*;

    use super::*;

    fn block(header: &[u8]) -> Result<Option<SocketAddr>, ParseHeaderError> {
        let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
        parse_v2(header[12], header[13], &header[16..16 + length])
    }

    #[test]
    fn parses_the_examples_of_the_specification() {
        let line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
        let source: SocketAddr = "192.168.0.1:56324".parse().unwrap();
        assert_eq!(parse_v1(line), Ok(Some(source)));
        assert_eq!(parse_v1(b"PROXY UNKNOWN\r\n"), Ok(None));
        let ffff = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
        assert_eq!(parse_v1(ffff), Ok(None));
    }

    #[test]
    fn rejects_incomplete_lines_and_addresses_of_another_family() {
        for line in [
            // No carriage return, a missing and an extra field, the wrong family, invalid numbers, two spaces,
            // an unknown transport, and no header at all.
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
            "PROXY TCP4 ::1 ::1 1 1\r\n",
            "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
            "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert!(parse_v1(line.as_bytes()).is_err(), "{line:?}");
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

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), 1..u16::MAX).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    fn plain(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(address.ip().to_canonical(), address.port())
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

        #[test]
        fn accepted_lines_are_accepted_by_another_parser_too(line in "PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{1,8}){0,2}( [0-9]{1,5}){0,3}\r\n") {
            if let Ok(Some(_)) = parse_v1(line.as_bytes()) {
                let other = HeaderResult::parse(line.as_bytes());
                prop_assert!(!other.is_incomplete());
                prop_assert!(matches!(other, HeaderResult::V1(Ok(_))), "{:?}", line);
            }
        }

        #[test]
        fn parsing_a_v2_header_never_panics(first in any::<u8>(), family in any::<u8>(), block in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_v2(first, family, &block);
        }

        #[test]
        fn parsing_a_v1_header_never_panics(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse_v1(&line);
        }
    }
}
