//! `assemble images prune`: deletes images that nothing names any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, IsTerminal};

use assembly::Lock;
use clap::Args;
use registry::prune::{Keep, StoredManifest, select};
use registry::{Client, Digest, Reference};
use task_definition::ImageReference;

use super::targets::{Target, TargetArguments};
use crate::commands::lock::format_images;
use crate::error::CliError;
use crate::project::Project;
use crate::registries::{self, Apis};
use crate::runtime;
use crate::ui::Ui;

/// Arguments of `images prune`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: TargetArguments,
    /// Show what would be deleted; delete nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking; needed where there is no terminal.
    #[arg(long)]
    yes: bool,
    /// Keep the images of the latest N active revisions of every task definition.
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep: usize,
    /// Do not ask ECS which images are in use: nothing outside of the lock files is kept.
    #[arg(long)]
    no_ecs: bool,
}

/// The images of one repository that can be deleted.
#[derive(Debug)]
struct Selection {
    /// `HOST/PATH`.
    repository: String,
    host: String,
    manifests: Vec<StoredManifest>,
    digests: Vec<Digest>,
}

/// Selects images of all repositories, asks, and deletes.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let targets = arguments.targets.repositories(project)?;
    let locked = locked_images(project)?;

    runtime::new()?.block_on(async {
        // Before the lists: an image that is pushed and registered in between is not in the list.
        let mut in_use = locked;
        if !arguments.no_ecs {
            in_use.extend(images_of_ecs(arguments.keep).await?);
        }
        let (client, apis) = registries::client(ui)?;

        let mut selections = Vec::new();
        for target in &targets {
            let selection = select_images(target, &in_use, &client, &apis).await?;
            let (selected, all) = (selection.digests.len(), selection.manifests.len());
            ui.message(&format!(
                "{}: {selected} of {} not in use",
                selection.repository,
                format_images(all)
            ));
            selections.push(selection);
        }

        ui.data(&selections.iter().map(Selection::lines).collect::<String>());
        let count: usize = selections
            .iter()
            .map(|selection| selection.digests.len())
            .sum();
        if count == 0 || arguments.dry_run {
            return Ok(0);
        }
        if !arguments.yes && !confirm(count, ui)? {
            ui.message("nothing was deleted");
            return Ok(0);
        }

        for selection in &selections {
            delete(selection, &client, &apis).await?;
        }
        ui.message(&format!("deleted {}", format_images(count)));
        Ok(0)
    })
}

/// Returns the images in all lock files. A lock file that cannot be read ends the command: it could name any image.
fn locked_images(project: &Project) -> Result<BTreeSet<String>, CliError> {
    let folder = project.root().join("assemblies/locks");
    let failure = |source| CliError::File {
        act: "list",
        path: folder.clone(),
        source,
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(failure(error)),
    };

    let mut images = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(failure)?.path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let lock = Lock::read(&project.source(&path)?).map_err(CliError::Findings)?;
        // Also by tag, which may have moved since: documents that are not rendered with the lock name it.
        for (image, locked) in lock.images() {
            images.extend([image.to_string(), locked.digest.clone()]);
        }
    }

    Ok(images)
}

#[cfg(feature = "aws")]
async fn images_of_ecs(revisions: usize) -> Result<BTreeSet<String>, CliError> {
    let images = async {
        let client = ecs_client::Client::from_environment().await?;
        ecs_client::images_in_use(&client, revisions).await
    };
    images.await.map_err(|error| {
        let is_remote = error.is_remote();
        let message = format!(
            "nothing was deleted, since the images in use are unknown: {error}; with --no-ecs, only the lock files decide"
        );
        if is_remote {
            CliError::Refused(message)
        } else {
            CliError::Usage(message)
        }
    })
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with AWS support")]
async fn images_of_ecs(_: usize) -> Result<BTreeSet<String>, CliError> {
    let message = "this build has no AWS support, so the images in use are unknown; with --no-ecs, only the lock files decide";
    Err(CliError::Usage(message.to_owned()))
}

/// Lists the images of a repository and selects those that are not in use.
async fn select_images(
    target: &Target,
    in_use: &BTreeSet<String>,
    client: &Client,
    apis: &Apis,
) -> Result<Selection, CliError> {
    let reference = target.reference()?;
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    let untagged = apis.list(&reference).await?;
    let manifests = client.manifests(&repository, &untagged).await?;
    let digests = select(&manifests, &keep(&reference, in_use));

    Ok(Selection {
        host: reference.registry().to_owned(),
        repository,
        manifests,
        digests,
    })
}

/// Returns what to keep in a repository. A digest names the same image everywhere, so it is kept in all of them.
fn keep(repository: &Reference, in_use: &BTreeSet<String>) -> Keep {
    let mut keep = Keep::default();
    for image in in_use {
        let digest = image.rsplit('@').next().unwrap_or(image);
        if let Ok(digest) = digest.parse() {
            keep.digests.insert(digest);
            continue;
        }

        // Whatever the host: one registry of ECR has several, for example with IPv6.
        let same = image
            .parse::<Reference>()
            .is_ok_and(|other| other.repository() == repository.repository());
        if same {
            // Without a tag, the reference means `latest`.
            let tag = ImageReference::parse(image).tag().unwrap_or("latest");
            keep.tags.insert(tag.to_owned());
        }
    }

    keep
}

impl Selection {
    /// Formats one line for each image: the reference by digest, and its tags.
    fn lines(&self) -> String {
        let tags: BTreeMap<&Digest, &[String]> = self
            .manifests
            .iter()
            .map(|manifest| (&manifest.digest, manifest.tags.as_slice()))
            .collect();
        let line = |digest: &Digest| {
            let tags = tags.get(digest).copied().unwrap_or_default().join(", ");
            let line = format!("{}@{digest} {tags}", self.repository);
            format!("{}\n", line.trim_end())
        };
        self.digests.iter().map(line).collect()
    }
}

/// Asks on the terminal.
fn confirm(count: usize, ui: &Ui) -> Result<bool, CliError> {
    let images = format_images(count);
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(CliError::Usage(format!(
            "{images} would be deleted; add --yes, or --dry-run to see them only"
        )));
    }

    ui.message(&format!("Delete {images}? Type `yes`:"));
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    read.map_err(|error| CliError::Usage(format!("cannot read the answer: {error}")))?;
    Ok(line.trim() == "yes")
}

/// Deletes the images of a repository, indexes first.
async fn delete(selection: &Selection, client: &Client, apis: &Apis) -> Result<(), CliError> {
    let Selection {
        repository,
        host,
        digests,
        ..
    } = selection;
    let path = repository.strip_prefix(&format!("{host}/"));
    let path = path.unwrap_or(repository);
    // The registry protocol of ECR has no deletion.
    if apis.delete(host, path, digests).await? {
        return Ok(());
    }

    for digest in digests {
        client.delete_manifest(repository, digest).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_digests_everywhere_and_tags_in_repositories_of_the_same_path() {
        let digest = Digest::from_content(b"a");
        let in_use = [
            format!("r.example/web@{digest}"),
            "r.example/web:1".to_owned(),
            "r.example/web".to_owned(),
            "other.example/web:3".to_owned(),
            "r.example/cart:2".to_owned(),
            "not a reference".to_owned(),
        ];
        let repository = "r.example/web:9".parse().unwrap();
        let keep = keep(&repository, &in_use.into());
        assert_eq!(keep.digests, [digest].into());
        let expected = ["1", "3", "latest"].map(str::to_owned);
        assert_eq!(keep.tags, expected.into());
    }
}
