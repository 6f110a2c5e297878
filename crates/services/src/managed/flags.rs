//! From the settings of a service to what is started: its command with the launch
//! settings as flags, or as variables where the server has no flag.

use std::{fmt, path::PathBuf, time::Duration};

use plimsoll_core::config::{Restart, ServiceEntry, launch::ways};

use crate::kind::ServiceKind;

/// A service that Plimsoll starts and stops.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub id: String,
    pub name: String,
    pub url: String,
    pub launch: Launch,
    /// Started with Plimsoll.
    pub autostart: bool,
    /// The lowest is started first, equal ones by their id.
    pub order: u32,
    pub restart: Restart,
    /// Between being asked to end and being killed.
    pub grace: Duration,
    /// What it is planned to take, in bytes; `None`: not known.
    pub planned: Option<u64>,
    /// It is one of those that share the GPU.
    pub on_gpu: bool,
    /// The fleet looks at it, and so knows when it serves.
    pub watched: bool,
}

/// What is started.
#[derive(Clone, PartialEq, Eq)]
pub struct Launch {
    pub program: String,
    pub arguments: Vec<String>,
    pub cwd: PathBuf,
    /// Values may be secrets: they stand in no log and no answer.
    pub env: Vec<(String, String)>,
}

// === impl Spec ===

impl Spec {
    /// `None` where somebody else starts it.
    pub fn of(id: &str, entry: &ServiceEntry) -> Option<Self> {
        let kind = ServiceKind::named(&entry.kind);
        let planned = (entry.vram_mib > 0).then_some(entry.vram_mib << 20);
        Some(Self {
            id: id.into(),
            name: if entry.name.is_empty() { id.into() } else { entry.name.clone() },
            url: entry.url.clone(),
            launch: Launch::of(entry)?,
            autostart: entry.autostart,
            order: entry.order,
            restart: entry.restart,
            grace: Duration::from_secs(u64::from(entry.stop_s)),
            planned,
            on_gpu: planned.is_some()
                || (kind.is_some_and(ServiceKind::is_engine) && entry.gpu_layers != 0),
            watched: entry.enabled,
        })
    }
}

// === impl Launch ===

impl Launch {
    /// `None` where the entry has no command.
    pub fn of(entry: &ServiceEntry) -> Option<Self> {
        let (program, arguments) = entry.command.split_first()?;
        let mut launch = Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            cwd: match entry.cwd.as_str() {
                "" => std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from),
                cwd => cwd.into(),
            },
            env: Vec::new(),
        };
        for way in ways(&entry.kind) {
            let Some(value) = entry.launch_value(way.field) else { continue };
            match way.flags.first() {
                Some(flag) => launch.arguments.extend([(*flag).to_string(), value]),
                None => launch.env.push((way.variable.into(), value)),
            }
        }
        let own = entry.env.iter().filter_map(|variable| variable.split_once('='));
        launch.env.extend(own.map(|(name, value)| (name.into(), value.into())));
        Some(launch)
    }

    /// Program and arguments, as they may be shown: the value of a flag that names a
    /// key or a password is left out.
    pub fn shown(&self) -> Vec<String> {
        let mut shown = vec![self.program.clone()];
        let mut hide = false;
        for word in &self.arguments {
            let (flag, value) = word.split_once('=').map_or((&**word, None), |(f, v)| (f, Some(v)));
            let secret = flag.starts_with('-') && names_secret(flag);
            shown.push(match (hide, value) {
                (true, _) if !word.starts_with('-') => "…".into(),
                (_, Some(_)) if secret => format!("{flag}=…"),
                _ => word.clone(),
            });
            hide = secret && value.is_none();
        }
        shown
    }

    /// The same for the same launch, over restarts of Plimsoll: FNV-1a over all of it.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |text: &str| {
            for byte in text.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        take(&self.program);
        self.arguments.iter().for_each(|word| take(word));
        take(&self.cwd.to_string_lossy());
        for (name, value) in &self.env {
            take(name);
            take(value);
        }
        hash
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Launch")
            .field("command", &self.shown())
            .field("cwd", &self.cwd)
            .field("env", &names)
            .finish()
    }
}

/// `--api-key`, `--hf-token`, `--requirepass`; not `--api-key-file`, which is a path.
fn names_secret(flag: &str) -> bool {
    let flag = flag.to_ascii_lowercase();
    ["key", "token", "pass", "password", "secret"].iter().any(|end| flag.ends_with(end))
}

#[cfg(test)]
mod tests {
    use plimsoll_core::config::{Environment, Loaded};

    use super::*;

