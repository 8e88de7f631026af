//! `SOURCE_DATE_EPOCH`: the time that reproducible builds write instead of the present one.
//!
//! Source: <https://reproducible-builds.org/specs/source-date-epoch/>.

use std::env;

use crate::error::CliError;

/// Reads the variable, in seconds since the Unix epoch.
pub(super) fn read() -> Result<Option<u64>, CliError> {
    let Some(text) = env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Some(seconds)),
        _ => Err(CliError::Usage(format!(
            "SOURCE_DATE_EPOCH is `{text}`; set it to seconds since 1970, for example `git log -1 --format=%ct`"
        ))),
    }
}

/// Formats a time as RFC 3339 in UTC.
pub(super) fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns year, month and day in the Gregorian calendar. Counted in periods of 400 years from 0000-03-01, so that the
/// leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;

    // Months count from March; January and February belong to the following year.
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
}

/// The largest time of a tar header: eleven octal digits.
const MAX_SECONDS: u64 = 0o777_7777_7777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_leap_days_and_year_ends() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        // 2000 is a leap year, 2100 is not.
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(rfc3339(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
