//! Known coins: value, diameter and colour.

use serde::{Deserialize, Serialize};

/// A currency with known coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Currency {
    /// United States dollar.
    #[serde(rename = "USD")]
    Usd,
    /// Euro.
    #[serde(rename = "EUR")]
    Eur,
}

impl Currency {
    /// All currencies, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Usd, Self::Eur];

    /// Returns the coins in circulation. Half dollars and dollar coins are left out on purpose:
    /// they are rare enough that including them costs more correct results than it adds.
    pub fn coins(self) -> &'static [CoinKind] {
        match self {
            Self::Usd => &USD,
            Self::Eur => &EUR,
        }
    }

    /// Formats an amount: `$0.53`, `€3.88`.
    pub fn display(self, minor: u32) -> String {
        let sign = match self {
            Self::Usd => '$',
            Self::Eur => '€',
        };
        format!("{sign}{}.{:02}", minor / 100, minor % 100)
    }

    /// Returns the ISO 4217 code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

/// One kind of coin.
#[derive(Debug, PartialEq)]
pub struct CoinKind {
    /// The value in cents.
    pub value: u32,
    /// The name.
    pub name: &'static str,
    /// The diameter in millimetres.
    pub diameter: f32,
    /// The apparent material.
    pub metal: Metal,
}

/// Colour classes of coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metal {
    /// Reddish brown: cents.
    Copper,
    /// Grey all over: nickels, dimes, quarters.
    Silver,
    /// Yellow all over: 10, 20 and 50 euro cents.
    Gold,
    /// A grey centre in a yellow ring: 1 euro.
    GreyInGold,
    /// A yellow centre in a grey ring: 2 euro.
    GoldInGrey,
}

impl Metal {
    /// All classes, in the order of the classifier's outputs.
    pub const ALL: [Self; 5] = [
        Self::Copper,
        Self::Silver,
        Self::Gold,
        Self::GreyInGold,
        Self::GoldInGrey,
    ];
}

// Diameters from the specifications of the United States Mint.
const USD: [CoinKind; 4] = [
    CoinKind {
        value: 1,
        name: "penny",
        diameter: 19.05,
        metal: Metal::Copper,
    },
    CoinKind {
        value: 5,
        name: "nickel",
        diameter: 21.21,
        metal: Metal::Silver,
    },
    CoinKind {
        value: 10,
        name: "dime",
        diameter: 17.91,
        metal: Metal::Silver,
    },
    CoinKind {
        value: 25,
        name: "quarter",
        diameter: 24.26,
        metal: Metal::Silver,
    },
];

// Diameters from the common specifications of euro coins (Council Regulation 729/2014).
const EUR: [CoinKind; 8] = [
    CoinKind {
        value: 1,
        name: "1 cent",
        diameter: 16.25,
        metal: Metal::Copper,
    },
    CoinKind {
        value: 2,
        name: "2 cents",
        diameter: 18.75,
        metal: Metal::Copper,
    },
    CoinKind {
        value: 5,
        name: "5 cents",
        diameter: 21.25,
        metal: Metal::Copper,
    },
    CoinKind {
        value: 10,
        name: "10 cents",
        diameter: 19.75,
        metal: Metal::Gold,
    },
    CoinKind {
        value: 20,
        name: "20 cents",
        diameter: 22.25,
        metal: Metal::Gold,
    },
    CoinKind {
        value: 50,
        name: "50 cents",
        diameter: 24.25,
        metal: Metal::Gold,
    },
    CoinKind {
        value: 100,
        name: "1 euro",
        diameter: 23.25,
        metal: Metal::GreyInGold,
    },
    CoinKind {
        value: 200,
        name: "2 euro",
        diameter: 25.75,
        metal: Metal::GoldInGrey,
    },
];
