//! `assemble lock`: resolves image tags to digests and updates the lock file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use assembly::lock::{LockedImage, is_mutable};
use assembly::{Lock, Plan};
use clap::Args;
use registry::{Client, Error, Image, Platform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::registries;
use crate::rule_config::{RuleArguments, RuleConfigLoader};
use crate::runtime;
use crate::ui::Ui;

/// Arguments of `lock`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assemblies, by name or path. Lock entries of other assemblies are kept.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Lock all assemblies, and remove entries that none of them uses.
    #[arg(long)]
    all: bool,
    /// Exit 1 if the lock file is out of date; write nothing.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    values: ValueArguments,
}

/// Resolves every image before it fails. Writes all entries or none.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let before = project.lock(&arguments.values, "example")?;
    let names = if arguments.all {
        project.assemblies()?
    } else {
        arguments.names.clone()
    };
    let tagged = tagged_images(&plans(&names, &arguments.values, project)?);
    let resolved = resolve(&tagged, ui)?;
    let mut after = before.clone();

    // With --all every used image was resolved, so what is left over is unused.
    if arguments.all {
        after.retain(|image| resolved.contains_key(image));
    }
    for (image, locked) in resolved {
        after.insert(image, locked);
    }

    let changes = changes(&before, &after);
    ui.data(
        &changes
            .iter()
            .fold(String::new(), |all, line| all + line + "\n"),
    );

    let file = project.lock_file(&arguments.values, "example");
    let path = file.strip_prefix(project.root()).unwrap_or(&file).display();
    if changes.is_empty() {
        ui.message(&format!(
            "{} already up to date",
            format_images(tagged.len())
        ));
    } else if arguments.check {
        ui.message(&format!(
            "`{path}` is out of date; run `assemble lock` and review the changes"
        ));
        return Ok(1);
    }

    if !arguments.check && write(&file, &after.to_yaml())? {
        ui.message(&format!("wrote `{path}`; commit it"));
    }
    Ok(0)
}

/// Plans the assemblies without a lock, so that their images still have tags.
pub(crate) fn plans(
    names: &[String],
    values: &ValueArguments,
    project: &Project,
) -> Result<Vec<Plan>, CliError> {
    let values = project.values(values, "example")?;
    let (catalog, values) = (project.catalog()?, values.with_lock(Lock::default()));
    let mut rule_config = RuleConfigLoader::new(&RuleArguments::default(), project)?;
    let (mut plans, mut findings) = (Vec::new(), Vec::new());

    for name in names {
        let levels = rule_config.for_file(&project.manifest_path(name))?;
        match assembly::plan_under(&project.manifest(name)?, &catalog, &values, &levels) {
            Ok(plan) => plans.push(plan),
            Err(outcome) => findings.extend(outcome.findings),
        }
    }

    if findings.is_empty() {
        Ok(plans)
    } else {
        Err(CliError::Findings(findings))
    }
}

/// Returns every image with a tag, and the platforms of the tasks that use it.
fn tagged_images(plans: &[Plan]) -> BTreeMap<String, BTreeSet<Platform>> {
    let mut images: BTreeMap<String, BTreeSet<Platform>> = BTreeMap::new();
    for plan in plans {
        let platform = plan.platform();
        let (system, architecture) = platform.split_once('/').unwrap_or((&platform, ""));
        for container in &plan.definition().container_definitions {
            // An image with a digest needs no lock entry.
            if is_mutable(&container.image) {
                let platforms = images.entry(container.image.clone()).or_default();
                platforms.insert(Platform::new(system, architecture));
            }
        }
    }

    images
}

/// Resolves all images concurrently. All errors are reported together.
fn resolve(
    images: &BTreeMap<String, BTreeSet<Platform>>,
    ui: &Ui,
) -> Result<BTreeMap<String, LockedImage>, CliError> {
    let (client, _) = registries::client(ui)?;
    let outcomes = runtime::new()?.block_on(resolve_all(&client, images, ui));
    let (mut resolved, mut errors) = (BTreeMap::new(), Vec::new());
    let mut is_local = true;

    for outcome in outcomes {
        match outcome {
            Ok((name, image)) => {
                resolved.insert(name, lock_entry(&image));
            }
            Err(error) => {
                is_local &= error.kind.is_local();
                errors.push(format!("  {error}"));
            }
        }
    }

    if errors.is_empty() {
        return Ok(resolved);
    }
    // Requests end in any order; the message must not.
    errors.sort();

    let count = format_images(errors.len());
    let message = format!(
        "nothing was locked; cannot resolve {count}:\n{}",
        errors.join("\n")
    );
    if is_local {
        Err(CliError::Usage(message))
    } else {
        Err(CliError::Refused(message))
    }
}

async fn resolve_all(
    client: &Client,
    images: &BTreeMap<String, BTreeSet<Platform>>,
    ui: &Ui,
) -> Vec<Result<(String, Image), Error>> {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut tasks = JoinSet::new();
    for (name, platforms) in images {
        let (client, slots, name) = (client.clone(), slots.clone(), name.clone());
        let platforms: Vec<Platform> = platforms.iter().cloned().collect();
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            let image = client.resolve(&name, &platforms).await?;
            Ok((name, image))
        });
    }

    let mut outcomes = Vec::new();
    while let Some(result) = tasks.join_next().await {
        // No task is cancelled, and the runtime reports a panic itself.
        let Ok(outcome) = result else { continue };
        // Progress, as a registry may take seconds for each request.
        let name = outcome
            .as_ref()
            .map_or_else(|error: &Error| &error.image, |(name, _)| name);

        ui.message(&format!("{}/{} {name}", outcomes.len() + 1, images.len()));
        outcomes.push(outcome);
    }

    outcomes
}

/// Concurrent requests. Registries limit request rates, and a few at once are fast enough.
const MAX_REQUESTS: usize = 8;

fn lock_entry(image: &Image) -> LockedImage {
    LockedImage {
        digest: image.digest.to_string(),
        platforms: image.platforms.iter().map(ToString::to_string).collect(),
    }
}

/// Returns one line per added, changed or removed image.
fn changes(before: &Lock, after: &Lock) -> Vec<String> {
    let mut lines = Vec::new();
    for (image, new) in after.images() {
        match before.get(image) {
            None => lines.push(format!("added   {image} {}", new.digest)),
            Some(old) if old.digest != new.digest => {
                lines.push(format!(
                    "moved   {image} {} (was {})",
                    new.digest, old.digest
                ));
            }
            Some(old) if old != new => lines.push(format!(
                "changed {image}: its platforms are {}",
                new.platforms.join(", ")
            )),
            Some(_) => {}
        }
    }

    let removed = before
        .images()
        .filter(|(image, _)| after.get(image).is_none());
    lines.extend(removed.map(|(image, _)| format!("removed {image}")));

    lines
}

/// Writes the lock file if it differs, and returns whether it did. The old file stays intact if writing fails.
pub(crate) fn write(file: &Path, text: &str) -> Result<bool, CliError> {
    if fs::read(file).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }

    let failure = |source| CliError::File {
        act: "write",
        path: file.to_owned(),
        source,
    };

    // Replacing a file needs no permission to write it, so a read-only one is refused here.
    if fs::metadata(file).is_ok_and(|metadata| metadata.permissions().readonly()) {
        return Err(failure(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the file is read-only",
        )));
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failure)?;
    }

    // The process ID keeps two commands at once apart.
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let replaced = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, file));
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced.map_err(failure)?;

    Ok(true)
}

/// Formats a number of images: `1 image`, `2 images`.
pub(crate) fn format_images(count: usize) -> String {
    match count {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    }
}
