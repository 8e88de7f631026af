//! Reads the headers of an executable: its architecture, and the files that it needs at run time.

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

/// Why a file cannot be the only program of an image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The file is not a 64-bit ELF executable.
    #[error("not a 64-bit Linux program: {0}")]
    NotElf(String),
    /// The file is empty.
    #[error("the file is empty; build the program again")]
    Empty,
    /// The file is a script, which an image runs only with its interpreter.
    #[error(
        "a script for `{0}`, not a program; an image of one program has no interpreter: compile the program, or build the \
         image with a Dockerfile"
    )]
    Script(String),
    /// The file is a program of another system.
    #[error("{0}, not a 64-bit Linux program; build it for x86_64 or aarch64 Linux")]
    OtherSystem(&'static str),
    /// The program is for an architecture that Fargate does not have.
    #[error(
        "built for machine {0} of the ELF specification; Fargate runs x86-64 (62) and AArch64 (183)"
    )]
    UnsupportedArchitecture(u16),
    /// The program needs shared libraries, which an empty image does not have.
    #[error(
        "linked dynamically: it needs {}{}; build it with `RUSTFLAGS=-Ctarget-feature=+crt-static` and an explicit \
         `--target`, or name an image that has these libraries with `--base`",
        loader.as_deref().map(|loader| format!("{loader} and ")).unwrap_or_default(),
        libraries.join(", ")
    )]
    Dynamic {
        /// The program interpreter.
        loader: Option<String>,
        /// The shared libraries it names.
        libraries: Vec<String>,
    },
}

/// The headers of an executable.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) architecture: &'static str,
    /// The program interpreter, which loads the libraries.
    pub(super) loader: Option<String>,
    /// The shared libraries that the program names.
    pub(super) libraries: Vec<String>,
}

/// Reads the headers of an executable.
pub(super) fn read(content: &[u8]) -> Result<Headers, ProgramError> {
    if let Some(error) = recognize(content) {
        return Err(error);
    }
    let not_elf = |error: object::Error| ProgramError::NotElf(error.to_string());
    let header = FileHeader64::<Endianness>::parse(content).map_err(not_elf)?;
    let endian = header.endian().map_err(not_elf)?;

    if !matches!(header.e_type(endian), elf::ET_EXEC | elf::ET_DYN) {
        return Err(ProgramError::NotElf("not an executable".to_owned()));
    }
    let architecture = match header.e_machine(endian) {
        elf::EM_X86_64 => "amd64",
        elf::EM_AARCH64 => "arm64",
        other => return Err(ProgramError::UnsupportedArchitecture(other)),
    };

    let mut loader = None;
    let mut libraries = Vec::new();
    let segments = header.program_headers(endian, content).map_err(not_elf)?;
    for segment in segments {
        if let Some(interpreter) = segment.interpreter(endian, content).map_err(not_elf)? {
            loader = Some(String::from_utf8_lossy(interpreter).into_owned());
        }

        // A static-pie has a dynamic section too, but it names no library.
        let Some(entries) = segment.dynamic(endian, content).map_err(not_elf)? else {
            continue;
        };
        let sections = header.sections(endian, content).map_err(not_elf)?;
        let Some((_, link)) = sections.dynamic(endian, content).map_err(not_elf)? else {
            continue;
        };
        let strings = sections.strings(endian, content, link).map_err(not_elf)?;
        for entry in entries {
            if entry.tag32(endian) == Some(elf::DT_NEEDED) {
                let name = entry.string(endian, strings).map_err(not_elf)?;
                libraries.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }

    Ok(Headers {
        architecture,
        loader,
        libraries,
    })
}

/// Recognizes files that are often mistaken for a Linux program by their first bytes.
fn recognize(content: &[u8]) -> Option<ProgramError> {
    match content {
        [] => Some(ProgramError::Empty),
        [b'#', b'!', rest @ ..] => {
            // The kernel reads at most 256 bytes of this line (execve(2), "Interpreter scripts").
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(&line[..line.len().min(256)]);
            let plain = line.trim().chars().filter(|c| !c.is_control());
            Some(ProgramError::Script(plain.collect()))
        }
        // The fifth byte is the class: 1 for 32 bits (System V ABI, "ELF Header").
        [0x7f, b'E', b'L', b'F', 1, ..] => Some(ProgramError::OtherSystem("a 32-bit ELF file")),
        // Mach-O with 32 and 64 bits in both byte orders, and files for several architectures (mach-o/loader.h, fat.h).
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..]
        | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            Some(ProgramError::OtherSystem("a program for macOS (Mach-O)"))
        }
        [b'M', b'Z', ..] => Some(ProgramError::OtherSystem("a program for Windows (PE)")),
        _ => None,
    }
}
