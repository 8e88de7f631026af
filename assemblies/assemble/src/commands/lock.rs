//! `assemble lock`: asks the registries which image each tag is, and writes it down.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assembly::lock::{Locked, is_open};
use assembly::{Lock, Plan};
use clap::Args;
use registry::{Client, Credentials, Error, Image, Limits, Platform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::judging::{Judging, RuleArguments};
use crate::project::Project;
use crate::talk::Talk;

/// What to lock.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assemblies, by name or file; what others have locked stays.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// All assemblies of the project; what none of them names is forgotten.
    #[arg(long)]
    all: bool,
    /// Writes nothing, and answers 1 where the registries have something else than the lock file.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    values: ValueArguments,
}

/// Asks for every image before it gives up; writes all of them or none.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let before = project.lock(&arguments.values, "example")?;
    let wanted = wanted(&plans(arguments, project)?);
    let found = ask(&wanted, talk)?;
    let mut after = before.clone();

    if arguments.all {
        after.retain(|image| found.contains_key(image));
    }
    for (image, locked) in found {
        after.insert(image, locked);
    }

    let changes = changes(&before, &after);
    talk.data(
        &changes
            .iter()
            .fold(String::new(), |all, line| all + line + "\n"),
    );

    let file = project.lock_file(&arguments.values, "example");
    let shown = file.strip_prefix(project.root()).unwrap_or(&file).display();
    if changes.is_empty() {
        talk.say(&format!(
            "{} is locked as the registries have it",
            images(wanted.len())
        ));
    } else if arguments.check {
        talk.say(&format!(
            "`{shown}` is behind; run `assemble lock` without `--check`, and look at what changed"
        ));
        return Ok(1);
    }

    if !arguments.check && write(&file, &after.to_yaml())? {
        talk.say(&format!("wrote `{shown}`: commit it"));
    }
    Ok(0)
}

/// The assemblies as they would be without a lock.
fn plans(arguments: &Arguments, project: &Project) -> Result<Vec<Plan>, Failure> {
    let names = if arguments.all {
        project.assemblies()?
    } else {
        arguments.names.clone()
    };

    let values = project.values(&arguments.values, "example")?;
    let (catalog, values) = (project.catalog()?, values.locked(Lock::default()));
    let mut judging = Judging::new(&RuleArguments::default(), project)?;
    let (mut plans, mut findings) = (Vec::new(), Vec::new());

    for name in &names {
        let judgement = judging.of(&project.manifest_path(name))?;
        match assembly::plan_under(&project.manifest(name)?, &catalog, &values, &judgement) {
            Ok(plan) => plans.push(plan),
            Err(judged) => findings.extend(judged.findings),
        }
    }

    if findings.is_empty() {
        Ok(plans)
    } else {
        Err(Failure::Findings(findings))
    }
}

/// Every image with a tag, and the platforms of the tasks that want it.
fn wanted(plans: &[Plan]) -> BTreeMap<String, BTreeSet<Platform>> {
    let mut wanted: BTreeMap<String, BTreeSet<Platform>> = BTreeMap::new();
    for plan in plans {
        let platform = plan.platform();
        let (system, architecture) = platform.split_once('/').unwrap_or((&platform, ""));
        for container in &plan.definition().container_definitions {
            if is_open(&container.image) {
                let platforms = wanted.entry(container.image.clone()).or_default();
                platforms.insert(Platform::new(system, architecture));
            }
        }
    }

    wanted
}

/// Asks for all of them, a few at a time; what fails is told together.
fn ask(
    wanted: &BTreeMap<String, BTreeSet<Platform>>,
    talk: &Talk,
) -> Result<BTreeMap<String, Locked>, Failure> {
    let client = Client::new(credentials()?, Limits::default())
        .map_err(|error| Failure::Usage(format!("TLS cannot be set up: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Usage(format!("no runtime could be made: {error}")))?;
    let outcomes = runtime.block_on(ask_all(&client, wanted, talk));
    let (mut found, mut failed) = (BTreeMap::new(), Vec::new());

    for outcome in outcomes {
        match outcome {
            Ok((name, image)) => {
                found.insert(name, locked(&image));
            }
            Err(error) => failed.push(format!("  {error}")),
        }
    }

    if failed.is_empty() {
        return Ok(found);
    }
    failed.sort();

    let many = images(failed.len());
    Err(Failure::Refused(format!(
        "nothing was locked, as {many} could not be had:\n{}",
        failed.join("\n")
    )))
}

async fn ask_all(
    client: &Client,
    wanted: &BTreeMap<String, BTreeSet<Platform>>,
    talk: &Talk,
) -> Vec<Result<(String, Image), Error>> {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (name, platforms) in wanted {
        let (client, turns, name) = (client.clone(), turns.clone(), name.clone());
        let platforms: Vec<Platform> = platforms.iter().cloned().collect();
        tasks.spawn(async move {
            let _turn = turns.acquire().await;
            let image = client.resolve(&name, &platforms).await?;
            Ok((name, image))
        });
    }

    let mut outcomes = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        // A task that was cut off has no outcome; none is, and a panic is told by the runtime.
        let Ok(outcome) = ended else { continue };
        let name = outcome
            .as_ref()
            .map_or_else(|error: &Error| &error.image, |(name, _)| name);

        talk.say(&format!("{}/{} {name}", outcomes.len() + 1, wanted.len()));
        outcomes.push(outcome);
    }

    outcomes
}

/// Registries count requests; a few at once are quick enough.
const AT_ONCE: usize = 8;

fn locked(image: &Image) -> Locked {
    Locked {
        digest: image.digest.to_string(),
        platforms: image.platforms.iter().map(ToString::to_string).collect(),
    }
}

/// A line for each image that is new, other than before, or no longer there.
fn changes(before: &Lock, after: &Lock) -> Vec<String> {
    let mut lines = Vec::new();
    for (image, new) in after.images() {
        match before.get(image) {
            None => lines.push(format!("new    {image} {}", new.digest)),
            Some(old) if old.digest != new.digest => {
                lines.push(format!(
                    "moved  {image} {} (was {})",
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

    let gone = before
        .images()
        .filter(|(image, _)| after.get(image).is_none());
    lines.extend(gone.map(|(image, _)| format!("gone   {image}")));

    lines
}

/// Writes what is different; answers whether it was.
fn write(file: &Path, text: &str) -> Result<bool, Failure> {
    if fs::read(file).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }

    let failure = |source| Failure::File {
        act: "write",
        path: file.to_owned(),
        source,
    };

    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failure)?;
    }
    fs::write(file, text).map_err(failure)?;

    Ok(true)
}

/// Docker's logins: `$DOCKER_CONFIG/config.json`, or the one in the home folder.
fn credentials() -> Result<Credentials, Failure> {
    let folder = env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty());
    let folder = folder.map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    let Some(folder) = folder else {
        return Ok(Credentials::default());
    };
    let file = folder.join("config.json");

    Credentials::read(&file).map_err(|source| Failure::File {
        act: "read",
        path: file,
        source,
    })
}

/// `1 image`, `2 images`.
fn images(many: usize) -> String {
    match many {
        1 => "1 image".to_owned(),
        many => format!("{many} images"),
    }
}
