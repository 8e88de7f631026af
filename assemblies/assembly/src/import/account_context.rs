//! What of a definition differs by environment: account and region.

use serde_json::Value;
use task_definition::TaskDefinition;

/// The account and region a definition was written for, as far as it says.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccountContext {
    account: Option<String>,
    region: Option<String>,
}

impl AccountContext {
    /// Looks at roles, images, secrets and logs.
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
        let account =
            account.filter(|text| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()));
        let region = region.filter(|text| looks_like_region(text));
        self.account = self.account.take().or(account.map(str::to_owned));
        self.region = self.region.take().or(region.map(str::to_owned));
    }

    fn learn_arn(&mut self, text: &str) {
        if let ["arn", _, _, region, account, ..] = text.split(':').collect::<Vec<_>>()[..] {
            self.learn(Some(account), Some(region));
        }
    }

    fn learn_image(&mut self, image: &str) {
        let host = image.split('/').next().unwrap_or_default();
        if let [_, "dkr", "ecr", region, ..] = host.split('.').collect::<Vec<_>>()[..] {
            // A registry may be somebody else's; its region alone says where the task runs.
            self.learn(None, Some(region));
        }
    }

    /// The account and region that the definition names.
    pub(crate) fn values(&self) -> [(&'static str, Option<&str>); 2] {
        [
            ("account", self.account.as_deref()),
            ("region", self.region.as_deref()),
        ]
    }

    /// The account; one that does not exist where the definition names none.
    pub(super) fn account(&self) -> &str {
        self.account.as_deref().unwrap_or("000000000000")
    }

    /// The region; the oldest where the definition names none.
    pub(super) fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// The values file.
    pub(super) fn values_file(&self, file: &str) -> String {
        let said = |known: bool| {
            if known {
                ""
            } else {
                " # the definition does not say: correct it"
            }
        };

        format!(
            "# Where `{file}` was made for.\naccount: \"{}\"{}\nregion: {}{}\n",
            self.account(),
            said(self.account.is_some()),
            self.region(),
            said(self.region.is_some())
        )
    }

    /// A value for a manifest: what fills would take for a value is escaped, and in ARNs account and
    /// region become values.
    pub(super) fn parametrise(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|one| self.parametrise(one)).collect(),
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

    /// An image, as `component.yaml` is to name it.
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

/// `${x}` as `$${x}`.
pub(super) fn escape_references(text: &str) -> String {
    let mut escaped = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let end = start + length + 1;
        escaped = escaped + &rest[..start] + "$" + &rest[start..end];
        rest = &rest[end..];
    }

    escaped + rest
}

/// `eu-central-1`.
fn looks_like_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.len() >= 3
        && parts[..parts.len() - 1].iter().all(letters)
        && parts[parts.len() - 1].parse::<u8>().is_ok()
}
