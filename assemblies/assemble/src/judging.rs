//! What is said about rules from outside of a manifest: by flags, by a project's file, by a folder's.
//!
//! Who wins, the first first: a flag, the manifest itself (read by the library), then
//! `assemblies/rules.yaml`, or, for a file that lies in no project, the nearest
//! `.assemble-rules.yaml` upwards from it. `--rules FILE` stands in for either. In a file, an entry that
//! names its files wins over one that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf, absolute};

use assembly::rulings;
use clap::Args;
use task_definition::{Authority, Finding, Judgement, Place, Ruling, Verdict};

use crate::cli::pair;
use crate::failure::Failure;
use crate::project::Project;

/// How bad the findings of a rule are, this time.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RuleArguments {
    /// Does not tell what a rule finds; the reason is kept.
    #[arg(long, value_name = "ID=REASON", value_parser = pair)]
    pub(crate) silence: Vec<(String, String)>,
    /// Makes the findings of a rule errors.
    #[arg(long, value_name = "ID")]
    pub(crate) raise: Vec<String>,
    /// What is silenced and raised, in place of `assemblies/rules.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

/// Everybody outside of the manifests who says something about rules.
#[derive(Debug)]
pub(crate) struct Judging<'p> {
    project: &'p Project,
    named: Option<PathBuf>,
    flags: Vec<Ruling>,
    /// What has been read so far, by file.
    files: BTreeMap<PathBuf, RulesOfFile>,
    /// The files that were judged, as the entries know them, and what was found in them.
    judged: Vec<(PathBuf, String, BTreeSet<&'static str>)>,
}

#[derive(Debug, Default)]
struct RulesOfFile {
    rulings: Vec<Ruling>,
    findings: Vec<Finding>,
}

impl<'p> Judging<'p> {
    /// Understands the flags.
    pub(crate) fn new(arguments: &RuleArguments, project: &'p Project) -> Result<Self, Failure> {
        let silenced = arguments.silence.iter();
        let silenced = silenced.map(|(id, reason)| flag(id, Verdict::Off, reason));
        let raised = arguments.raise.iter();
        let raised = raised.map(|id| flag(id, Verdict::Error, "raised on the command line"));

        Ok(Self {
            project,
            named: arguments.rules.clone(),
            flags: silenced.chain(raised).collect::<Result<_, _>>()?,
            files: BTreeMap::new(),
            judged: Vec::new(),
        })
    }

    /// What is said about the rules for one file.
    pub(crate) fn of(&mut self, path: &Path) -> Result<Judgement, Failure> {
        let judgement = Judgement::new(self.flags.clone());
        let Some(file) = self.rules_for(path)? else {
            return Ok(judgement);
        };
        let about = self.name_for(&file, path);

        if !self.files.contains_key(&file) {
            let (rulings, findings) = rulings::read(&self.project.source(&file)?);
            let read = RulesOfFile { rulings, findings };
            self.files.insert(file.clone(), read);
        }

        let rules = self.files.get(&file);
        let rulings = rules.map(|rules| rules.rulings.clone());
        let judgement = judgement.with(rulings.unwrap_or_default());
        Ok(judgement.about(&about))
    }

    /// Remembers which rules found something in a file.
    pub(crate) fn seen(&mut self, path: &Path, seen: &BTreeSet<&'static str>) {
        let file = self.rules_for(path).ok().flatten().unwrap_or_default();
        let name = self.name_for(&file, path);
        self.judged.push((file, name, seen.clone()));
    }

    /// What is wrong with the files of rules themselves.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.files.values().flat_map(|file| &file.findings)
    }

    /// The entries and flags that silence nothing. `whole` says that all of the project was judged, so
    /// that an entry for any file can be called stale; otherwise only one whose files were all judged.
    pub(crate) fn stale(&self, whole: bool) -> Vec<Finding> {
        let found = |ruling: &Ruling, among: Option<&PathBuf>| {
            let about = self.judged.iter().filter(|(file, name, _)| {
                among.is_none_or(|among| among == file) && ruling.is_about(name)
            });
            about.fold((0, false), |(files, found), (_, _, seen)| {
                (files + 1, found || seen.contains(ruling.rule.as_str()))
            })
        };

        let flags = self.flags.iter().map(|flag| (None, flag));
        let entries = self.files.iter();
        let entries = entries
            .flat_map(|(file, rules)| rules.rulings.iter().map(move |one| (Some(file), one)));
        let stale = flags.chain(entries).filter(|(file, ruling)| {
            let (files, found) = found(ruling, *file);
            let all = file.is_none() || whole || self.all_judged(ruling);
            ruling.silences() && !found && files > 0 && all
        });

        stale
            .map(|(_, ruling)| rulings::silences_nothing(ruling))
            .collect()
    }

    /// Whether an entry names its files one by one, and all of them were judged.
    fn all_judged(&self, ruling: &Ruling) -> bool {
        let judged = |file: &String| {
            !file.contains(['*', '?']) && self.judged.iter().any(|(_, name, _)| name == file)
        };
        !ruling.files.is_empty() && ruling.files.iter().all(judged)
    }

    /// The file of rules that speaks about a file.
    fn rules_for(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        if let Some(named) = &self.named {
            return Ok(Some(named.clone()));
        }

        let path = absolute(path).map_err(|source| Failure::File {
            act: "find",
            path: path.to_owned(),
            source,
        })?;

        if self.project.holds(&path) {
            return Ok(self.project.rules_file());
        }
        let folders = path.ancestors().skip(1);
        let mut files = folders.map(|folder| folder.join(RULES_OF_A_FOLDER));

        Ok(files.find(|file| file.is_file()))
    }

    /// How the entries of a file of rules name a file: from the project's folder, or from their own.
    fn name_for(&self, rules: &Path, path: &Path) -> String {
        let of_project = self.project.rules_file().is_some_and(|file| file == rules);
        let base = if of_project {
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

const RULES_OF_A_FOLDER: &str = ".assemble-rules.yaml";

fn flag(id: &str, verdict: Verdict, reason: &str) -> Result<Ruling, Failure> {
    let id = id.to_uppercase();
    let option = if verdict == Verdict::Off {
        "--silence"
    } else {
        "--raise"
    };

    known(&id)?;
    if reason.trim().is_empty() {
        let usage = format!("`--silence {id}=` gives no reason; write why after the `=`");
        return Err(Failure::Usage(usage));
    }

    if verdict == Verdict::Off && !assembly::rules::may_be_silenced(&id) {
        return Err(Failure::Usage(format!(
            "`{id}` cannot be silenced: nothing can be made in spite of its error; see `assemble explain {id}`"
        )));
    }

    Ok(Ruling {
        place: Place::derived(format!("`{option} {id}` on the command line"), None),
        rule: id,
        verdict,
        reason: reason.to_owned(),
        authority: Authority::CommandLine,
        files: Vec::new(),
    })
}

/// Whether there is such a rule; the failure says which one was probably meant.
pub(crate) fn known(id: &str) -> Result<(), Failure> {
    rulings::known(id).map_err(|meant| {
        let hint = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        Failure::Usage(format!(
            "there is no rule `{id}`; {hint}`assemble rules` lists them"
        ))
    })
}
