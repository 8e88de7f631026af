//! No crate under assemblies/ names a component of sidecars/ or apps/ in its code: facts about components come from
//! the catalog.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use acceptance::workspace;
use proc_macro2::{TokenStream, TokenTree};

#[test]
fn no_crate_under_assemblies_names_a_component() {
    let components = components();
    let mut found = Vec::new();
    for crate_folder in folders(&workspace().join("assemblies")) {
        for name in names_in_sources(&crate_folder.join("src"), &components) {
            found.push(name);
        }
    }

    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn names_are_found_in_code_and_ignored_in_comments_and_tests() {
    let components = BTreeSet::from(["auth-filter".to_owned()]);
    let names = |source: &str| {
        let stream: TokenStream = source.parse().expect("Rust");
        let mut code = Code::default();
        code.read(stream);
        code.names(&components).len()
    };

    assert_eq!(names(r#"const NAME: &str = "auth-filter";"#), 1);
    assert_eq!(names(r#"const NAME: &str = "AUTH_FILTER_ISSUER";"#), 1);
    assert_eq!(names("fn auth_filter() {}"), 1);
    assert_eq!(names(r#"const NAME: &str = "author-filter";"#), 0);
    assert_eq!(names("//! For auth-filter."), 0);
    assert_eq!(
        names("/// Like auth-filter.\nfn filter() {} // auth-filter"),
        0
    );
    assert_eq!(
        names(r#"#[cfg(test)] mod tests { const NAME: &str = "auth-filter"; }"#),
        0
    );
}

/// Returns the names of the components that ship.
fn components() -> BTreeSet<String> {
    let halves = ["sidecars", "apps"].map(|half| workspace().join(half));
    let folders = halves.iter().flat_map(|half| folders(half));
    let components = folders.filter(|folder| folder.join("component.yaml").is_file());
    let names: BTreeSet<String> = components.map(|folder| file_name(&folder)).collect();

    // Guards against a moved folder, which would make the test pass over nothing.
    assert!(names.len() >= 5, "only {names:?} were found");
    names
}

/// Returns the component names in the code of a folder, each with its file.
fn names_in_sources(folder: &Path, components: &BTreeSet<String>) -> Vec<String> {
    let mut files = Vec::new();
    collect_sources(folder, &mut files);

    let mut found = Vec::new();
    let mut test_modules = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("a source file");
        let stream: TokenStream = text.parse().expect("Rust");
        let mut code = Code::default();
        code.read(stream);

        let modules = code.test_modules.iter();
        test_modules.extend(modules.map(|module| module_folder(file, module)));
        let names = code.names(components).into_iter();
        found.extend(names.map(|name| (file.clone(), name)));
    }

    // A test module with a file of its own is declared in another file.
    found.retain(|(file, _)| {
        let is_inside = |module: &PathBuf| file.with_extension("").starts_with(module);
        !test_modules.iter().any(is_inside)
    });
    let describe = |(file, name): (PathBuf, String)| format!("{}: {name}", file.display());
    found.into_iter().map(describe).collect()
}

fn collect_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in entries(folder) {
        if entry.is_dir() {
            collect_sources(&entry, files);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            files.push(entry);
        }
    }
}

/// Returns the folder of a module that `file` declares; the module's file is next to it or in it.
fn module_folder(file: &Path, module: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default();
    let is_root = ["mod", "lib", "main"].iter().any(|root| stem == *root);
    let folder = if is_root {
        file.parent().expect("a folder").to_owned()
    } else {
        file.with_extension("")
    };
    folder.join(module)
}

/// The words of the code that ships, without comments and without items for tests.
#[derive(Default)]
struct Code {
    words: Vec<String>,
    /// Modules for tests with a file of their own.
    test_modules: Vec<String>,
}

impl Code {
    fn read(&mut self, stream: TokenStream) {
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    // The attribute of a file: `#![…]`, also for its `//!` comment.
                    trees.next_if(|tree| tree.to_string() == "!");
                    let attribute = match trees.peek() {
                        Some(TokenTree::Group(group)) => group.stream().to_string(),
                        _ => continue,
                    };
                    if attribute.starts_with("doc") {
                        trees.next();
                    } else if attribute.replace(' ', "") == "cfg(test)" {
                        self.skip_item(&mut trees);
                    }
                }
                TokenTree::Group(group) => self.read(group.stream()),
                TokenTree::Punct(_) => {}
                other => self.words.push(other.to_string()),
            }
        }
    }

    /// Skips the rest of an attribute and its item, which ends with a block or a semicolon.
    fn skip_item(&mut self, trees: &mut impl Iterator<Item = TokenTree>) {
        let mut words = Vec::new();
        for tree in trees {
            match tree {
                TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace => {
                    return;
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                TokenTree::Ident(word) => words.push(word.to_string()),
                _ => {}
            }
        }

        let module = words.iter().skip_while(|word| *word != "mod").nth(1);
        self.test_modules.extend(module.cloned());
    }

    /// Returns the words that contain a component's name, also as an identifier or a variable's prefix.
    fn names(&self, components: &BTreeSet<String>) -> Vec<String> {
        let names_component = |word: &&String| {
            let text = word.to_lowercase().replace('_', "-");
            components.iter().any(|name| contains_word(&text, name))
        };
        self.words.iter().filter(names_component).cloned().collect()
    }
}

/// Returns whether a text contains a name that is not part of a longer word.
fn contains_word(text: &str, name: &str) -> bool {
    let is_boundary = |next: Option<char>| next.is_none_or(|next| !next.is_alphanumeric());
    text.match_indices(name).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        is_boundary(before) && is_boundary(after)
    })
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut folders = entries(parent);
    folders.retain(|folder| folder.is_dir());
    folders
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    // A folder of assemblies/ without sources is not a crate.
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.collect()
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}
