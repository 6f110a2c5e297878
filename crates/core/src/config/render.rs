//! What is made from the table: the commented defaults, the JSON schema, and
//! `docs/settings.md`. Tests keep the committed files equal to what is made here.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    check::allowed,
    environment::variable_of,
    rules::{BUILT_IN, BuiltIn},
    setting::{Accepts, Constant, Setting},
    table::SETTINGS,
    toml_value,
    values::{Values, rule_key, rule_settings},
};

const LINE: usize = 96;

/// The text of `defaults.toml`.
pub fn defaults_toml() -> String {
    let mut text = String::from(
        "# Every setting of Plimsoll with its default, made from the tables in table/.\n\
         # A file of your own needs only the lines that differ.\n",
    );
    let mut section = "";
    let mut table = String::new();
    for s in SETTINGS.iter().filter(|s| !s.is_pattern()) {
        if s.section != section {
            section = s.section;
            let _ = write!(text, "\n\n# === {section} ===\n");
        }
        let (parent, name) = s.key.rsplit_once('.').unwrap_or(("", s.key));
        if parent != table {
            table = parent.into();
            let _ = write!(text, "\n[{table}]\n");
        }
        comment(&mut text, s.meaning);
        comment(&mut text, &facts(s));
        let _ = writeln!(text, "{name} = {}", toml_value(&s.default.value()));
    }
    text.push_str(
        "\n\n# === Services of your own ===\n\
         # What is not found by itself, and what other machines serve, has a table here, e.g.\n\
         #   [services.llama]\n\
         #   url = \"http://192.168.1.20:8080\"\n\
         # and, where they help, kind, name, key_file, enabled, scrape_ms and max_connections.\n\
         # With a command Plimsoll starts and stops it itself, e.g.\n\
         #   kind = \"llama-cpp\"\n\
         #   command = [\"llama-server\", \"-m\", \"/models/a.gguf\", \"--port\", \"8080\"]\n\
         #   context_tokens = 16384\n\
         # and, where they help, cwd, env, autostart, order, restart, stop_s, vram_mib, parallel,\n\
         # kv_type, gpu_layers and gpu_memory_utilization. Through the gateway at most\n\
         # max_in_flight requests run on it at once. Of a service that was found max_in_flight\n\
         # and max_tokens can be said without a url, by its id.\n",
    );
    text.push_str(
        "\n\n# === Routes and clients of the gateway ===\n\
         # A model's own name leads to every service that has it. A route changes that, e.g.\n\
         #   [gateway.routes.fast]\n\
         #   models = [\"gpt-4o-mini\", \"fast\"]\n\
         #   send_as = \"qwen3:4b\"\n\
         #   fallback = [\"llama3.2:3b\"]\n\
         # and, where they help, enabled, backends, policy, max_in_flight, priority, cache and\n\
         # coalesce. A client that has limits of its own is told by its program, its user agent or\n\
         # its key, e.g.\n\
         #   [gateway.clients.nightly]\n\
         #   program = \"nightly_job\"    # runs as python3 nightly_job.py\n\
         #   priority = \"batch\"\n\
         #   max_in_flight = 2\n\
         # and, where they help, agent, key, requests_per_min and tokens_per_min.\n",
    );
    text.push_str("\n\n# === Alert rules ===\n");
    text.push_str(
        "# A rule of your own has an id of its own, a metric and a threshold, e.g.\n\
         #   [alerts.rules.cpu-busy]\n\
         #   metric = \"cpu.busy\"\n\
         #   threshold = 95\n\
         # and, where they help, below, clear, for_s, severity, subject and title.\n",
    );
    let values = Values::default();
    for rule in BUILT_IN {
        let _ = write!(text, "\n[alerts.rules.{}]\n", rule.id);
        comment(&mut text, rule.meaning);
        for s in rule_settings() {
            let key = s.key.replace('*', rule.id);
            if let Some(value) = values.default_of(&key) {
                let name = key.rsplit('.').next().unwrap_or_default();
                let _ = writeln!(text, "{name} = {}", toml_value(&value));
            }
        }
    }
    text
}

