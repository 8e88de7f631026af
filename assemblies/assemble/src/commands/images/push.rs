//! `assemble images push`: uploads built images, and locks their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assembly::Lock;
use assembly::lock::LockedImage;
use clap::{Args, ValueEnum};
use registry::layout::Layout;
use registry::push::{ExistingTag, Progress, PushOptions, PushedImage};
use registry::{Client, Digest, format_bytes};
use serde_json::json;

use super::progress::watch;
use super::targets::{Target, TargetArguments};
use crate::arguments::ValueArguments;
use crate::commands::lock::{self, format_images};
use crate::error::CliError;
use crate::project::Project;
use crate::registries;
use crate::runtime;
use crate::ui::Ui;

/// Arguments of `images push`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: TargetArguments,
    /// Tag, in place of the one that the values give.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Move tags that exist with another image; refused otherwise.
    #[arg(long)]
    move_tag: bool,
    /// Push the images without their SBOMs.
    #[arg(long)]
    no_sbom: bool,
    /// Create missing repositories of Amazon ECR, with immutable tags and scan on push.
    #[arg(long)]
    create_repositories: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// A line for each image: reference and digest.
    #[default]
    Text,
    /// A JSON array.
    Json,
}

/// A pushed image, with its target.
type Pushed = (Target, PushedImage);

/// An image that could not be pushed, or its SBOM.
#[derive(Debug)]
struct Failure {
    message: String,
    /// Whether the cause is on this machine, such as a damaged layout.
    is_local: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.message)
    }
}

impl From<registry::Error> for Failure {
    fn from(error: registry::Error) -> Self {
        Self {
            message: error.to_string(),
            is_local: error.kind.is_local(),
        }
    }
}

/// Pushes every image before it fails, and locks those that were pushed.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let values = arguments.targets.values();
    let targets = arguments
        .targets
        .targets(project, arguments.tag.as_deref())?;
    let images = open_layouts(targets, &arguments.targets.layouts(project))?;
    // Read first: a lock file with errors must not be noticed only after the push.
    let before = project.lock(&values, "example")?;

    let (pushed, failures) = runtime::new()?.block_on(push_all(arguments, &images, ui))?;
    print(&pushed, arguments.format, ui);

    let file = project.lock_file(&values, "example");
    let in_lock = select_for_lock(&pushed, &values, project, ui);
    let locked = update_lock(before, &in_lock, &file);
    let path = file.strip_prefix(project.root()).unwrap_or(&file).display();
    match locked {
        Ok(true) => ui.message(&format!("wrote `{path}`; commit it")),
        Ok(false) => {}
        Err(error) => {
            // The images are what took time, and they are safe.
            let count = format_images(pushed.len());
            return Err(CliError::Usage(format!(
                "{count} pushed, but not locked: {error}; make `{path}` writable and push again, which sends nothing \
                 that the registry has"
            )));
        }
    }

    if failures.is_empty() {
        return Ok(0);
    }
    let count = format_images(failures.len());
    let lines: Vec<String> = failures.iter().map(Failure::to_string).collect();
    let message = format!("cannot push {count}:\n{}", lines.join("\n"));
    // What a registry refuses counts more than a damaged layout: building again does not help against it.
    if failures.iter().all(|failure| failure.is_local) {
        Err(CliError::Usage(message))
    } else {
        Err(CliError::Refused(message))
    }
}

/// Opens the layouts of all images. All errors are reported together.
fn open_layouts(targets: Vec<Target>, folder: &Path) -> Result<Vec<(Target, Layout)>, CliError> {
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for target in targets {
        target.reference()?;
        let path: PathBuf = folder.join(&target.name);
        let name = &target.name;
        if !path.is_dir() {
            failures.push(CliError::Usage(format!(
                "image `{name}` is not built: `{}` does not exist; run `assemble images build {name}`",
                path.display()
            )));
            continue;
        }

        match Layout::open(&path) {
            Ok(layout) => images.push((target, layout)),
            Err(error) => failures.push(CliError::Usage(format!(
                "image `{name}`: {error}; run `assemble images build {name}`"
            ))),
        }
    }

    CliError::all(failures)?;
    Ok(images)
}

