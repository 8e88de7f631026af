//! Loads rule configuration from outside of manifests: flags, the project's file, a directory's file.
//!
//! Precedence, highest first: a flag, the manifest itself (read by the library), then
//! `assemblies/rules.yaml` or, for a file outside of any project, the nearest
//! `.assemble-rules.yaml` in its parent directories. `--rules FILE` replaces either. In a file, an entry with
//! `files` overrides one without.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf, absolute};

use assembly::rule_config;
use clap::Args;
use diagnostics::{Finding, Level, LevelOverride, LevelSource, Location, RuleConfig};

use crate::arguments::pair;
use crate::error::CliError;
use crate::project::Project;

/// Flags that change the level of rules.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RuleArguments {
    /// Allow what a rule reports, with a reason.
    #[arg(long, value_name = "ID=REASON", value_parser = pair)]
    pub(crate) allow: Vec<(String, String)>,
    /// Treat a rule's findings as errors.
    #[arg(long, value_name = "ID")]
    pub(crate) deny: Vec<String>,
    /// Rule configuration to use instead of `assemblies/rules.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

/// Loads and caches the rule configuration that applies to each file.
#[derive(Debug)]
pub(crate) struct RuleConfigLoader<'p> {
    project: &'p Project,
    chosen: Option<PathBuf>,
    flags: Vec<LevelOverride>,
    /// The configuration files read so far.
    files: BTreeMap<PathBuf, RuleFile>,
    /// The checked files: configuration file, path as its entries name it, and the rules that reported something.
    checked: Vec<(PathBuf, String, BTreeSet<&'static str>)>,
}

#[derive(Debug, Default)]
struct RuleFile {
    entries: Vec<LevelOverride>,
    findings: Vec<Finding>,
}

impl<'p> RuleConfigLoader<'p> {
    /// Validates the flags.
    pub(crate) fn new(arguments: &RuleArguments, project: &'p Project) -> Result<Self, CliError> {
        let allowed = arguments
            .allow
            .iter()
            .map(|(id, reason)| flag(id, Level::Off, reason));
        let denied = arguments
            .deny
            .iter()
            .map(|id| flag(id, Level::Error, "denied on the command line"));

        Ok(Self {
            project,
            chosen: arguments.rules.clone(),
            flags: allowed.chain(denied).collect::<Result<_, _>>()?,
            files: BTreeMap::new(),
            checked: Vec::new(),
        })
    }

    /// Returns the rule configuration for one file.
    pub(crate) fn for_file(&mut self, path: &Path) -> Result<RuleConfig, CliError> {
        let levels = RuleConfig::new(self.flags.clone());
        let Some(file) = self.rules_for(path)? else {
            return Ok(levels);
        };
        let name = self.name_for(&file, path);

        if !self.files.contains_key(&file) {
            let (entries, findings) = rule_config::read(&self.project.source(&file)?);
            let read = RuleFile { entries, findings };
            self.files.insert(file.clone(), read);
        }

        let rules = self.files.get(&file);
        let entries = rules.map(|rules| rules.entries.clone());
        let levels = levels.with_overrides(entries.unwrap_or_default());
        Ok(levels.for_file(&name))
    }

    /// Records which rules reported something in a file.
    pub(crate) fn record(&mut self, path: &Path, triggered: &BTreeSet<&'static str>) {
        let file = self.rules_for(path).ok().flatten().unwrap_or_default();
        let name = self.name_for(&file, path);
        self.checked.push((file, name, triggered.clone()));
    }

