//! Brings up the loopback interface of a new network with rtnetlink (RFC 3549; man 7 rtnetlink).

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use super::METADATA_ADDRESS;

/// Brings up `lo` and adds the address of the metadata endpoint. The kernel adds 127.0.0.1 itself.
pub(super) fn bring_up() -> io::Result<()> {
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;

    // struct ifinfomsg: family, type, index, flags, mask of flags.
    let mut link = vec![0; 4];
    for word in [LO, UP, UP] {
        link.extend(word.to_ne_bytes());
    }

    request(&kernel, NEWLINK, 0, &link)?;
    // struct ifaddrmsg: family, length of the prefix, flags, scope, index; then two attributes.
    let mut address = vec![INET, 32, 0, SCOPE_HOST];
    address.extend(LO.to_ne_bytes());

    // Each attribute: struct rtattr with its length of 8, then the address.
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        address.extend(8_u16.to_ne_bytes());
        address.extend(kind.to_ne_bytes());
        address.extend(METADATA_ADDRESS.ip().octets());
    }

    request(&kernel, NEWADDR, CREATE | EXCL, &address)
}

fn request(kernel: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    // struct nlmsghdr: length, type, flags, sequence number, port id.
    let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACK | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(kernel, &message, SendFlags::empty())?;

    let mut answer = [0; 256];
    let (count, _) = recv(kernel, &mut answer[..], RecvFlags::empty())?;

    // struct nlmsgerr: after the header, 0 or a negated error number.
    let code = answer[..count]
        .get(HEADER..HEADER + 4)
        .and_then(|code| code.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

const HEADER: usize = 16;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const NEWLINK: u16 = 16;
const NEWADDR: u16 = 20;
const INET: u8 = 2;
const SCOPE_HOST: u8 = 254;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// `lo` is the first interface of every network namespace.
const LO: u32 = 1;
const UP: u32 = 1;
