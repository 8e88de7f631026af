//! The form of role names and role ARNs.

/// Returns what is wrong with the ARN or the name of a role, as the end of a sentence.
pub(super) fn find_role_problem(role: &str) -> Option<String> {
    if !role.starts_with("arn:") {
        // The API accepts the short name as well.
        return (!is_name(role))
            .then(|| format!("is neither an ARN nor the name of a role: `{role}`"));
    }
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let &[_, partition, service, region, account, resource] = parts.as_slice() else {
        return Some(format!(
            "has an ARN of {} parts, not 6: `{role}`",
            parts.len()
        ));
    };

    if !partition.starts_with("aws") {
        return Some(format!("has `{partition}` in place of the partition aws"));
    }
    if service != "iam" {
        return Some(format!("is an ARN of `{service}`, not of iam"));
    }
    if !region.is_empty() {
        return Some(format!("has the region `{region}`; roles have none"));
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!(
            "has `{account}` in place of an account of 12 digits"
        ));
    }

    let Some(path) = resource.strip_prefix("role/") else {
        let kind = resource.split('/').next().unwrap_or_default();
        return Some(format!("is the ARN of a {kind}, not of a role"));
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_valid = is_name(name) && !path.starts_with('/') && !path.contains("//");
    (!is_valid).then(|| format!("has `{path}` in place of the role's path and name"))
}

/// Returns what is wrong with a role where the API takes only its ARN.
pub(super) fn find_role_arn_problem(role: &str) -> Option<String> {
    if role.starts_with("arn:") {
        return find_role_problem(role);
    }
    Some(format!("is not the ARN of a role: `{role}`"))
}

/// Returns whether the text is a role's name: 1 to 64 letters, digits and `+=,.@_-`.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::find_role_problem;

    #[test]
    fn accepts_names_and_arns_of_roles_only() {
        for right in [
            "ecsTaskExecutionRole",
            "arn:aws:iam::111122223333:role/web",
            "arn:aws:iam::111122223333:role/service-role/team/web",
            "arn:aws-us-gov:iam::111122223333:role/web",
        ] {
            assert_eq!(find_role_problem(right), None, "{right}");
        }

        for wrong in [
            "",
            "/web",
            "arn:aws:iam",
            "arn:aws:iam::1111:role/web",
            "arn:aws:iam:eu-central-1:111122223333:role/web",
            "arn:aws:sts::111122223333:assumed-role/web/x",
            "arn:aws:iam::111122223333:instance-profile/web",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role//web",
            "arn:aws:iam::111122223333:web",
        ] {
            assert!(find_role_problem(wrong).is_some(), "{wrong}");
        }
    }
}
