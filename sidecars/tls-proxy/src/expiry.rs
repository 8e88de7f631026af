//! The expiry of the certificates, as a detail of readiness and a warning.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chassis::Readiness;
use tokio::time::sleep;

use crate::Proxy;

/// Reports the expiry of the certificates in `/ready`, and logs a warning once a day if one is near; never returns.
pub(crate) async fn report(proxy: &Proxy, readiness: &Readiness) {
    let mut warned = None;
    loop {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        let expirations = proxy.certificate_expirations();
        let lines: Vec<String> = expirations
            .iter()
            .map(|end| format_expiry(end, now))
            .collect();

        if !lines.is_empty() {
            readiness.set_detail("certificate", lines.join("; "));
        }

        let reload = proxy.last_reload_error();
        readiness.set_detail("reload", reload.as_deref().unwrap_or("ok"));
        let soonest = expirations.iter().min_by_key(|(_, end)| *end);
        if let Some(soonest) = soonest.filter(|(_, end)| end - now < WARN_DAYS * DAY)
            // Once a day, counted in days since 1970.
            && warned != Some(now / DAY)
        {
            warned = Some(now / DAY);
            tracing::warn!("the certificate of {}", format_expiry(soonest, now));
        }
        sleep(REPORT_INTERVAL).await;
    }
}

fn format_expiry((name, end): &(String, i64), now: i64) -> String {
    let days = (end - now).abs() / DAY;
    if end < &now {
        format!("{name} expired {days} days ago")
    } else {
        format!("{name} expires in {days} days")
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(5);
const DAY: i64 = 24 * 60 * 60;
/// Number of days before its expiry from which a certificate causes a warning.
const WARN_DAYS: i64 = 14;
