//! Host names of private Amazon ECR registries.

/// A private registry of Amazon ECR, recognized by its host name.
///
/// The forms are those of the AWS General Reference ("Amazon ECR endpoints and quotas") and of Amazon's credential
/// helper: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, with FIPS `ACCOUNT.dkr.ecr-fips.REGION.amazonaws.com`, with IPv6
/// `ACCOUNT.dkr-ecr.REGION.on.aws`, and those of the partitions in China and the European Sovereign Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrRegistry {
    account: String,
    region: String,
    endpoint: String,
}

impl EcrRegistry {
    /// Parses a host name; returns `None` if it is not one of ECR.
    pub fn parse(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once(".dkr")?;
        let (service, rest) = rest
            .split_once('.')
            .filter(|(start, _)| !start.is_empty())
            .or_else(
                // `.dkr.ecr.REGION`: the service is the next label.
                || rest.strip_prefix('.')?.split_once('.'),
            )?;
        let (region, domain) = rest.split_once('.')?;
        let is_dual_stack = service.starts_with('-');
        let name = service.trim_start_matches('-');
        let is_fips = match name {
            "ecr" => false,
            "ecr-fips" => true,
            _ => return None,
        };

        let endpoint = match (is_dual_stack, domain) {
            (false, "amazonaws.com" | "amazonaws.com.cn" | "amazonaws.eu") if is_fips => {
                format!("https://ecr-fips.{region}.{domain}")
            }
            (false, "amazonaws.com" | "amazonaws.com.cn" | "amazonaws.eu") => {
                format!("https://api.ecr.{region}.{domain}")
            }
            (true, "on.aws") => format!("https://{name}.{region}.api.aws"),
            (true, "on.amazonwebservices.com.cn" | "on.amazonwebservices.eu") => {
                format!("https://{name}.{region}.api.{}", &domain["on.".len()..])
            }
            _ => return None,
        };

        let is_label = |text: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !text.is_empty() && text.chars().all(is_allowed)
        };
        (is_label(account) && is_label(region)).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            endpoint,
        })
    }

    /// Returns the account, which is the ID of the registry.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the URL of the API in the same region.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_every_form() {
        for (host, region, endpoint) in [
            (
                "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
                "eu-central-1",
                "https://api.ecr.eu-central-1.amazonaws.com",
            ),
            (
                "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                "https://api.ecr.cn-north-1.amazonaws.com.cn",
            ),
            (
                "111122223333.dkr.ecr-fips.us-east-1.amazonaws.com",
                "us-east-1",
                "https://ecr-fips.us-east-1.amazonaws.com",
            ),
            (
                "111122223333.dkr-ecr.eu-west-1.on.aws",
                "eu-west-1",
                "https://ecr.eu-west-1.api.aws",
            ),
            (
                "111122223333.dkr-ecr-fips.us-east-1.on.aws",
                "us-east-1",
                "https://ecr-fips.us-east-1.api.aws",
            ),
            (
                "111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                "cn-north-1",
                "https://ecr.cn-north-1.api.amazonwebservices.com.cn",
            ),
        ] {
            let registry = EcrRegistry::parse(host).unwrap();
            assert_eq!(
                (registry.account(), registry.region()),
                ("111122223333", region)
            );
            assert_eq!(registry.endpoint(), endpoint);
        }
    }

    #[test]
    fn ignores_other_hosts() {
        for host in [
            "docker.io",
            "public.ecr.aws",
            "111122223333.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
            "111122223333.dkr.ecr.evil.example",
            "x/.dkr.ecr.eu-central-1.amazonaws.com",
            "localhost:5000",
        ] {
            assert_eq!(EcrRegistry::parse(host), None, "{host}");
        }
    }
}
