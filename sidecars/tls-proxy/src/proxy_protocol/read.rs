//! Reading a header from a connection, and not a byte more.

use std::{io, net::SocketAddr};

use tokio::{io::AsyncReadExt, net::TcpStream};

use super::{MAX_LINE, ParseHeaderError, SIGNATURE, parse_v1, parse_v2};

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

fn invalid_data(header: ParseHeaderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, header)
}

const MAX_BLOCK: usize = 4096;
