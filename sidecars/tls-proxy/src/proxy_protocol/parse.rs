//! The parsers of both versions; see [`super::read_header`] for the reader.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::MAX_LINE;

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

#[cfg(test)]
mod tests {
    use ppp::{HeaderResult, PartialResult as _};
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn rejects_addresses_without_a_byte_stream_and_tlvs_of_a_wrong_length() {
        let addresses = [1; 12];
        for (family, block) in [
            // IPv4 and no family, each with an unspecified or unsuitable transport, and an unknown family.
            (0x10, &addresses[..]),
            (0x01, &[]),
            (0x51, &addresses),
            // Too few addresses, and a TLV that is longer than the block.
            (0x11, &addresses[..11]),
            (0x11, &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 0, 9]),
        ] {
            let result = parse_v2(0x21, family, block);
            assert_eq!(result, Err(ParseHeaderError::InvalidV2), "{family:#x}");
        }
    }

    #[test]
    fn local_headers_and_datagrams_have_no_address() {
        // The specification requires that the rest of a LOCAL header is ignored.
        assert_eq!(parse_v2(0x20, 0x11, &[]), Ok(None));
        assert_eq!(parse_v2(0x20, 0x51, &[1; 3]), Ok(None));
        assert_eq!(parse_v2(0x21, 0x12, &[1; 12]), Ok(None));
    }

    proptest! {
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
