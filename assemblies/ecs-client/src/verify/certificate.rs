//! Certificates of the load balancer: status, end, region, names.

use serde_json::Value;

use super::balancer::Balancer;
use super::check::{Check, CheckGroup, CheckOutcome};
use super::reader::Answer;
use super::request::VerifyRequest;
use super::{items, text};

/// Returns a check for each certificate, and one for the names that clients connect to.
pub(super) fn checks(request: &VerifyRequest, balancer: &Balancer) -> Vec<Check> {
    let certificates = &balancer.certificates;
    let mut checks: Vec<_> = certificates
        .iter()
        .map(|(arn, answer)| {
            let id = arn.rsplit('/').next().unwrap_or(arn);
            Check::new(CheckGroup::Certificate, id, check(request, arn, answer))
        })
        .collect();

    let hosts: Vec<_> = request
        .place
        .hosts
        .iter()
        .filter(|host| *host != "*")
        .collect();

    if !certificates.is_empty() && !hosts.is_empty() {
        let outcome = names(&hosts, certificates);
        checks.push(Check::new(CheckGroup::Certificate, "names", outcome));
    }

    checks
}

fn check(request: &VerifyRequest, arn: &str, answer: &Answer) -> CheckOutcome {
    // Only CloudFront uses certificates of another region.
    let region = arn.split(':').nth(3).unwrap_or_default();
    if region != request.region {
        return CheckOutcome::fail(
            format!(
                "it is in {region}, and the load balancer in {}",
                request.region
            ),
            format!("request or import it in {}", request.region),
        );
    }

    let certificate = match answer {
        Answer::Found(response) => &response["Certificate"],
        Answer::Unknown(unknown) => return unknown.into(),
        Answer::Missing(message) => {
            return CheckOutcome::fail(message.clone(), "correct `certificate_arn` in the values");
        }
    };

    let status = text(certificate, "Status");
    if status != "ISSUED" {
        let fix = match status {
            "PENDING_VALIDATION" => {
                "create the DNS records that `aws acm describe-certificate` prints"
            }
            _ => "request or import another certificate",
        };
        return CheckOutcome::fail(format!("its status is {status}"), fix);
    }

    // ACM renews its own certificates 60 days before their end, as long as the DNS records stay.
    let left = days_left(certificate, request.now);
    match left {
        Some(left) if left < 0 => CheckOutcome::fail(
            format!("it expired {} days ago", -left),
            "import a new one with the same ARN, or request another one",
        ),
        Some(left) if left < MIN_DAYS => CheckOutcome::fail(
            format!(
                "it expires in {left} days; its renewal is {}",
                text(certificate, "RenewalEligibility")
            ),
            "import a new one with the same ARN, or see its renewal in ACM",
        ),
        Some(left) => CheckOutcome::ok(format!(
            "{}, {left} days left",
            text(certificate, "DomainName")
        )),
        None => CheckOutcome::ok(text(certificate, "DomainName")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "days since 1970 fit"
)]
fn days_left(certificate: &Value, now: u64) -> Option<i64> {
    let end = certificate["NotAfter"].as_f64()?;
    Some(((end - now as f64) / DAY).floor() as i64)
}

fn names(hosts: &[&String], certificates: &[(String, Answer)]) -> CheckOutcome {
    let names: Vec<&str> = certificates
        .iter()
        .flat_map(|(_, answer)| {
            let certificate = &answer.value()["Certificate"];
            items(&certificate["SubjectAlternativeNames"])
                .chain([&certificate["DomainName"]])
                .filter_map(Value::as_str)
        })
        .collect();

    // A certificate that cannot be read has its own check.
    if names.is_empty() {
        return CheckOutcome::skip("the names of the certificates are not known");
    }
    match hosts
        .iter()
        .find(|host| !names.iter().any(|name| covers(name, host)))
    {
        Some(host) => CheckOutcome::fail(
            format!("no certificate has the name {host}"),
            "request a certificate with this name, or correct `hosts` in the values",
        ),
        None => CheckOutcome::ok("all hosts"),
    }
}

/// Returns whether the name of a certificate is that of a host: `*` matches one label (RFC 9525, section 6.3).
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    match name.strip_prefix("*.") {
        Some(end) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == end),
        None => name == host,
    }
}

const DAY: f64 = 24.0 * 3600.0;
/// ACM warns 45 days before the end of imported certificates; by then a renewal should be under way.
const MIN_DAYS: i64 = 14;

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_is_for_one_label() {
        assert!(covers("*.example.com", "api.Example.com"));
        assert!(!covers("*.example.com", "a.b.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(covers("example.com", "example.com"));
    }
}
