//! The image of one static program: `FROM scratch`, non-root, with nothing else in it.
//!
//! ```text
//! program ─▶ Program::read (architecture, linkage) ─┐
//! ports, folders, labels, licences ─────────────────┴─▶ ProgramImage::build ─▶ layout::Image
//! ```

use std::collections::BTreeMap;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use serde_json::json;

use crate::layout::{
    Compression, ContainerConfig, History, Image, ImageConfig, LayerBuilder, LayoutError, Owner,
};

/// The directory for Unix sockets between the containers of a task.
///
/// Declared as a volume: on Fargate an empty volume takes content, owner and mode of the image's directory only
/// if the image declares the same path as a volume (ECS developer guide, bind mounts).
pub const SOCKET_FOLDER: &str = "/run/assemble";

/// A program that can be the only file of an image.
#[derive(Clone, Debug)]
pub struct Program {
    content: Vec<u8>,
    architecture: &'static str,
}

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

impl Program {
    /// Reads an executable and checks that it needs no other file.
    pub fn read(content: Vec<u8>) -> Result<Self, ProgramError> {
        let architecture = check_elf(&content)?;
        Ok(Self {
            content,
            architecture,
        })
    }

    /// Returns `amd64` or `arm64`.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }
}

/// A writable directory of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritableFolder {
    /// The absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
}

/// Everything that the image of a program contains.
#[derive(Clone, Debug)]
pub struct ProgramImage {
    /// Name of the program: the file in `/`, and the entry point.
    pub name: String,
    /// The program.
    pub program: Program,
    /// Default arguments.
    pub command: Vec<String>,
    /// Environment variables, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// TCP ports that the program listens on.
    pub ports: Vec<u16>,
    /// Directories that the program writes to; each is declared as a volume.
    pub folders: Vec<WritableFolder>,
    /// More files, by absolute path: licence texts, certificate authorities.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Labels of the image, `org.opencontainers.image.…`.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the Unix epoch for every entry, from `SOURCE_DATE_EPOCH`; 0 if unset.
    pub modified: u64,
    /// `modified` as RFC 3339, if it is set.
    pub created: Option<String>,
}

impl ProgramImage {
    /// Builds the image.
    pub fn build(self, compression: Compression) -> Result<Image, LayoutError> {
        let path = format!("/{}", self.name);
        let mut layer = LayerBuilder::new(self.modified);

        layer.file("/etc/passwd", PASSWD.into(), 0o644, Owner::ROOT)?;
        layer.file("/etc/group", GROUP.into(), 0o644, Owner::ROOT)?;
        for (file, content) in self.files {
            layer.file(&file, content, 0o644, Owner::ROOT)?;
        }

        let sockets = WritableFolder {
            path: SOCKET_FOLDER.to_owned(),
            mode: 0o770,
        };
        let folders: Vec<WritableFolder> = self.folders.into_iter().chain([sockets]).collect();
        for folder in &folders {
            layer.directory(&folder.path, folder.mode, Owner::NON_ROOT)?;
        }

        let architecture = self.program.architecture;
        layer.file(&path, self.program.content, 0o755, Owner::ROOT)?;

        let config = ImageConfig {
            created: self.created.clone(),
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            config: ContainerConfig {
                user: "65532:65532".to_owned(),
                entrypoint: vec![path],
                cmd: self.command,
                env: self.environment,
                exposed_ports: self
                    .ports
                    .iter()
                    .map(|port| (format!("{port}/tcp"), json!({})))
                    .collect(),
                volumes: folders
                    .into_iter()
                    .map(|folder| (folder.path, json!({})))
                    .collect(),
                working_dir: "/".to_owned(),
                labels: self.labels.clone(),
                stop_signal: "SIGTERM".to_owned(),
                ..ContainerConfig::default()
            },
            history: vec![History {
                created: self.created,
                created_by: Some("assemble images build".to_owned()),
            }],
            ..ImageConfig::default()
        };

        Ok(Image::new(
            config,
            vec![layer.finish(compression)?],
            self.labels,
        ))
    }
}

/// Checks the headers of an executable and returns its architecture.
fn check_elf(content: &[u8]) -> Result<&'static str, ProgramError> {
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

    if loader.is_none() && libraries.is_empty() {
        Ok(architecture)
    } else {
        Err(ProgramError::Dynamic { loader, libraries })
    }
}

const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
