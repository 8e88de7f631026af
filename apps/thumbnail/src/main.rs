//! `thumbnail`: makes a picture of a video.

fn main() -> std::process::ExitCode {
    chassis::main::<thumbnail::Thumbnail>()
}
