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
