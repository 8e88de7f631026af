//! Tests of every style: documents read back as the values they were written from.

use diagnostics::source::{Source, parse};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Comments, Style, document, entry};

/// Texts that some YAML parsers read as something else.
const ODD: [&str; 26] = [
    "",
    " ",
    "5s",
    "s",
    "no",
    "NO",
    "On",
    "y",
    "~",
    "null",
    "1",
    "1e3",
    "0x1f",
    "65532:65532",
    "12:30:45",
    "a: b",
    "a:",
    "- a",
    "a #b",
    "'a'",
    "\"a\"",
    "a\nb\n",
    "\u{85}\u{2028}\u{feff}",
    "{a}",
    "*a",
    "${A:?no \"b\"}",
];

#[test]
fn round_trips_ambiguous_texts() {
    let odd = json!(
        ODD.iter()
            .map(|text| (format!("k{text}"), *text))
            .collect::<Vec<_>>()
    );
    // Once as keys, once as values, once as both.
    let by_name: Map<String, Value> = ODD
        .iter()
        .map(|text| ((*text).to_owned(), json!(text)))
        .collect();
    let value = json!({
        "list": ODD, "pairs": odd, "map": by_name, "none": null, "empty": {}, "no": [],
        "numbers": [1, 2.5], "deep": [{ "a": { "b": [{ "c": "d", "e": true }] } }, { "f": null }],
    });
    let text = document(&value, Style::Compose);
    let read = parse(&Source::new("odd.yaml", text.clone())).map(|node| node.to_json());
    assert_eq!(read, Ok(value), "{text}");
}

#[test]
fn writes_plain_scalars_where_possible() {
    // `on` is a Boolean in YAML 1.1, and `65532:65532` a base-60 number.
    let value = json!({ "image": "busybox:1.37", "user": "65532:65532", "ports": [{ "target": 1, "on": "x" }] });
    let text = document(&value, Style::Compose);
    let expected =
        "image: busybox:1.37\nuser: \"65532:65532\"\nports:\n  - target: 1\n    \"on\": x\n";
    assert_eq!(text, expected);
}

#[test]
fn parsing_returns_the_written_value() {
    // Texts that a parser would misread without quotes, and values that need blocks.
    let value = json!({ "a": "no", "b c": ["1", "x: y", "#", "", "line\nline", "tab\t", "é"],
            "long": [{ "name": "x".repeat(60), "value": "y".repeat(60) }, { "k": {} }],
            "deep": { "list": ["z".repeat(70), "- w".repeat(20)], "null": null, "n": -1.5 } });
    let text: String = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| entry(key, value, 0))
        .collect();

    let read = parse(&Source::new("t.yaml", text.clone())).unwrap();
    assert_eq!(read.to_json(), value, "{text}");
}

#[test]
fn writes_short_functions_and_comments() {
    let value = json!({
        "Role": { "Fn::GetAtt": ["Role", "Arn"] },
        "Cluster": { "Fn::Sub": "arn:${Cluster}" },
        "Group": { "Fn::If": ["Made", { "Ref": "Group" }, { "Name": "other", "No": 7 }] },
        "Both": [{ "a": 1 }, { "Ref": "B" }],
    });

    let comments = [("/Role".to_owned(), "The role.".to_owned())].into();
    assert_eq!(
        document(&value, Style::Template(&comments)),
        "# The role.\nRole: !GetAtt [Role, Arn]\n\nCluster: !Sub \"arn:${Cluster}\"\n\nGroup: !If\n  \
             - Made\n  - !Ref Group\n  - Name: other\n    \"No\": 7\n\nBoth:\n  - a: 1\n  - !Ref B\n"
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        // Dense in YAML's indicators, which random strings rarely contain.
        "[a-zA-Z0-9:#,'\" \\[\\]{}&*!|>%@`.~-]{0,12}".prop_map(Value::from),
    ];

    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z0-9 :#-]{1,8}", inner, 0..5)
                .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn round_trips(value in any_value()) {
        let written = document(&value, Style::Template(&Comments::new()));
        let read = parse(&Source::new("written.yaml", written.clone()));
        let read = read.map(|node| node.to_json());
        prop_assert_eq!(read.ok(), Some(value), "{}", written);
    }
}
