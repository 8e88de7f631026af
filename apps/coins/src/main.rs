//! The coin counter as a process; everything is in the library.

fn main() -> std::process::ExitCode {
    chassis::main::<coins::Coins>()
}
