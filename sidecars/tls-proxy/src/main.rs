//! The `tls-proxy` process.

fn main() -> std::process::ExitCode {
    chassis::main::<tls_proxy::TlsProxy>()
}
