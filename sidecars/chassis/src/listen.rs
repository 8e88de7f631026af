//! Listening on a configured address.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// The error of [`bind`].
#[derive(Debug, thiserror::Error)]
#[error("cannot bind `{setting}` to {address}")]
pub struct BindError {
    setting: String,
    address: SocketAddr,
    source: io::Error,
}

/// Listens on the address of a setting, which the error names.
///
/// Does not wait, so a component can call it before it takes its latches and is still never ready
/// too early. Must be called within a tokio runtime.
pub fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|source| BindError {
        setting: setting.to_owned(),
        address,
        source,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Otherwise a restart would fail while connections of the last process are in TIME_WAIT (socket(7)).
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// The number of connections that may wait to be accepted; the kernel's default of
/// `net.core.somaxconn`, which bounds it, since Linux 5.4 (listen(2)).
const ACCEPT_QUEUE: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_the_setting_of_an_address_in_use() {
        let first = bind("listen", ([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("redirect_listen", address).unwrap_err();
        let message = crate::format_chain(&error);
        assert!(
            message.starts_with(&format!("cannot bind `redirect_listen` to {address}: ")),
            "{message}"
        );
    }
}