/// `A whole number, 1 to 720 h. Conservative 24, aggressive 168. Needs a restart.`
fn facts(s: &Setting) -> String {
    let mut text = allowed(s);
    if let Some(first) = text.get(..1).map(str::to_uppercase) {
        text.replace_range(..1, &first);
    }
    text.push('.');
    let shown = |c: Constant| toml_value(&c.value());
    if let (Some(conservative), Some(aggressive)) = (s.conservative, s.aggressive) {
        let _ = write!(
            text,
            " Conservative {}, aggressive {}.",
            shown(conservative),
            shown(aggressive)
        );
    }
    if !s.live {
        text.push_str(" Needs a restart.");
    }
    text
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > LINE {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

/// The text of `docs/settings.md`.
pub fn settings_md() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         Made from the table in `crates/core/src/config/table/`; a test keeps it true.\n\n\
         The file is `plimsoll.toml`, by default in `~/.config/plimsoll/`. Environment variables \
         override it.\n`plimsoll config get|set|validate` read and change it, and the Settings \
         page of the window edits the same file.\n\
         An alternative is given as conservative / aggressive. All but those marked ↻ apply at once; \
         ↻ needs a restart.\n",
    );
    let mut section = "";
    for s in SETTINGS {
        if s.section != section {
            section = s.section;
            let _ = write!(
                text,
                "\n## {section}\n\n| key | default | allowed | alternatives | what it does |\n\
                 |---|---|---|---|---|\n"
            );
        }
        let shown = |c: Constant| toml_value(&c.value());
        let alternatives = match (s.conservative, s.aggressive) {
            (Some(c), Some(a)) => format!("{} / {}", shown(c), shown(a)),
            _ => String::new(),
        };
        let default = if s.is_pattern() && rule_key(s.key).is_some() {
            "by rule".into()
        } else {
            format!("`{}`", shown(s.default))
        };
        let _ = writeln!(
            text,
            "| `{}`{} | {default} | {} | {alternatives} | {} |",
            s.key,
            if s.live { "" } else { " ↻" },
            allowed(s),
            s.meaning.replace('|', "\\|"),
        );
    }
    text.push_str(
        "\n## Rules that come with Plimsoll\n\n\
         | id | threshold | ends at | holds for | severity | what it watches |\n|---|---|---|---|---|---|\n",
    );
    for rule in BUILT_IN {
        let (threshold, clear) = match rule.limits {
            Some((at, clear)) => (with_unit(at, rule), with_unit(clear, rule)),
            None => ("holds or not".into(), String::new()),
        };
        let _ = writeln!(
            text,
            "| `{}` | {threshold} | {clear} | {} s | {} | {} |",
            rule.id,
            rule.for_s,
            format!("{:?}", rule.severity).to_lowercase(),
            rule.meaning,
        );
    }
    let _ = write!(
        text,
        "\n## Environment variables\n\n\
         `PLIMSOLL_` and the key in upper case, `.` as `__` and `-` as `_`: `{}=24`, `{}=80`.\n\
         Lists are separated by commas. A variable that is wrong is left out and named in \
         `plimsoll config validate`.\n",
        variable_of("history.keep.raw_hours"),
        variable_of("alerts.rules.gpu-hot.threshold"),
    );
    text
}

fn with_unit(value: f64, rule: &BuiltIn) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    if rule.unit == "bytes" {
        return format!("{value} ({} MiB)", value / MIB);
    }
    format!("{value} {}", rule.unit).trim_end().to_string()
}

/// The JSON schema of the file (draft 2020-12), for editors.
pub fn json_schema() -> Value {
    let mut root = object();
    for s in SETTINGS {
        let mut at = &mut root;
        let parts: Vec<&str> = s.key.split('.').collect();
        let Some((last, groups)) = parts.split_last() else { continue };
        for (depth, group) in groups.iter().enumerate() {
            let (place, name) = match *group {
                "*" => ("patternProperties", id_pattern(&groups[..depth])),
                name => ("properties", name.to_string()),
            };
            let name = name.as_str();
            if at[place][name].is_null() {
                at[place][name] = object();
            }
            at = &mut at[place][name];
        }
        at["properties"][*last] = property(s);
    }
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Plimsoll");
    root
}

