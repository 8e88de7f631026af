//! `assemble images build`: writes OCI image layouts of components and bundles, or of any program.
//!
//! ```text
//! component.yaml, bundle.yaml ─▶ Facts ───────────────┐
//!   build.prepare ─▶ Prepared (variables, licences) ──┤
//! cargo build ─▶ Compiled (program, linked packages) ─┴─▶ ProgramImage ─▶ Draft ─▶ layout folder ─▶ table
//! --binary FILE ─▶ Program ───────────────────────────┘
//! ```
//!
//! Each image gets an SBOM (`sbom.rs`), which the layout keeps besides the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use registry::BUILT_IMAGES;
use registry::layout::Compression;

use self::binary::BinaryArguments;
use self::output::BuiltImage;
use self::target::Target;
use crate::arguments::pair;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

mod base;
mod binary;
mod certificates;
mod compile;
mod components;
mod existing;
mod facts;
mod git;
mod licenses;
mod metadata;
mod output;
mod prepare;
mod sbom;
mod selection;
mod source_date;
mod table;
mod target;

/// Arguments of `images build`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Components and bundles [default: all with a program in this workspace].
    #[arg(value_name = "NAME", conflicts_with_all = ["assembly", "binary"])]
    names: Vec<String>,
    /// Build the images that the definition of this assembly names, for its architecture.
    #[arg(long, value_name = "NAME", conflicts_with = "binary")]
    assembly: Option<String>,
    /// Platform of the images; repeat it for an index of both [default: linux/amd64].
    #[arg(
        long = "platform",
        value_name = "PLATFORM",
        value_enum,
        conflicts_with = "binary"
    )]
    platforms: Vec<Target>,
    /// Compression of the layers; gzip is for registries that do not know zstd.
    #[arg(long, value_name = "NAME", value_enum, default_value = "zstd")]
    compression: CompressionName,
    /// Directory of the images [default: `.assemble/images`]. What `images build` did not write there is not replaced.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Add a label, or replace a derived one.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    binary: BinaryArguments,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CompressionName {
    /// Smaller, and unpacked faster.
    Zstd,
    /// Known to every registry and tool.
    Gzip,
}

/// What all images of a call have in common.
#[derive(Debug)]
struct Settings {
    folder: PathBuf,
    compression: Compression,
    labels: BTreeMap<String, String>,
    /// Seconds since the Unix epoch, if `SOURCE_DATE_EPOCH` is set.
    source_date: Option<u64>,
}

impl Settings {
    fn new(arguments: &Arguments, project: &Project) -> Result<Self, CliError> {
        let folder = arguments.output.clone();
        Ok(Self {
            folder: folder.unwrap_or_else(|| project.root().join(BUILT_IMAGES)),
            compression: match arguments.compression {
                CompressionName::Zstd => Compression::Zstd,
                CompressionName::Gzip => Compression::Gzip,
            },
            labels: arguments.labels.iter().cloned().collect(),
            source_date: source_date::read()?,
        })
    }
}

/// Builds the images and prints their table. Exits 1 if an image is over its budget.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let settings = Settings::new(arguments, project)?;
    let images = if arguments.binary.is_used() {
        vec![binary::build(&arguments.binary, &settings, project, ui)]
    } else {
        let selection = selection::select(arguments, project, ui)?;
        components::build(&selection, &settings, project, ui)?
    };

    // Every image is tried before an error is reported: a build takes minutes.
    let (mut built, mut failures) = (Vec::new(), Vec::new());
    for image in images {
        match image {
            Ok(image) => built.push(image),
            Err(failure) => failures.push(failure),
        }
    }

    if !built.is_empty() {
        ui.data(&table::render(&built));
    }
    CliError::all(failures)?;

    let excesses: Vec<String> = built.iter().flat_map(BuiltImage::excesses).collect();
    for excess in &excesses {
        ui.message(excess);
    }
    Ok(u8::from(!excesses.is_empty()))
}
