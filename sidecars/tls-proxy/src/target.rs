//! The address of the next hop in the modes `tcp` and `originate`.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::timeout};

/// `tcp://host:port` or `tls://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    /// A name or address, without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The protocol of the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Tcp,
    Tls,
}

/// The text is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParseTargetError;

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, ParseTargetError> {
        let (scheme, address) = text.split_once("://").ok_or(ParseTargetError)?;
        let scheme = match scheme {
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            _ => return Err(ParseTargetError),
        };

        let (host, port) = address.rsplit_once(':').ok_or(ParseTargetError)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(ParseTargetError)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(ParseTargetError)?,
            // An IPv6 address without brackets is ambiguous.
            None if host.contains(':') => return Err(ParseTargetError),
            None => host,
        };

        // The host must not hide a path, user information or a query.
        if host.is_empty() || host.contains(['/', '@', '?', '#', ' ']) {
            return Err(ParseTargetError);
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
        })
    }

    pub(crate) async fn connect(&self, limit: Duration) -> io::Result<TcpStream> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(limit, connecting).await.map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "no connection within `upstream_limits.connect_timeout`",
            )
        })??;
        // Interactive protocols must not wait for Nagle's algorithm.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_host_and_port() {
        let target = Target::parse("tcp://[::1]:5432").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 5432));
        assert_eq!(target.to_string(), "[::1]:5432");
        assert_eq!(Target::parse("tls://db:1").unwrap().scheme, Scheme::Tls);
    }

    #[test]
    fn rejects_everything_else() {
        for text in [
            "db:1",
            "tcp://db",
            "tcp://:1",
            "tcp://db:0",
            "tcp://::1:1",
            "http://db:1",
            "tcp://db:1/x",
            "tcp://a@db:1",
            "tcp://[::1:1",
            "tcp://db:70000",
        ] {
            assert_eq!(Target::parse(text), Err(ParseTargetError), "{text}");
        }
    }
}