/// What an id below these groups looks like. In a schema a name that is both a
/// setting and an id would have to be right as both, so settings are no ids.
fn id_pattern(groups: &[&str]) -> String {
    let prefix = format!("{}.", groups.join("."));
    let taken: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|s| s.key.strip_prefix(&prefix))
        .filter(|name| super::ids::is_id(name))
        .collect();
    if taken.is_empty() {
        return "^[a-z0-9-]{1,32}$".into();
    }
    format!("^(?!({})$)[a-z0-9-]{{1,32}}$", taken.join("|"))
}

fn object() -> Value {
    json!({ "type": "object", "additionalProperties": false })
}

fn property(s: &Setting) -> Value {
    let mut p = match s.accepts {
        Accepts::Switch => json!({ "type": "boolean" }),
        Accepts::Whole { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Accepts::WholeOr { min, max, words } => json!({
            "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, { "enum": words }]
        }),
        Accepts::Number { min, max } => {
            json!({ "type": "number", "minimum": min, "maximum": max })
        }
        Accepts::Text { max_length } => json!({ "type": "string", "maxLength": max_length }),
        Accepts::Choice(options) => json!({ "type": "string", "enum": options }),
        Accepts::Path => json!({ "type": "string" }),
        Accepts::List { max_items, .. } => {
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": max_items })
        }
    };
    p["title"] = json!(s.label);
    p["description"] = json!(s.meaning);
    if rule_key(s.key).is_none() {
        p["default"] = json!(s.default.value());
    }
    if let Some(unit) = s.unit {
        p["x-unit"] = json!(unit);
    }
    if let (Some(c), Some(a)) = (s.conservative, s.aggressive) {
        p["x-conservative"] = json!(c.value());
        p["x-aggressive"] = json!(a.value());
    }
    p["x-live"] = json!(s.live);
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment, Loaded, schema};
    use std::path::Path;

    fn kept(path: &str, fresh: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("PLIMSOLL_UPDATE_BINDINGS").is_some() {
            std::fs::write(&path, fresh).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == fresh,
            "{} differs from the table of settings: run\n  \
             PLIMSOLL_UPDATE_BINDINGS=1 cargo nextest run -p plimsoll-core committed",
            path.display()
        );
    }

    #[test]
    fn the_committed_defaults_are_those_of_the_table() {
        kept("src/config/defaults.toml", &defaults_toml());
    }

    #[test]
    fn the_committed_documentation_is_that_of_the_table() {
        kept("../../docs/settings.md", &settings_md());
    }

    /// The window is drawn and tested on invented data, but not on invented settings.
    #[test]
    fn the_committed_settings_of_the_windows_tests_are_those_of_the_table() {
        // Not a `Value`: whether that keeps the order of its keys is for other crates to say.
        #[derive(serde::Serialize)]
        struct Table<S, T> {
            specs: S,
            states: T,
        }
        let loaded = Loaded::of(String::new(), &Environment::default());
        let table = Table { specs: schema(), states: loaded.settings };
        let fresh = serde_json::to_string_pretty(&table).unwrap() + "\n";
        kept("../../ui/src/pages/settings/fake/table.json", &fresh);
    }

    #[test]
    fn the_defaults_file_read_as_a_configuration_changes_nothing() {
        let loaded = Loaded::of(defaults_toml(), &Environment::default());
        assert_eq!(loaded.problems, []);
        assert_eq!(*loaded.config, Config::default());
    }

    #[test]
    fn the_schema_has_every_setting_and_nothing_else() {
        let schema = json_schema();
        for s in SETTINGS {
            let parts: Vec<&str> = s.key.split('.').collect();
            let pointer = (0..parts.len())
                .map(|depth| match parts[depth] {
                    "*" => format!("/patternProperties/{}", id_pattern(&parts[..depth])),
                    part => format!("/properties/{part}"),
                })
                .collect::<String>();
            let found = schema.pointer(&pointer).unwrap_or_else(|| panic!("{pointer}"));
            assert_eq!(found["title"], s.label);
        }
        assert_eq!(id_pattern(&["alerts", "rules"]), "^[a-z0-9-]{1,32}$");
        assert_eq!(id_pattern(&["services"]), "^(?!(discover|accept)$)[a-z0-9-]{1,32}$");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["history"]["properties"]["max_mib"]["maximum"], 1_048_576);
    }
}
