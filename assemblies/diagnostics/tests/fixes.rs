//! Fixes change the values they name and no other byte.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::{Source, parse};
use diagnostics::{Edit, Fix, FixError, apply_fixes};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

fn fix(edits: Vec<Edit>) -> Fix {
    Fix {
        title: "change it".to_owned(),
        edits,
    }
}

fn apply(text: &str, edits: Vec<Edit>) -> Result<String, FixError> {
    apply_fixes(&Source::new("case", text), &[fix(edits)])
}

fn set(pointer: &str, value: Value) -> Edit {
    Edit::Set(pointer.to_owned(), value)
}

fn remove(pointer: &str) -> Edit {
    Edit::Remove(pointer.to_owned())
}

const JSON: &str = r#"{
    "family": "web",
    "cpu":    "256",
    "containerDefinitions": [
        {
            "name": "app", "image": "app:1",
            "dependsOn": [
                {
                    "containerName": "a",
                    "condition": "START"
                }
            ]
        }
    ]
}

"#;

const YAML: &str = "\
family: web # the name
cpu: '256'

# what runs
containerDefinitions:
  - name: app   # the app
    image: app:1
    command: [serve, --fast]
    dependsOn:
      - containerName: a
        condition: START
  - name: a
    image: a:1
";

#[test]
fn replaces_a_value_and_keeps_the_rest_of_its_line() {
    for (text, before, after) in [
        (JSON, r#""cpu":    "256","#, r#""cpu":    "512","#),
        (YAML, "cpu: '256'", "cpu: \"512\""),
    ] {
        let done = apply(text, vec![set("/cpu", json!("512"))]).unwrap();
        assert_eq!(done, text.replace(before, after));
    }
}

#[test]
fn removes_a_member_with_its_line_or_comma() {
    for (text, pointer, before, after) in [
        (JSON, "/cpu", "\"cpu\":    \"256\",\n    ", ""),
        (
            JSON,
            "/containerDefinitions/0/image",
            r#""name": "app", "image": "app:1","#,
            r#""name": "app", "#,
        ),
        (
            JSON,
            "/containerDefinitions/0/dependsOn/0/condition",
            ",\n                    \"condition\": \"START\"",
            "",
        ),
        (YAML, "/cpu", "cpu: '256'\n", ""),
        (YAML, "/family", "family: web # the name\n", ""),
        (
            YAML,
            "/containerDefinitions/0/command/0",
            "[serve, --fast]",
            "[--fast]",
        ),
        (
            YAML,
            "/containerDefinitions/1/name",
            "- name: a\n    image",
            "- image",
        ),
        (
            YAML,
            "/containerDefinitions/1",
            "  - name: a\n    image: a:1\n",
            "",
        ),
        (
            YAML,
            "/containerDefinitions/0/dependsOn/0",
            "dependsOn:\n      - containerName: a\n        condition: START",
            "dependsOn: []",
        ),
    ] {
        let done = apply(text, vec![remove(pointer)]).unwrap();
        let expected = text
            .replace(before, after)
            .replace("\"app\",             ", "\"app\",\n            ");

        if pointer == "/containerDefinitions/0/image" && text == JSON {
            // The next member moves to the position of the removed one.
            let moved = text.replace("\"image\": \"app:1\",\n            ", "");
            assert_eq!(done, moved);
        } else {
            assert_eq!(done, expected, "{pointer}");
        }
    }
}

#[test]
fn adds_a_member_in_the_layout_of_its_siblings() {
    let edge = json!({ "containerName": "b", "condition": "START" });
    let pointer = "/containerDefinitions/0/dependsOn/1";
    let done = apply(JSON, vec![set(pointer, edge.clone())]).unwrap();
    let tail = "                }\n            ]";
    let new = r#"                },
                {
                    "condition": "START",
                    "containerName": "b"
                }
            ]"#;

    assert_eq!(normalise_order(&done), JSON.replace(tail, new));
    let done = apply(YAML, vec![set(pointer, edge)]).unwrap();
    let new = "condition: START\n      - { condition: START, containerName: b }\n";

    assert_eq!(
        normalise_order(&done),
        YAML.replace("condition: START\n", new)
    );
    let done = apply(JSON, vec![set("/networkMode", json!("awsvpc"))]).unwrap();
    assert_eq!(
        done,
        JSON.replace("    ]\n}", "    ],\n    \"networkMode\": \"awsvpc\"\n}")
    );
    let done = apply(YAML, vec![set("/networkMode", json!("awsvpc"))]).unwrap();
    assert_eq!(done, format!("{YAML}networkMode: awsvpc\n"));
}

