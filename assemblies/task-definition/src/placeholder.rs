//! Finds placeholders: `<role_arn>`, `{{image}}`, `${Region}`, `YOUR_ACCOUNT`.

/// Returns the first placeholder in a text.
///
/// Use it for structured values such as names, ARNs and images. Free text, such as a command, may contain
/// literal brackets and dollar signs.
pub fn find_placeholder(text: &str) -> Option<&str> {
    find_in_brackets(text)
        .or_else(|| find_in_arn_or_registry(text))
        .or_else(|| words(text).find(|word| is_placeholder_word(word, text)))
}

/// Finds `{{x}}`, `${x}`, `$(x)`, `<x>`, `{x}`, `[x]`, `%x%`.
fn find_in_brackets(text: &str) -> Option<&str> {
    BRACKETS.iter().find_map(|(open, close)| {
        let start = text.find(open)?;
        let inner = &text[start + open.len()..];
        let length = inner.find(close).filter(|length| *length > 0)?;
        // Templating languages put spaces, dots or dollar signs before the name: `{{ .Values.x }}`.
        let braces = open.ends_with('{');
        let word = inner.trim_start_matches(|c| braces && matches!(c, '{' | ' ' | '.' | '$'));
        let first = word.chars().next()?;
        let is_identifier = first.is_alphabetic() || first == '_';
        is_identifier.then(|| &text[start..start + open.len() + length + close.len()])
    })
}

const BRACKETS: [(&str, &str); 7] = [
    ("{{", "}}"),
    ("${", "}"),
    ("$(", ")"),
    ("<", ">"),
    ("{", "}"),
    ("[", "]"),
    ("%", "%"),
];

/// Finds words like `region` and `account` in the region and account fields of an ARN or a registry host.
fn find_in_arn_or_registry(text: &str) -> Option<&str> {
    if text.starts_with("arn:") {
        let parts: Vec<_> = text.split(':').collect();
        let region = parts.get(3).filter(|part| is_one_of(part, &REGIONS));
        let account = || parts.get(4).filter(|part| is_one_of(part, &ACCOUNTS));
        return region.or_else(account).copied();
    }

    let host = text.split('/').next()?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let account = Some(account).filter(|part| is_one_of(part, &ACCOUNTS));

    account.or(Some(region).filter(|part| is_one_of(part, &REGIONS)))
}

fn is_one_of(part: &str, words: &[&str]) -> bool {
    words.contains(&part.to_lowercase().replace('_', "-").as_str())
}

const REGIONS: [&str; 4] = ["aws-region", "my-region", "region", "your-region"];

const ACCOUNTS: [&str; 8] = [
    "account",
    "account-id",
    "account-number",
    "accountid",
    "aws-account",
    "aws-account-id",
    "my-account",
    "your-account",
];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .filter(|word| !word.is_empty())
}

/// Returns whether a word is a conventional placeholder: `XXXX`, `YOUR_IMAGE`, `MY_ROLE`, and in ARNs and images
/// also `AWS_ACCOUNT_ID`, because such capitals do not occur there.
fn is_placeholder_word(word: &str, text: &str) -> bool {
    let lower = word.to_lowercase();
    let is_crossed_out = word
        .split(['-', '_'])
        .any(|part| part.len() >= 4 && part.bytes().all(|byte| matches!(byte, b'x' | b'X')));
    let has_your_prefix = lower.starts_with("your_") || lower.starts_with("your-");
    let is_upper_case = word.contains('_') && word.bytes().all(is_upper_snake);
    let is_structured = text.starts_with("arn:") || text.contains(".amazonaws.com") || text == word;
    let account = is_one_of(word, &["account-id", "aws-account-id"]);

    is_crossed_out
        || has_your_prefix
        || account
        || word.starts_with("MY_")
        || (is_upper_case && is_structured && NOUNS.iter().any(|noun| word.ends_with(noun)))
}

fn is_upper_snake(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

const NOUNS: [&str; 9] = [
    "_ACCOUNT", "_ARN", "_ID", "_IMAGE", "_NAME", "_REGION", "_ROLE", "_TAG", "_URI",
];

#[cfg(test)]
mod tests {
    use super::find_placeholder;

    #[test]
    fn finds_common_placeholder_styles() {
        for (text, expected) in [
            ("<role_arn>", "<role_arn>"),
            ("web-{{stage}}", "{{stage}}"),
            ("{{ must_env `IMAGE` }}:1", "{{ must_env `IMAGE` }}"),
            ("{INSERT ticket/issue ID}", "{INSERT ticket/issue ID}"),
            ("arn:aws:ssm:${Region}:1:parameter/x", "${Region}"),
            ("$(ACCOUNT).dkr.ecr.eu-west-1.amazonaws.com/a", "$(ACCOUNT)"),
            ("[account-id]", "[account-id]"),
            ("%IMAGE%", "%IMAGE%"),
            ("MY_IMAGE", "MY_IMAGE"),
            ("YOUR_APP_IMAGE", "YOUR_APP_IMAGE"),
            ("your-app-image", "your-app-image"),
            ("AWS_ACCOUNT_ID", "AWS_ACCOUNT_ID"),
            (
                "aws_account_id.dkr.ecr.region.amazonaws.com/a",
                "aws_account_id",
            ),
            ("arn:aws:iam::ACCOUNT:role/x", "ACCOUNT"),
            (
                "arn:aws:iam::111122223333:role/EXECUTION_ROLE",
                "EXECUTION_ROLE",
            ),
            ("arn:aws:secretsmanager:region:1:secret:x", "region"),
            (
                "XXXXXXXXXXXX.dkr.ecr.us-east-1.amazonaws.com/a",
                "XXXXXXXXXXXX",
            ),
            (
                "arn:aws:secretsmanager:eu-west-1:111122223333:secret:n-xxxxxx",
                "n-xxxxxx",
            ),
        ] {
            assert_eq!(find_placeholder(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn accepts_literal_values() {
        for text in [
            "",
            "web",
            "my-app:latest",
            "MAX_VALUE",
            // The name of a real image that begins like a placeholder.
            "yourls:1.9",
            "public.ecr.aws/docker/library/nginx:1.29",
            "111122223333.dkr.ecr.eu-central-1.amazonaws.com/app:RELEASE_1",
            "app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "arn:aws:iam::111122223333:role/ecs-execution",
            "arn:aws:s3:::settings/region.env",
            "fs-0123456789abcdef0",
            "/mnt/xx",
            "$",
            "a < b > c",
            "100% of 5%",
            "[0]",
            "{}",
            "é{",
        ] {
            assert_eq!(find_placeholder(text), None, "{text}");
        }
    }
}
