//! Whether a service's command can be started as it stands, and whether its
//! server understands the launch settings.

use super::{
    launch::{FIELDS, KINDS, kv_types, ways},
    parse::Entry,
    values::Values,
    wire::{Problem, SettingValue},
};

/// All problems of the commands; `entries` says where each value stands in the file.
pub(super) fn judge_launch(values: &Values, entries: &[Entry]) -> Vec<Problem> {
    values.service_ids().iter().flat_map(|id| Judge { values, entries, id }.all()).collect()
}

struct Judge<'a> {
    values: &'a Values,
    entries: &'a [Entry],
    id: &'a str,
}

// === impl Judge ===

impl Judge<'_> {
    fn all(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let cwd = self.text("cwd");
        if !cwd.is_empty() && !cwd.starts_with('/') {
            problems.push(self.problem(
                "cwd",
                format!("{} is a whole path, from / on. Found {cwd:?}.", self.key("cwd")),
                "For example \"/srv/models\".",
            ));
        }
        let command = self.list("command");
        let Some((program, arguments)) = command.split_first() else { return problems };
        if program.trim().is_empty() || (program.contains('/') && !program.starts_with('/')) {
            problems.push(self.problem(
                "command",
                format!(
                    "{} begins with a program: its name or its whole path. Found {program:?}.",
                    self.key("command")
                ),
                "For example [\"llama-server\", \"-m\", \"/models/a.gguf\"], word by word.",
            ));
        } else if arguments.is_empty() && program.contains(char::is_whitespace) {
            // A whole line in one text is what a shell would take apart; there is none.
            let words: Vec<String> = program.split_whitespace().map(|w| format!("{w:?}")).collect();
            problems.push(self.problem(
                "command",
                format!("{} is a list, one word each. Found one text.", self.key("command")),
                &format!("Write [{}].", words.join(", ")),
            ));
        }
        problems.extend(self.variables());
        for field in FIELDS.iter().filter(|field| self.is_set(field)) {
            problems.extend(self.launch(field, arguments));
        }
        problems
    }

    /// Two values for one name would leave it open which holds.
    fn variables(&self) -> Option<Problem> {
        let variables = self.list("env");
        let mut names = std::collections::HashSet::new();
        let twice = variables
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .find(|(name, _)| !names.insert(*name))?;
        let message = format!("{} sets {} twice.", self.key("env"), twice.0);
        Some(self.problem("env", message, "Keep one of them."))
    }

    fn launch(&self, field: &str, arguments: &[String]) -> Option<Problem> {
        let kind = self.text("kind");
        let key = self.key(field);
        if !KINDS.contains(&kind.as_str()) {
            let (message, hint) = match kind.as_str() {
                "auto" => (
                    format!("{key} needs {}: each server has flags of its own.", self.key("kind")),
                    format!("Kinds that take launch settings: {}.", KINDS.join(", ")),
                ),
                kind => (
                    format!("{key} means nothing to the kind {kind}: its flags are not known."),
                    format!("Put the flag itself into {}.", self.key("command")),
                ),
            };
            return Some(self.problem(field, message, &hint));
        }
        let mut ways = ways(&kind).iter().filter(|way| way.field == field).peekable();
        if ways.peek().is_none() {
            let takes: Vec<&str> = FIELDS.into_iter().filter(|f| ways_have(&kind, f)).collect();
            return Some(self.problem(
                field,
                format!("{key} means nothing to the kind {kind}."),
                &format!("It takes {}.", takes.join(", ")),
            ));
        }
        let kv = self.text("kv_type");
        let known = kv_types(&kind);
        if field == "kv_type" && known.iter().all(|(name, _)| *name != kv) {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            return Some(self.problem(
                field,
                format!("{key} of the kind {kind} is one of {}. Found {kv}.", names.join(", ")),
                "default leaves it to the server.",
            ));
        }
        let env = self.list("env");
        ways.find_map(|way| {
            let (found, at) = match way.stands_in(arguments) {
                Some(flag) => (flag, "command"),
                None => {
                    let name = |v: &String| v.split('=').next() == Some(way.variable);
                    (env.iter().any(name).then_some(way.variable)?, "env")
                }
            };
            let message = format!("{key} and {found} in {} say the same thing.", self.key(at));
            Some(self.problem(field, message, "Keep one of the two."))
        })
    }

    fn key(&self, field: &str) -> String {
        format!("services.{}.{field}", self.id)
    }

    fn is_set(&self, field: &str) -> bool {
        let key = self.key(field);
        self.values.own(&key).is_some_and(|own| Some(own) != self.values.default_of(&key).as_ref())
    }

    fn text(&self, field: &str) -> String {
        match self.values.get(&self.key(field)) {
            Some(SettingValue::Text(text)) => text,
            _ => String::new(),
        }
    }

    fn list(&self, field: &str) -> Vec<String> {
        match self.values.get(&self.key(field)) {
            Some(SettingValue::List(list)) => list,
            _ => Vec::new(),
        }
    }

    fn problem(&self, field: &str, message: String, hint: &str) -> Problem {
        let key = self.key(field);
        let place = self.entries.iter().find(|entry| entry.key == key);
        Problem {
            line: place.map(|entry| entry.line),
            column: place.map(|entry| entry.column),
            key: Some(key),
            message,
            hint: Some(hint.into()),
            mend: None,
        }
    }
}