/// Returns the text with one order of keys: another crate may enable `preserve_order` of serde_json.
fn normalise_order(text: &str) -> String {
    let new = [
        "\"containerName\": \"b\",\n                    \"condition\": \"START\"",
        "{ containerName: b, condition: START }",
    ];
    let old = [
        "\"condition\": \"START\",\n                    \"containerName\": \"b\"",
        "{ condition: START, containerName: b }",
    ];
    text.replace(new[0], old[0]).replace(new[1], old[1])
}

#[test]
fn two_fixes_share_the_map_that_they_create() {
    let at = "/containerDefinitions/1/linuxParameters";
    let fixes = [
        fix(vec![set(&format!("{at}/initProcessEnabled"), json!(true))]),
        fix(vec![set(&format!("{at}/maxSwap"), json!(0))]),
    ];
    let done = apply_fixes(&Source::new("case", YAML), &fixes).unwrap();
    let line = "    linuxParameters: { initProcessEnabled: true, maxSwap: 0 }\n";
    assert_eq!(done, format!("{YAML}{line}"));
}

#[test]
fn renames_a_key_in_place() {
    // A removal and an addition of the same value are recognized as a rename.
    let edits = vec![set("/memory", json!("256")), remove("/cpu")];
    let done = apply(YAML, edits).unwrap();
    assert_eq!(done, YAML.replace("cpu:", "memory:"));
}

#[test]
fn sets_and_removes_an_omitted_value() {
    for (text, edit, expected) in [
        ("a: 1\nb:\n", set("/b", json!(2)), "a: 1\nb: 2\n"),
        ("a: 1\nb:\n", remove("/b"), "a: 1\n"),
        ("{ \"a\": 1, \"b\": }", remove("/b"), "{ \"a\": 1 }"),
        (
            "{ \"b\": , \"a\": 1 }",
            set("/b", json!("x")),
            "{ \"b\": \"x\" , \"a\": 1 }",
        ),
    ] {
        assert_eq!(apply(text, vec![edit]).unwrap(), expected);
    }
}

#[test]
fn indices_refer_to_the_original_text() {
    let text = "[10, 11, 12, 13]";
    // If indices followed the text as it changes, `/3` would be out of bounds.
    let edits = vec![remove("/0"), set("/3", json!(9)), remove("/2")];
    assert_eq!(apply(text, edits).unwrap(), "[11, 9]");
}

#[test]
fn keeps_crlf_line_endings() {
    let text = YAML.replace('\n', "\r\n");
    let done = apply(&text, vec![set("/memory", json!("512")), remove("/cpu")]).unwrap();
    let expected = YAML.replace("cpu: '256'\n", "") + "memory: \"512\"\n";
    assert_eq!(done, expected.replace('\n', "\r\n"));
}

#[test]
fn reports_why_a_fix_cannot_be_applied() {
    // A change through an alias or below its anchor would change the other use as well.
    let shared = "a: &x [1, 2]\nb: *x\n";
    assert_eq!(
        apply(shared, vec![remove("/b/0")]),
        Err(FixError::UnsupportedLayout)
    );
    assert_eq!(
        apply(shared, vec![remove("/a/0")]),
        Err(FixError::UnsupportedLayout)
    );

    // Two rules may disagree; neither value is written.
    let two = vec![set("/cpu", json!("1")), set("/cpu", json!("2"))];
    assert_eq!(apply(YAML, two), Err(FixError::Conflict("/cpu".to_owned())));
    assert_eq!(
        apply(YAML, vec![remove("/cpu/0")]),
        Err(FixError::NotFound("/cpu/0".to_owned()))
    );
    assert!(matches!(apply("{", vec![]), Err(FixError::Syntax(_))));
}

/// The layout of a generated text.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Compact,
    Pretty,
    Block,
    Mixed,
}

fn format(value: &Value, layout: Layout) -> String {
    match layout {
        Layout::Compact => value.to_string(),
        Layout::Pretty => serde_json::to_string_pretty(value).unwrap() + "\n",
        Layout::Block => block(value, "", 9),
        Layout::Mixed => block(value, "", 1),
    }
}

/// Formats a value as YAML with `depth` levels in block style and JSON below.
fn block(value: &Value, indent: &str, depth: usize) -> String {
    let inner = format!("{indent}  ");
    let nested = |child: &Value, first: &str| {
        let has_members = child.as_array().is_some_and(|items| !items.is_empty())
            || child.as_object().is_some_and(|members| !members.is_empty());
        if depth == 0 || !has_members {
            // The comment must survive every edit of another value.
            format!("{first} {child} # {}\n", child.is_string())
        } else if child.is_object() && first.ends_with('-') {
            let text = block(child, &inner, depth - 1);
            format!("{first} {}", text.trim_start())
        } else {
            format!("{first}\n{}", block(child, &inner, depth - 1))
        }
    };

    match value {
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .map(|item| nested(item, &format!("{indent}-")))
            .collect(),
        Value::Object(members) if !members.is_empty() => members
            .iter()
            .map(|(key, member)| nested(member, &format!("{indent}{key}:")))
            .collect(),
        _ => format!("{value}\n"),
    }
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5..500i64).prop_map(Value::from),
        // Characters with a meaning in YAML, and one of two bytes.
        "[a-z é#:,'\"{}-]{0,6}".prop_map(Value::from),
        Just(Value::Null),
    ];

    let inner = scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-f]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });

    prop::collection::btree_map("[a-f]", inner, 1..5)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let each: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| (key.clone(), member))
            .collect(),
        _ => Vec::new(),
    };

    for (step, child) in each {
        let pointer = format!("{at}/{step}");
        pointers(child, &pointer, all);
        all.push(pointer);
    }
}

