//! Draws a photo of coins.
//!
//! ```text
//! cargo run -p coins --example draw -- OUT.jpg USD 25 10 5 1 1
//! ```

use std::error::Error;
use std::path::Path;

use coins::drawing::Scene;
use coins::money::Currency;
use coins::picture::{Format, encode};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, currency, values @ ..] = arguments.as_slice() else {
        return Err("usage: draw OUT.jpg|OUT.png USD|EUR CENTS...".into());
    };
    let currency = match currency.as_str() {
        "USD" => Currency::Usd,
        "EUR" => Currency::Eur,
        other => return Err(format!("unknown currency `{other}`; use USD or EUR").into()),
    };

    let values = values
        .iter()
        .map(|value| value.parse())
        .collect::<Result<Vec<u32>, _>>()?;
    let format = if Path::new(out).extension() == Some("png".as_ref()) {
        Format::Png
    } else {
        Format::Jpeg
    };

    let picture = Scene::new(1000, 800, 6.0).coins(currency, &values).draw();
    std::fs::write(out, encode(&picture, format)?)?;
    Ok(())
}
