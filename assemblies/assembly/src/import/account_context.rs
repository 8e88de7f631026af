//! The account and region of a task definition, which differ by environment.

use serde_json::Value;
use task_definition::TaskDefinition;

/// The account and region that a definition contains, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountContext {
    account: Option<String>,
    region: Option<String>,
}

impl AccountContext {
    /// Searches roles, images, secrets and log options.
    pub(crate) fn from_definition(definition: &TaskDefinition) -> Self {
        let mut context = Self::default();
        let roles = [&definition.execution_role_arn, &definition.task_role_arn];
        for text in roles.into_iter().flatten() {
            context.learn_arn(text);
        }

        for container in &definition.container_definitions {
            context.learn_image(&container.image);
            for secret in &container.secrets {
                context.learn_arn(&secret.value_from);
            }

            let mut options = container.log_configuration.iter().map(|log| &log.options);
            if let Some(region) = options.find_map(|all| all.get("awslogs-region")) {
                context.learn(None, Some(region));
            }
        }

        context
    }

    fn learn(&mut self, account: Option<&str>, region: Option<&str>) {
        // Reject placeholders such as `<account>` and ARNs of AWS managed resources (`aws`).
        let account =
            account.filter(|text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
        let region = region.filter(|text| looks_like_region(text));
        self.account = self.account.take().or(account.map(str::to_owned));
        self.region = self.region.take().or(region.map(str::to_owned));
    }

    fn learn_arn(&mut self, text: &str) {
        // IAM ARNs have an empty region, which `learn` ignores.
        if let ["arn", _, _, region, account, ..] = text.split(':').collect::<Vec<_>>()[..] {
            self.learn(Some(account), Some(region));
        }
    }

    fn learn_image(&mut self, image: &str) {
        let host = image.split('/').next().unwrap_or_default();
        if let [_, "dkr", "ecr", region, ..] = host.split('.').collect::<Vec<_>>()[..] {
            // The registry may belong to another account, but is usually in the region of the task.
            self.learn(None, Some(region));
        }
    }

    /// Returns the values of `account` and `region`, as far as the definition contains them.
    pub(crate) fn values(&self) -> [(&'static str, Option<&str>); 2] {
        [
            ("account", self.account.as_deref()),
            ("region", self.region.as_deref()),
        ]
    }

    /// Returns the account; the fallback is one that does not exist.
    pub(super) fn account(&self) -> &str {
        self.account.as_deref().unwrap_or("000000000000")
    }

    /// Returns the region; the fallback is the oldest one.
    pub(super) fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// Returns the text of the values file.
    pub(super) fn values_file(&self, file: &str) -> String {
        let comment = |known: bool| {
            if known {
                ""
            } else {
                " # not in the definition: correct it"
            }
        };

        format!(
            "# The account and region of `{file}`.\naccount: \"{}\"{}\nregion: {}{}\n",
            self.account(),
            comment(self.account.is_some()),
            self.region(),
            comment(self.region.is_some())
        )
    }

    /// Converts a value for a manifest: `${` is escaped, and account and region in ARNs become references.
    pub(super) fn parametrise(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.parametrise(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(key, value)| (key.clone(), self.parametrise(value)));
                Value::Object(fields.collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        let text = escape_references(text);
        // arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
        let mut parts: Vec<&str> = text.split(':').collect();
        if parts.len() < 5 || parts[0] != "arn" {
            return text;
        }

        if self.region.as_deref() == Some(parts[3]) {
            parts[3] = "${region}";
        }
        if self.account.as_deref() == Some(parts[4]) {
            parts[4] = "${account}";
        }

        parts.join(":")
    }

    /// Converts an image for `component.yaml`: account and region of an ECR registry become references.
    pub(super) fn parametrise_image(&self, image: &str) -> String {
        let image = escape_references(image);
        match (&self.account, &self.region) {
            (Some(account), Some(region)) => {
                let own = format!("{account}.dkr.ecr.{region}.");
                match image.strip_prefix(&own) {
                    Some(rest) => format!("${{account}}.dkr.ecr.${{region}}.{rest}"),
                    None => image,
                }
            }
            _ => image,
        }
    }
}

/// Escapes every `${x}` as `$${x}`.
pub(super) fn escape_references(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let end = start + length + 1;
        result = result + &rest[..start] + "$" + &rest[start..end];
        rest = &rest[end..];
    }

    result + rest
}

/// Returns whether a text has the form of a region: `eu-central-1`.
fn looks_like_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.len() >= 3
        && parts[..parts.len() - 1].iter().all(letters)
        && parts[parts.len() - 1].parse::<u8>().is_ok()
}
