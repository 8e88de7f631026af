//! M46: two environments of one account have the same names.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M46.
pub(crate) const RULE: Rule = Rule {
    id: "M46",
    name: "same-names",
    severity: Severity::Warning,
    title: "two environments of one account have the same names",
    explanation: "The names of the roles, the service, the log group, the queue and the family begin with the name of the assembly. In one account and region two environments would have one stack, which `deploy` refuses to change with the values of the other, and share revisions and logs. A value in the name, such as the stage, keeps them apart. `check` and `compare` report this rule.",
    source: "docs/manifest.md; CloudFormation user guide, custom names",
    hint: "write a value into the name, such as `name: shop-${stage}`",
    passing: "\
name: shop-${stage}
app: web
service: {}
environments:
  staging: { service: { min: 1 } }
  production: { service: { min: 2, max: 2 } }
",
    // Both environments are in the account of the values.
    failing: Failing::Change("name: shop-${stage}", "name: shop"),
    suppressible: true,
    ..MANIFEST
};

/// Reports the name that an assembly has in two environments of an account.
pub(crate) fn same_names(
    location: Location,
    name: &str,
    environments: [&str; 2],
    account: &str,
) -> Finding {
    let [first, second] = environments;
    RULE.finding(
        location,
        format!(
            "`{name}` has the same roles, service, log group and family in {first} and {second}, which share account {account}"
        ),
        format!("write `name: {name}-${{stage}}`, and a value `stage` for each environment"),
    )
}
