//! The image of one program: `FROM scratch`, non-root, with nothing else in it; or a program on a base image.
//!
//! ```text
//! program ─▶ Program::read (architecture, linkage) ─┐
//! ports, folders, labels, licences ─────────────────┴─▶ ProgramImage::draft ─▶ Draft ─▶ compress ─▶ layout::Image
//!                                                                               └▶ is_in: nothing to do
//! ```

mod config;
mod draft;
mod elf;

pub use draft::Draft;
pub use elf::ProgramError;

use std::collections::BTreeMap;

use crate::layout::{
    BaseImage, Compression, Image, ImageConfig, LayerArchive, LayerBuilder, LayoutError, Owner,
};

/// The directory for Unix sockets between the containers of a task.
///
/// Declared as a volume: on Fargate an empty volume takes content, owner and mode of the image's directory only
/// if the image declares the same path as a volume (ECS developer guide, bind mounts).
pub const SOCKET_FOLDER: &str = "/run/assemble";

/// A program that can be the entry point of an image.
#[derive(Clone, Debug)]
pub struct Program {
    content: Vec<u8>,
    architecture: &'static str,
}

impl Program {
    /// Reads an executable and checks that it needs no other file.
    pub fn read(content: Vec<u8>) -> Result<Self, ProgramError> {
        let headers = elf::read(&content)?;
        if headers.loader.is_some() || !headers.libraries.is_empty() {
            return Err(ProgramError::Dynamic {
                loader: headers.loader,
                libraries: headers.libraries,
            });
        }

        Ok(Self {
            content,
            architecture: headers.architecture,
        })
    }

    /// Reads an executable for a base image, which has the shared libraries if it needs any.
    pub fn read_for_base(content: Vec<u8>) -> Result<Self, ProgramError> {
        let headers = elf::read(&content)?;
        Ok(Self {
            content,
            architecture: headers.architecture,
        })
    }

    /// Returns `amd64` or `arm64`.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// Returns the platform: `linux/amd64` or `linux/arm64`.
    pub fn platform(&self) -> String {
        format!("linux/{}", self.architecture)
    }

    /// Returns the size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.content.len() as u64
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
        self.draft(compression)?.compress()
    }

    /// Prepares the image, which knows its configuration and layer but has not compressed it yet.
    pub fn draft(mut self, compression: Compression) -> Result<Draft, LayoutError> {
        self.folders.push(WritableFolder {
            path: SOCKET_FOLDER.to_owned(),
            mode: 0o770,
        });
        self.files
            .insert("/etc/passwd".to_owned(), PASSWD.as_bytes().to_vec());
        self.files
            .insert("/etc/group".to_owned(), GROUP.as_bytes().to_vec());

        let archive = self.archive()?;
        let config: ImageConfig = config::new(&self, &archive, compression);
        Ok(Draft::new(config, archive, self.labels, compression))
    }

    /// Prepares the image on a base, which keeps its configuration and gets the program as a further layer.
    ///
    /// Entry point and command are the program's; variables, ports, volumes and labels are added. The user stays
    /// that of the base.
    pub fn draft_on(self, base: BaseImage, compression: Compression) -> Result<Draft, LayoutError> {
        let archive = self.archive()?;
        let config = config::on_base(&self, &base, &archive, compression)?;
        Ok(Draft::on_base(
            base,
            config,
            archive,
            self.labels,
            compression,
        ))
    }

    /// Returns the path of the program in the image.
    fn entry_point(&self) -> String {
        format!("/{}", self.name)
    }

    fn archive(&self) -> Result<LayerArchive, LayoutError> {
        let mut layer = LayerBuilder::new(self.modified);
        for (file, content) in &self.files {
            layer.file(file, content.clone(), 0o644, Owner::ROOT)?;
        }
        for folder in &self.folders {
            layer.directory(&folder.path, folder.mode, Owner::NON_ROOT)?;
        }

        let program = self.program.content.clone();
        layer.file(&self.entry_point(), program, 0o755, Owner::ROOT)?;
        layer.archive()
    }
}

const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
