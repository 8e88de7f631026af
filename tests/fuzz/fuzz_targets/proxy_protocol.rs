//! Any bytes as a PROXY protocol header; another parser accepts every header that we accept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ppp::{HeaderResult, PartialResult as _};
use tls_proxy::{parse_v1, parse_v2};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(_)) = parse_v1(bytes) {
        let other = HeaderResult::parse(bytes);
        assert!(!other.is_incomplete() && matches!(other, HeaderResult::V1(Ok(_))), "{bytes:?}");
    }
    // The rest of a version 2 header, completed with signature and length for the other parser.
    let [command, family, block @ ..] = bytes else { return };
    if let (Ok(Some(_)), Ok(length)) = (parse_v2(*command, *family, block), u16::try_from(block.len())) {
        let mut whole = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        whole.extend([*command, *family]);
        whole.extend(length.to_be_bytes());
        whole.extend(block);
        assert!(matches!(HeaderResult::parse(&whole), HeaderResult::V2(Ok(_))), "{whole:?}");
    }
});
