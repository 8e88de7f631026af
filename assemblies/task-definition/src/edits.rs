//! The edits that turn one task definition into another, for changes that keep the layout of a file.

use diagnostics::source::Source;
use diagnostics::{Edit, Fix, escape};
use serde_json::Value;

use crate::read::{apply_fixes, read};
use crate::task::TaskDefinition;

/// Changes the text of a definition into that of another one: what is the same keeps its bytes.
///
/// Returns `None` if the layout of the text does not allow it, as with aliases.
pub fn edit_text(
    source: &Source,
    before: &TaskDefinition,
    after: &TaskDefinition,
) -> Option<String> {
    let value = |definition: &TaskDefinition| serde_json::to_value(definition).ok();
    let mut edits = Vec::new();
    collect_edits(&value(before)?, &value(after)?, "", &mut edits);

    let title = "write the new definition".to_owned();
    let text = apply_fixes(source, &[Fix { title, edits }]).ok()?;
    // A value that the text writes in another form, such as a number as text, may hide an edit.
    let written = read(&Source::new(source.name.as_str(), text.as_str())).ok()?;
    (written.definition == *after).then_some(text)
}

fn collect_edits(before: &Value, after: &Value, pointer: &str, edits: &mut Vec<Edit>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let pointer = format!("{pointer}/{}", escape(key));
                match new.get(key) {
                    Some(new) => collect_edits(value, new, &pointer, edits),
                    None => edits.push(Edit::Remove(pointer)),
                }
            }
            let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
            edits.extend(added.map(|(key, value)| {
                Edit::Set(format!("{pointer}/{}", escape(key)), value.clone())
            }));
        }
        (Value::Array(old), Value::Array(new)) => match list_edits(old, new, pointer) {
            Some(more) => edits.extend(more),
            None => edits.push(Edit::Set(pointer.to_owned(), after.clone())),
        },
        _ => edits.push(Edit::Set(pointer.to_owned(), after.clone())),
    }
}

/// Returns the edits of a list whose items keep their order, with new ones at its end.
fn list_edits(old: &[Value], new: &[Value], pointer: &str) -> Option<Vec<Edit>> {
    let mut edits = Vec::new();
    let mut rest = new;
    for (index, item) in old.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match rest.split_first() {
            Some((first, others)) if identity(first) == identity(item) => {
                collect_edits(item, first, &pointer, &mut edits);
                rest = others;
            }
            // The item has moved, or a new one is before it.
            _ if rest.iter().any(|other| identity(other) == identity(item)) => return None,
            _ => edits.push(Edit::Remove(pointer)),
        }
    }
    let added = rest.iter().enumerate();
    edits.extend(added.map(|(number, item)| {
        Edit::Set(format!("{pointer}/{}", old.len() + number), item.clone())
    }));
    Some(edits)
}

/// Returns what makes an item of a list the same in both: its name, or else the whole item.
fn identity(item: &Value) -> &Value {
    let names = ["name", "containerName", "containerPort", "sourceVolume"];
    names.iter().find_map(|name| item.get(name)).unwrap_or(item)
}

#[cfg(test)]
mod tests {
    use diagnostics::source::Source;

    use super::edit_text;
    use crate::container::{ContainerDefinition, KeyValue};
    use crate::read::read;

    #[test]
    fn keeps_order_layout_and_comments() {
        let text = "# the shop\nfamily: shop\nmemory: '512'\ncontainerDefinitions:\n- image: web:1   # pinned\n  name: web\n  memory: 64\n- {image: 'old:1', name: old}\n";
        let source = Source::new("shop.yaml", text);
        let before = read(&source).expect("a definition").definition;
        let mut after = before.clone();
        after.memory = Some("1024".to_owned());
        after.container_definitions.remove(1);
        after.container_definitions[0].environment = vec![KeyValue {
            name: "A".to_owned(),
            value: "b".to_owned(),
        }];
        after.container_definitions.push(ContainerDefinition {
            name: "new".to_owned(),
            image: "new:1".to_owned(),
            ..ContainerDefinition::default()
        });

        let edited = edit_text(&source, &before, &after).expect("editable");
        assert!(
            edited.starts_with("# the shop\nfamily: shop\nmemory: "),
            "{edited}"
        );
        assert!(
            edited.contains("- image: web:1   # pinned\n  name: web\n"),
            "{edited}"
        );
        assert!(!edited.contains("old:1"), "{edited}");
        let written = read(&Source::new("shop.yaml", edited)).expect("a definition");
        assert_eq!(written.definition, after);

        // Nothing to change keeps every byte.
        assert_eq!(edit_text(&source, &before, &before).as_deref(), Some(text));
    }
}
