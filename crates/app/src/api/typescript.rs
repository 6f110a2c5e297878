//! The window's TypeScript types, made from the Rust types into one file.

use std::{any::TypeId, collections::BTreeMap, collections::HashSet};

use ts_rs::{TS, TypeVisitor};

use super::{MAX_HOLD_MINUTES, commands_typescript, visit_types};

const HEAD: &str = "\
// Made from the Rust types of the commands; do not edit.
// Renew it with `PLIMSOLL_UPDATE_BINDINGS=1 cargo nextest run -p plimsoll-app bindings`.
";

/// The text of `ui/src/lib/bindings.ts`.
pub fn bindings() -> String {
    // Numbers on the wire are JSON numbers; all of ours stay below 2^53.
    let config = ts_rs::Config::new().with_large_int("number");
    let collector = Collector::collect(&config);
    let mut text = String::from(HEAD);
    for declaration in collector.declarations.values() {
        text.push_str("\nexport ");
        text.push_str(declaration);
        text.push('\n');
    }
    text.push_str(&constants());
    text.push('\n');
    text.push_str(&commands_typescript(&config));
    text
}

/// Bounds that the window tells before it asks.
fn constants() -> String {
    format!("\n/** Longest hold. */\nexport const MAX_HOLD_MINUTES = {MAX_HOLD_MINUTES};\n")
}

struct Collector<'a> {
    config: &'a ts_rs::Config,
    seen: HashSet<TypeId>,
    declarations: BTreeMap<String, String>,
    /// Names that two different types have.
    clashes: Vec<String>,
}

// === impl Collector ===

impl<'a> Collector<'a> {
    fn collect(config: &'a ts_rs::Config) -> Self {
        let (seen, declarations, clashes) = (HashSet::new(), BTreeMap::new(), Vec::new());
        let mut collector = Self { config, seen, declarations, clashes };
        visit_types(&mut collector);
        collector
    }
}

impl TypeVisitor for Collector<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        // Only our own types have a file of their own; `Vec` and numbers do not.
        if T::output_path().is_some() {
            let declaration = T::decl(self.config);
            let name = T::ident(self.config);
            if let Some(other) = self.declarations.insert(name.clone(), declaration.clone())
                && other != declaration
            {
                self.clashes.push(name);
            }
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a Rust type changed and the window's types did not follow.
    #[test]
    fn bindings_are_current() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/bindings.ts");
        let fresh = bindings();
        if std::env::var_os("PLIMSOLL_UPDATE_BINDINGS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == fresh,
            "ui/src/lib/bindings.ts differs from the Rust types: run\n  \
             PLIMSOLL_UPDATE_BINDINGS=1 cargo nextest run -p plimsoll-app bindings"
        );
    }

    #[test]
    fn no_two_types_share_a_name_in_the_window() {
        let config = ts_rs::Config::new();
        assert_eq!(Collector::collect(&config).clashes, Vec::<String>::new());
    }

    /// The check above can fail: a changed field changes the text.
    #[test]
    fn a_changed_field_changes_the_bindings() {
        #[derive(TS)]
        #[ts(rename = "Pid")]
        struct Changed {
            #[expect(dead_code, reason = "only its type matters")]
            process_id: i64,
        }
        let config = ts_rs::Config::new().with_large_int("number");
        assert_eq!(Changed::decl(&config), "type Pid = { process_id: number, };");
        assert!(bindings().contains("type Pid = { pid: number, };"));
    }
}
