//! The PROXY protocol, versions 1 and 2: the client's address, sent before the first byte.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>. A listener that expects a header
//! accepts no connection without one: a client that may omit the header could also forge it.
//!
//! The parsers are not those of the crate `ppp`, which only the tests use: it accepts a sign before a port,
//! addresses of another transport than a byte stream and TLVs whose lengths do not add up, and it rejects
//! the `LOCAL` command with an address block that has to be ignored.

mod encode;
mod parse;
mod read;

pub(crate) use encode::{TlsInfo, encode_v1, encode_v2};
pub use parse::{ParseHeaderError, parse_v1, parse_v2};
pub(crate) use read::read_header;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// 107 bytes, from the specification.
const MAX_LINE: usize = 107;