/// Applies one edit to the value itself, as the reference.
fn apply_to_value(mut value: Value, edit: &Edit) -> Value {
    let (Edit::Set(pointer, _) | Edit::Remove(pointer)) = edit;
    let (enclosing, step) = pointer.rsplit_once('/').unwrap();
    match (value.pointer_mut(enclosing).unwrap(), edit) {
        (Value::Object(members), Edit::Set(_, new)) => {
            members.insert(step.to_owned(), new.clone());
        }
        (Value::Object(members), Edit::Remove(_)) => {
            members.remove(step);
        }
        (Value::Array(items), Edit::Set(_, new)) => match step.parse::<usize>().unwrap() {
            index if index < items.len() => items[index] = new.clone(),
            _ => items.push(new.clone()),
        },
        (Value::Array(items), Edit::Remove(_)) => {
            items.remove(step.parse().unwrap());
        }
        _ => unreachable!("pointers end in maps and lists"),
    }

    value
}

#[derive(Debug, Clone)]
enum Kind {
    Set(Value),
    Add(Value),
    Remove,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        values().prop_map(Kind::Set),
        "[a-z]{1,4}".prop_map(|word| Kind::Set(word.into())),
        values().prop_map(Kind::Add),
        (0..9i64).prop_map(|number| Kind::Add(number.into())),
        Just(Kind::Remove),
    ]
}

fn edit(value: &Value, index: Index, kind: Kind) -> Edit {
    let mut all = Vec::new();
    pointers(value, "", &mut all);
    let pointer = all[index.index(all.len())].clone();
    match (kind, value.pointer(&pointer).unwrap()) {
        (Kind::Remove, _) => Edit::Remove(pointer),
        (Kind::Add(new), Value::Array(items)) => {
            Edit::Set(format!("{pointer}/{}", items.len()), new)
        }
        (Kind::Add(new), Value::Object(_)) => Edit::Set(format!("{pointer}/new"), new),
        (Kind::Set(new) | Kind::Add(new), _) => Edit::Set(pointer, new),
    }
}

proptest! {
    #[test]
    fn a_fixed_text_has_the_expected_value_and_keeps_the_other_lines(
        value in values(),
        layout in prop_oneof![Just(Layout::Compact), Just(Layout::Pretty), Just(Layout::Block), Just(Layout::Mixed)],
        index in any::<Index>(),
        kind in kinds(),
    ) {
        let text = format(&value, layout);
        let source = Source::new("case", text.as_str());
        prop_assert_eq!(parse(&source).unwrap().to_json(), value.clone(), "{}", &text);
        let edit = edit(&value, index, kind);
        let done = apply_fixes(&source, &[fix(vec![edit.clone()])])
            .map_err(|error| TestCaseError::fail(format!("{error}: {edit:?} of\n{text}")))?;
        let expected = apply_to_value(value, &edit);
        prop_assert_eq!(parse(&Source::new("done", done.as_str())).unwrap().to_json(), expected);
        prop_assert!(keeps_lines(&text, &done, &edit), "{:?} of\n{}gave\n{}", edit, text, done);
    }
}

/// Returns whether only the lines of the changed value, of its key, and of the member before differ. The member
/// before may gain or lose a comma.
fn keeps_lines(before: &str, after: &str, edit: &Edit) -> bool {
    let (Edit::Set(pointer, _) | Edit::Remove(pointer)) = edit;
    let root = parse(&Source::new("case", before)).unwrap();
    let enclosing = pointer.rsplit_once('/').unwrap().0;

    // Adding or removing a member may change its collection; replacing a value only changes the value.
    let node = match edit {
        Edit::Set(..) => root.at(pointer).or_else(|| root.at(enclosing)),
        Edit::Remove(_) => root.at(enclosing),
    }
    .unwrap();
    let first = before[..node.span.start]
        .matches('\n')
        .count()
        .saturating_sub(1);

    let last = before[node.span.end..]
        .matches('\n')
        .count()
        .saturating_sub(1);
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let head = old.len().min(first);
    let tail = old.len().saturating_sub(head).min(last);

    new.len() >= head + tail
        && old[..head] == new[..head]
        && old[old.len() - tail..] == new[new.len() - tail..]
}