fn ways_have(kind: &str, field: &str) -> bool {
    ways(kind).iter().any(|way| way.field == field)
}

#[cfg(test)]
mod tests {
    use crate::config::{Environment, Loaded, typed::Restart, wire::Problem};

    fn read(text: &str) -> Loaded {
        let text = format!("[services.a]\nurl = \"http://127.0.0.1:1\"\n{text}");
        Loaded::of(text, &Environment::default())
    }

    fn only(text: &str) -> Problem {
        let mut problems = read(text).problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    #[test]
    fn a_command_with_its_launch_settings_is_taken() {
        let loaded = read(
            "kind = \"llama-cpp\"\ncommand = [\"llama-server\", \"-m\", \"/a,b.gguf\"]\n\
             cwd = \"/srv\"\nenv = [\"A=1\", \"B=x=y\"]\nautostart = false\nrestart = \"always\"\n\
             stop_s = 5\nvram_mib = 9000\ncontext_tokens = 8192\nparallel = 4\n\
             kv_type = \"q8_0\"\ngpu_layers = 0\norder = 2\n",
        );
        assert_eq!(loaded.problems, []);
        let entry = &loaded.config.services.entries["a"];
        assert_eq!(entry.command, ["llama-server", "-m", "/a,b.gguf"]);
        assert_eq!((entry.restart, entry.stop_s, entry.autostart), (Restart::Always, 5, false));
        assert_eq!(entry.launch_value("gpu_layers").as_deref(), Some("0"));
        assert_eq!(entry.launch_value("context_tokens").as_deref(), Some("8192"));
        assert_eq!(entry.launch_value("gpu_memory_utilization"), None);
    }

    #[test]
    fn a_flag_that_stands_in_the_command_too_names_both() {
        let p = only(
            "kind = \"vllm\"\ncommand = [\"vllm\", \"serve\", \"--max-model-len=1\"]\ncontext_tokens = 9\n",
        );
        assert_eq!(p.line, Some(5));
        assert_eq!(p.key.as_deref(), Some("services.a.context_tokens"));
        assert_eq!(
            p.message,
            "services.a.context_tokens and --max-model-len in services.a.command say the same thing."
        );
        let p = only(
            "kind = \"ollama\"\ncommand = [\"ollama\", \"serve\"]\nparallel = 2\n\
             env = [\"OLLAMA_NUM_PARALLEL=4\"]\n",
        );
        assert!(p.message.contains("OLLAMA_NUM_PARALLEL in services.a.env"), "{}", p.message);
    }

    #[test]
    fn a_setting_that_the_server_has_no_word_for_is_refused() {
        let command = "command = [\"x\"]\n";
        let p = only(&format!("{command}parallel = 2\n"));
        assert!(p.message.contains("needs services.a.kind"), "{}", p.message);
        let p = only(&format!("kind = \"redis\"\n{command}parallel = 2\n"));
        assert!(p.message.contains("means nothing to the kind redis"), "{}", p.message);
        let p = only(&format!("kind = \"ollama\"\n{command}gpu_layers = 2\n"));
        assert_eq!(p.hint.as_deref(), Some("It takes context_tokens, parallel, kv_type."));
        let p = only(&format!("kind = \"vllm\"\n{command}kv_type = \"q8_0\"\n"));
        assert!(p.message.contains("one of auto, bf16, fp8"), "{}", p.message);
        // At its default it says nothing, and so nothing is wrong with it.
        assert_eq!(read(&format!("{command}parallel = 0\n")).problems, []);
    }

    #[test]
    fn what_cannot_be_started_is_said_with_its_line() {
        assert_eq!(only("command = [\"bin/x\", \"y\"]\n").line, Some(3));
        assert!(only("command = [\"\"]\n").message.contains("begins with a program"));
        let p = only("command = [\"llama-server -m a.gguf\"]\n");
        assert_eq!(p.hint.as_deref(), Some("Write [\"llama-server\", \"-m\", \"a.gguf\"]."));
        assert!(only("cwd = \"models\"\n").message.contains("whole path"));
        assert!(only("command = \"llama-server -m a\"\n").message.contains("a list"));
    }

    #[test]
    fn a_variable_that_is_wrong_is_refused_without_its_value() {
        let command = "command = [\"x\"]\n";
        for bad in ["hush", "1A=hush", "A B=hush", "=hush"] {
            let p = only(&format!("{command}env = [\"OK=1\", \"{bad}\"]\n"));
            assert!(p.message.contains("NAME=value"), "{}", p.message);
            assert!(!format!("{p:?}").contains("hush"), "{p:?}");
        }
        let p = only(&format!("{command}env = [\"A=hush\", \"A=hush2\"]\n"));
        assert!(p.message.contains("sets A twice") && !format!("{p:?}").contains("hush"), "{p:?}");
    }
}