/// Pushes the images one after the other: the blobs of each use the line well, and images share blobs.
async fn push_all(
    arguments: &Arguments,
    images: &[(Target, Layout)],
    ui: &Ui,
) -> Result<(Vec<Pushed>, Vec<Failure>), CliError> {
    let (client, apis) = registries::client(ui)?;
    if arguments.create_repositories {
        let references = images.iter().map(|(target, _)| target.reference());
        let references = references.collect::<Result<Vec<_>, _>>()?;
        apis.create_repositories(&references).await?;
    }

    let (mut pushed, mut failures) = (Vec::new(), Vec::new());
    // By registry: the repository that has a blob.
    let mut known: BTreeMap<String, BTreeMap<Digest, String>> = BTreeMap::new();

    for (target, layout) in images {
        let reference = target.reference()?;
        let mounts = known.entry(reference.registry().to_owned()).or_default();
        let options = PushOptions {
            existing_tag: if arguments.move_tag {
                ExistingTag::Move
            } else {
                ExistingTag::Refuse
            },
            mounts: mounts.clone(),
        };

        let progress = Arc::new(Progress::default());
        let push = client.push(layout, &target.image, &options, &progress);
        let image = match watch(push, &progress, &target.name, ui).await {
            Ok(image) => image,
            Err(error) => {
                failures.push(error.into());
                continue;
            }
        };
        for blob in &image.blobs {
            let repository = || reference.repository().to_owned();
            mounts.entry(blob.clone()).or_insert_with(repository);
        }

        ui.message(&describe(target, &image, &progress));
        if !arguments.no_sbom
            && let Err(error) = push_sbom(&client, layout, target, ui).await
        {
            failures.push(error);
        }
        // Also without its SBOM, the image is there and is what documents name.
        pushed.push((target.clone(), image));
    }

    Ok((pushed, failures))
}

/// Pushes the SBOMs of an image, and reports those that the registry did not have.
async fn push_sbom(
    client: &Client,
    layout: &Layout,
    target: &Target,
    ui: &Ui,
) -> Result<(), Failure> {
    let outcome = client.push_referrers(layout, &target.image).await;
    let pushed = outcome.map_err(|error| Failure {
        message: format!(
            "the SBOM of {error}; the image itself is pushed, and --no-sbom leaves the SBOM out"
        ),
        is_local: error.kind.is_local(),
    })?;

    let name = &target.name;
    match (pushed.total, pushed.added, pushed.tagged) {
        // An image that was built by another tool, or by an earlier version.
        (0, ..) => ui.message(&format!(
            "{name}: no SBOM; `assemble images build` writes one"
        )),
        (_, 0, _) => {}
        (_, _, 0) => ui.message(&format!("{name}: attached the SBOM")),
        _ => ui.message(&format!(
            "{name}: attached the SBOM, with a tag `sha256-…`: this registry has no referrers API"
        )),
    }
    Ok(())
}

fn describe(target: &Target, image: &PushedImage, progress: &Progress) -> String {
    let Target { name, image: to } = target;
    if image.is_unchanged {
        return format!("{name}: {to} is up to date");
    }

    let (sent, total) = (image.uploaded_bytes, progress.total_bytes());
    let mounted = match image.mounted {
        0 => String::new(),
        count => format!(", {count} blobs mounted"),
    };
    format!(
        "{name}: pushed {to}, {} of {} sent{mounted}",
        format_bytes(sent),
        format_bytes(total)
    )
}

fn print(pushed: &[Pushed], format: Format, ui: &Ui) {
    let text = match format {
        Format::Text => {
            let lines = pushed
                .iter()
                .map(|(target, image)| format!("{}@{}\n", target.image, image.digest));
            lines.collect()
        }
        Format::Json => {
            let images = pushed.iter().map(|(target, image)| {
                let platforms = image.platforms.iter().map(ToString::to_string);
                json!({
                    "name": target.name,
                    "image": target.image,
                    "digest": image.digest.as_str(),
                    "platforms": platforms.collect::<Vec<_>>(),
                    "uploadedBytes": image.uploaded_bytes,
                    "mountedBlobs": image.mounted,
                    "unchanged": image.is_unchanged,
                })
            });
            let images: serde_json::Value = images.collect();
            format!("{images:#}\n")
        }
    };
    ui.data(&text);
}

/// Returns the images that assemblies name with these values; `assemble lock --check` would report the others.
fn select_for_lock<'p>(
    pushed: &'p [Pushed],
    values: &ValueArguments,
    project: &Project,
    ui: &Ui,
) -> Vec<&'p Pushed> {
    let assemblies = project.assemblies().unwrap_or_default();
    let Ok(plans) = lock::plans(&assemblies, values, project) else {
        // An assembly that cannot be planned may name any of them.
        return pushed.iter().collect();
    };
    let used: BTreeSet<&str> = plans
        .iter()
        .flat_map(|plan| &plan.definition().container_definitions)
        .map(|container| container.image.as_str())
        .collect();

    let is_used = |(target, _): &&Pushed| {
        let is_used = used.contains(target.image.as_str());
        if !is_used {
            ui.message(&format!(
                "{}: not locked, since no assembly names {}",
                target.name, target.image
            ));
        }
        is_used
    };
    pushed.iter().filter(is_used).collect()
}

/// Adds the digests to the lock file, in the same form as `assemble lock`, and returns whether it changed.
fn update_lock(before: Lock, pushed: &[&Pushed], file: &Path) -> Result<bool, CliError> {
    let mut after = before;
    for (target, image) in pushed {
        let locked = LockedImage {
            digest: image.digest.to_string(),
            platforms: image.platforms.iter().map(ToString::to_string).collect(),
        };
        after.insert(target.image.clone(), locked);
    }

    if pushed.is_empty() {
        return Ok(false);
    }
    lock::write(file, &after.to_yaml())
}
