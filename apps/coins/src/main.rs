//! The coins program.

fn main() -> std::process::ExitCode {
    chassis::main::<coins::Coins>()
}