    /// Returns the findings about the configuration files themselves.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.files.values().flat_map(|file| &file.findings)
    }

    /// Returns the entries and flags that suppress nothing. With `whole`, the whole project was checked, so any
    /// entry can be reported; otherwise only an entry with all of its files checked.
    pub(crate) fn unused_entries(&self, whole: bool) -> Vec<Finding> {
        let triggered = |entry: &LevelOverride, config: Option<&PathBuf>| {
            let files = self.checked.iter().filter(|(file, name, _)| {
                config.is_none_or(|config| config == file) && entry.applies_to(name)
            });
            files.fold((0, false), |(count, found), (_, _, rules)| {
                (count + 1, found || rules.contains(entry.rule.as_str()))
            })
        };

        let flags = self.flags.iter().map(|flag| (None, flag));
        let entries = self
            .files
            .iter()
            .flat_map(|(file, rules)| rules.entries.iter().map(move |entry| (Some(file), entry)));
        let unused = flags.chain(entries).filter(|(file, entry)| {
            let (files, found) = triggered(entry, *file);
            // An entry may be needed by a file that was not part of this run.
            let complete = file.is_none() || whole || self.all_checked(entry);
            entry.lowers_severity() && !found && files > 0 && complete
        });

        unused
            .map(|(_, entry)| rule_config::unused_suppression(entry))
            .collect()
    }

    /// Returns whether an entry lists its files without patterns, and all of them were checked.
    fn all_checked(&self, entry: &LevelOverride) -> bool {
        let is_checked = |file: &String| {
            !file.contains(['*', '?']) && self.checked.iter().any(|(_, name, _)| name == file)
        };
        !entry.files.is_empty() && entry.files.iter().all(is_checked)
    }

    /// Returns the configuration file that applies to a file.
    fn rules_for(&self, path: &Path) -> Result<Option<PathBuf>, CliError> {
        if let Some(chosen) = &self.chosen {
            return Ok(Some(chosen.clone()));
        }

        let path = absolute(path).map_err(|source| CliError::File {
            act: "find",
            path: path.to_owned(),
            source,
        })?;

        if self.project.holds(&path) {
            return Ok(self.project.rules_file());
        }
        let folders = path.ancestors().skip(1);
        let mut files = folders.map(|folder| folder.join(DIRECTORY_RULES));

        Ok(files.find(|file| file.is_file()))
    }

    /// Returns a file's path as the entries of a configuration file name it: relative to the project, or to the
    /// configuration file.
    fn name_for(&self, rules: &Path, path: &Path) -> String {
        let is_project_file = self.project.rules_file().is_some_and(|file| file == rules);
        let base = if is_project_file {
            Some(self.project.root())
        } else {
            rules.parent()
        };
        let base = base.and_then(|base| absolute(base).ok());
        let path = absolute(path).unwrap_or_else(|_| path.to_owned());
        let inside = base.and_then(|base| path.strip_prefix(base).ok());
        inside.unwrap_or(&path).to_string_lossy().replace('\\', "/")
    }
}

const DIRECTORY_RULES: &str = ".assemble-rules.yaml";

fn flag(id: &str, level: Level, reason: &str) -> Result<LevelOverride, CliError> {
    let id = id.to_uppercase();
    let option = if level == Level::Off {
        "--allow"
    } else {
        "--deny"
    };

    check_id(&id)?;
    // A suppression without a reason cannot be reviewed later (rule M27).
    if reason.trim().is_empty() {
        let usage = format!("`--allow {id}=` has no reason; write one after the `=`");
        return Err(CliError::Usage(usage));
    }

    if level == Level::Off && !assembly::rules::is_suppressible(&id) {
        return Err(CliError::Usage(format!(
            "`{id}` cannot be allowed: without a fix there is nothing to render; see `assemble explain {id}`"
        )));
    }

    Ok(LevelOverride {
        location: Location::from_derivation(format!("`{option} {id}` on the command line"), None),
        rule: id,
        level,
        reason: reason.to_owned(),
        source: LevelSource::CommandLine,
        files: Vec::new(),
    })
}

/// Returns an error with a suggestion if there is no such rule.
pub(crate) fn check_id(id: &str) -> Result<(), CliError> {
    rule_config::check_rule_id(id).map_err(|meant| {
        let hint = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        CliError::Usage(format!(
            "unknown rule `{id}`; {hint}`assemble rules` lists all"
        ))
    })
}
