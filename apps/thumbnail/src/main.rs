//! The binary; all logic is in the library.

fn main() -> std::process::ExitCode {
    thumbnail::main()
}
