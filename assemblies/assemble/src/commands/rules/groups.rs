//! The groups of rules: each has a page in `docs/rules/`.

/// A group of rules.
#[derive(Debug)]
pub(super) struct Group {
    /// The page's file name, without its extension.
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    /// The first letter of the ids; rules of manifests share one letter and are listed in `ids` instead.
    letter: Option<char>,
    ids: &'static [&'static str],
}

impl Group {
    const fn by_letter(file: &'static str, title: &'static str, letter: char) -> Self {
        Self {
            file,
            title,
            letter: Some(letter),
            ids: &[],
        }
    }

    const fn by_id(file: &'static str, title: &'static str, ids: &'static [&'static str]) -> Self {
        Self {
            file,
            title,
            letter: None,
            ids,
        }
    }

    /// Returns whether a rule is in this group.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.letter.is_some_and(|letter| id.starts_with(letter)) || self.ids.contains(&id)
    }
}

/// All groups, in the order of the index. Every rule is in exactly one of them.
pub(super) static GROUPS: [Group; 26] = [
    Group::by_id(
        "manifest",
        "Manifest structure",
        &["M01", "M02", "M03", "M04", "M15", "M20", "M44"],
    ),
    Group::by_id(
        "components",
        "Components and wiring",
        &[
            "M05", "M06", "M07", "M08", "M09", "M17", "M18", "M21", "M22", "M33", "M45", "M48",
        ],
    ),
    Group::by_id(
        "settings",
        "Settings and secrets of components",
        &["M10", "M11", "M12", "M13", "M23", "M28"],
    ),
    Group::by_id(
        "values",
        "Values and environments",
        &["M14", "M30", "M31", "M32", "M46"],
    ),
    Group::by_id(
        "scaling-and-triggers",
        "Scaling, load balancers and triggers",
        &[
            "M16", "M37", "M38", "M39", "M40", "M41", "M42", "M43", "M47", "M49",
        ],
    ),
    Group::by_id("iam", "IAM", &["M19", "M34", "M35", "M36"]),
    Group::by_id(
        "rule-configuration",
        "Rule configuration",
        &["M24", "M25", "M26", "M27"],
    ),
    Group::by_id("lock", "Lock file", &["M50", "M51", "M52"]),
    Group::by_id(
        "task",
        "Task",
        &[
            "T01", "T02", "T03", "T04", "T05", "T06", "T07", "T08", "T09", "T10", "T11", "T13",
            "T16",
        ],
    ),
    Group::by_id(
        "roles-and-platforms",
        "Roles and platforms of a task",
        &[
            "T12", "T14", "T15", "T17", "T18", "T19", "T20", "T21", "T22",
        ],
    ),
    Group::by_id(
        "containers",
        "Containers",
        &[
            "C01", "C02", "C03", "C04", "C05", "C06", "C11", "C12", "C13", "C14", "C15",
        ],
    ),
    Group::by_id(
        "variables-and-commands",
        "Variables and commands of containers",
        &[
            "C07", "C08", "C09", "C10", "C16", "C17", "C18", "C19", "C20", "C21",
        ],
    ),
    Group::by_letter("resources", "CPU and memory of containers", 'R'),
    Group::by_letter("ports", "Ports", 'P'),
    Group::by_letter("dependencies", "Dependencies", 'D'),
    Group::by_letter("lifecycle", "Start and stop", 'F'),
    Group::by_letter("health", "Health checks and timeouts", 'H'),
    Group::by_letter("images", "Content of images (`check --images`)", 'I'),
    Group::by_letter("logging", "Logging", 'L'),
    Group::by_letter("secrets", "Secrets of containers", 'S'),
    Group::by_letter("volumes", "Volumes", 'V'),
    Group::by_letter("linux", "Linux and networking", 'X'),
    Group::by_id(
        "launch",
        "Services and RunTask",
        &[
            "Q01", "Q02", "Q03", "Q04", "Q05", "Q06", "Q07", "Q08", "Q09", "Q10", "Q21", "Q23",
        ],
    ),
    Group::by_id(
        "deployments",
        "Deployments of services",
        &[
            "Q11", "Q12", "Q13", "Q14", "Q15", "Q16", "Q19", "Q20", "Q22",
        ],
    ),
    Group::by_id(
        "targets",
        "Load balancers, registries and zones of services",
        &["Q17", "Q18", "Q24", "Q25", "Q26", "Q27"],
    ),
    Group::by_letter("syntax", "Syntax", 'Y'),
];

#[cfg(test)]
mod tests {
    use super::GROUPS;
    use crate::commands::rules::all;

    #[test]
    fn every_rule_is_in_exactly_one_group() {
        for rule in all() {
            let groups: Vec<&str> = GROUPS
                .iter()
                .filter(|group| group.contains(rule.id))
                .map(|group| group.file)
                .collect();
            assert_eq!(groups.len(), 1, "{}: {groups:?}", rule.id);
        }
    }

    #[test]
    fn every_listed_id_is_a_rule() {
        let rules = all();
        for id in GROUPS.iter().flat_map(|group| group.ids) {
            assert!(rules.iter().any(|rule| rule.id == *id), "{id}");
        }
    }
}