    fn spec(text: &str) -> Spec {
        let text = format!("[services.a]\nurl = \"http://127.0.0.1:1\"\n{text}");
        let loaded = Loaded::of(text, &Environment::default());
        assert_eq!(loaded.problems, []);
        Spec::of("a", &loaded.config.services.entries["a"]).unwrap()
    }

    #[test]
    fn launch_settings_become_flags_of_each_server() {
        let cases = [
            (
                "kind = \"llama-cpp\"\ncontext_tokens = 8192\nparallel = 4\nkv_type = \"q8_0\"\n\
                 gpu_layers = 40\n",
                "-c 8192 -np 4 --cache-type-k q8_0 --cache-type-v q8_0 -ngl 40",
            ),
            (
                "kind = \"vllm\"\ncontext_tokens = 8192\nparallel = 4\nkv_type = \"bf16\"\n\
                 gpu_memory_utilization = 0.85\n",
                "--max-model-len 8192 --max-num-seqs 4 --kv-cache-dtype bfloat16 \
                 --gpu-memory-utilization 0.85",
            ),
            (
                "kind = \"sglang\"\ncontext_tokens = 8192\nparallel = 4\nkv_type = \"fp8_e5m2\"\n\
                 gpu_memory_utilization = 0.5\n",
                "--context-length 8192 --max-running-requests 4 --kv-cache-dtype fp8_e5m2 \
                 --mem-fraction-static 0.5",
            ),
            ("kind = \"llama-cpp-python\"\ngpu_layers = 0\n", "--n_gpu_layers 0"),
            ("kind = \"redis\"\n", ""),
        ];
        for (text, flags) in cases {
            let launch = spec(&format!("command = [\"x\", \"y\"]\n{text}")).launch;
            assert_eq!(launch.arguments[1..].join(" "), flags, "{text}");
            assert_eq!(launch.env, []);
        }
    }

    #[test]
    fn ollama_takes_variables_and_a_persons_own_come_after() {
        let launch = spec(
            "kind = \"ollama\"\ncommand = [\"ollama\", \"serve\"]\ncontext_tokens = 4096\n\
             parallel = 2\nkv_type = \"q8_0\"\nenv = [\"OLLAMA_DEBUG=1\"]\n",
        )
        .launch;
        let names: Vec<String> = launch.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let expected = [
            "OLLAMA_CONTEXT_LENGTH=4096",
            "OLLAMA_NUM_PARALLEL=2",
            "OLLAMA_KV_CACHE_TYPE=q8_0",
            "OLLAMA_DEBUG=1",
        ];
        assert_eq!(
            (names.as_slice(), launch.arguments.len()),
            (&expected.map(String::from)[..], 1)
        );
    }

    #[test]
    fn what_holds_no_vram_does_not_stand_in_the_row() {
        let on_gpu = |text: &str| spec(&format!("command = [\"x\"]\n{text}")).on_gpu;
        assert!(on_gpu("kind = \"llama-cpp\"\n"));
        assert!(!on_gpu("kind = \"llama-cpp\"\ngpu_layers = 0\n"));
        assert!(!on_gpu("kind = \"redis\"\n"));
        assert!(!on_gpu(""));
        assert!(on_gpu("vram_mib = 1\n"));
    }

    #[test]
    fn keys_and_values_of_variables_are_never_shown() {
        let launch = spec(
            "command = [\"x\", \"--api-key\", \"hush\", \"--hf-token=hush\", \"--api-key-file\", \
             \"/k\", \"--requirepass\", \"hush\"]\nenv = [\"KEY=hush\"]\n",
        )
        .launch;
        assert_eq!(
            launch.shown().join(" "),
            "x --api-key … --hf-token=… --api-key-file /k --requirepass …"
        );
        assert!(!format!("{launch:?}").contains("hush"));
    }

    #[test]
    fn a_fingerprint_changes_with_every_part_of_the_launch() {
        let fingerprint =
            |text: &str| spec(&format!("command = [\"x\", \"yz\"]\n{text}")).launch.fingerprint();
        let plain = fingerprint("");
        assert_eq!(plain, fingerprint("stop_s = 3\n"));
        for text in ["cwd = \"/tmp\"\n", "env = [\"A=1\"]\n", "kind = \"vllm\"\nparallel = 2\n"] {
            assert_ne!(plain, fingerprint(text), "{text}");
        }
        assert_ne!(
            plain,
            Launch {
                arguments: vec!["y".into(), "z".into()],
                ..spec("command = [\"x\", \"yz\"]\n").launch
            }
            .fingerprint()
        );
    }
}
