//! How the launch settings of a service become flags or variables of its server.
//! Each server has its own words for the same thing; what it has no word for
//! is refused where the configuration is read, and never left out in silence.

use super::typed::ServiceEntry;

/// How one kind of server takes one launch setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The setting below `services.*`, e.g. `context_tokens`.
    pub field: &'static str,
    /// Spellings of the flag, the one that is given first; empty: it has none.
    pub flags: &'static [&'static str],
    /// The variable that says the same; empty: there is none.
    pub variable: &'static str,
}

/// The launch settings, in the order in which they are given.
pub const FIELDS: [&str; 5] =
    ["context_tokens", "parallel", "kv_type", "gpu_layers", "gpu_memory_utilization"];

/// The kinds that take launch settings.
pub const KINDS: [&str; 5] = ["llama-cpp", "llama-cpp-python", "vllm", "sglang", "ollama"];

const fn flag(field: &'static str, flags: &'static [&'static str]) -> Way {
    Way { field, flags, variable: "" }
}

const fn variable(field: &'static str, variable: &'static str) -> Way {
    Way { field, flags: &[], variable }
}

const fn both(field: &'static str, flags: &'static [&'static str], variable: &'static str) -> Way {
    Way { field, flags, variable }
}

// `llama-server --help` names flag and variable of each.
const LLAMA_CPP: &[Way] = &[
    both("context_tokens", &["-c", "--ctx-size"], "LLAMA_ARG_CTX_SIZE"),
    both("parallel", &["-np", "--parallel"], "LLAMA_ARG_N_PARALLEL"),
    both("kv_type", &["--cache-type-k", "-ctk"], "LLAMA_ARG_CACHE_TYPE_K"),
    both("kv_type", &["--cache-type-v", "-ctv"], "LLAMA_ARG_CACHE_TYPE_V"),
    both("gpu_layers", &["-ngl", "--gpu-layers", "--n-gpu-layers"], "LLAMA_ARG_N_GPU_LAYERS"),
];

// docs.vllm.ai, "vllm serve".
const VLLM: &[Way] = &[
    flag("context_tokens", &["--max-model-len"]),
    flag("parallel", &["--max-num-seqs"]),
    flag("kv_type", &["--kv-cache-dtype"]),
    flag("gpu_memory_utilization", &["--gpu-memory-utilization"]),
];

// docs.sglang.ai, "Server Arguments".
const SGLANG: &[Way] = &[
    flag("context_tokens", &["--context-length"]),
    flag("parallel", &["--max-running-requests"]),
    flag("kv_type", &["--kv-cache-dtype"]),
    flag("gpu_memory_utilization", &["--mem-fraction-static"]),
];

// The variables that `ollama serve --help` lists.
const OLLAMA: &[Way] = &[
    variable("context_tokens", "OLLAMA_CONTEXT_LENGTH"),
    variable("parallel", "OLLAMA_NUM_PARALLEL"),
    variable("kv_type", "OLLAMA_KV_CACHE_TYPE"),
];

// `python -m llama_cpp.server --help`; it serves one request at a time.
const LLAMA_CPP_PYTHON: &[Way] = &[
    both("context_tokens", &["--n_ctx"], "N_CTX"),
    both("gpu_layers", &["--n_gpu_layers"], "N_GPU_LAYERS"),
];

/// What servers of that kind take; nothing of one that is not known.
pub fn ways(kind: &str) -> &'static [Way] {
    match kind {
        "llama-cpp" => LLAMA_CPP,
        "llama-cpp-python" => LLAMA_CPP_PYTHON,
        "vllm" => VLLM,
        "sglang" => SGLANG,
        "ollama" => OLLAMA,
        _ => &[],
    }
}

/// The KV cache types of that kind of server, each with the server's own word for it.
pub fn kv_types(kind: &str) -> &'static [(&'static str, &'static str)] {
    match kind {
        "llama-cpp" => &[
            ("f32", "f32"),
            ("f16", "f16"),
            ("bf16", "bf16"),
            ("q8_0", "q8_0"),
            ("q5_1", "q5_1"),
            ("q5_0", "q5_0"),
            ("q4_1", "q4_1"),
            ("q4_0", "q4_0"),
            ("iq4_nl", "iq4_nl"),
        ],
        "vllm" => &[
            ("auto", "auto"),
            ("bf16", "bfloat16"),
            ("fp8", "fp8"),
            ("fp8_e4m3", "fp8_e4m3"),
            ("fp8_e5m2", "fp8_e5m2"),
        ],
        "sglang" => &[
            ("auto", "auto"),
            ("bf16", "bf16"),
            ("fp8_e4m3", "fp8_e4m3"),
            ("fp8_e5m2", "fp8_e5m2"),
        ],
        "ollama" => &[("f16", "f16"), ("q8_0", "q8_0"), ("q4_0", "q4_0")],
        _ => &[],
    }
}

// === impl Way ===

impl Way {
    /// How the command says this itself, if it does: the word that stands there.
    pub fn stands_in<'a>(&self, arguments: &'a [String]) -> Option<&'a str> {
        arguments.iter().map(|word| word.split('=').next().unwrap_or_default()).find(|word| {
            // vLLM and others take both `--max-model-len` and `--max_model_len`.
            let same = |flag: &&str| {
                if flag.starts_with("--") {
                    word.replace('_', "-") == flag.replace('_', "-")
                } else {
                    word == flag
                }
            };
            self.flags.iter().any(same)
        })
    }
}

// === impl ServiceEntry ===

impl ServiceEntry {
    /// The value of a launch setting in the words of its server; `None` where it is
    /// the server's own, or the server knows no such value.
    pub fn launch_value(&self, field: &str) -> Option<String> {
        match field {
            "context_tokens" => (self.context_tokens > 0).then(|| self.context_tokens.to_string()),
            "parallel" => (self.parallel > 0).then(|| self.parallel.to_string()),
            "gpu_layers" => (self.gpu_layers >= 0).then(|| self.gpu_layers.to_string()),
            "gpu_memory_utilization" => {
                (self.gpu_memory_utilization > 0.0).then(|| self.gpu_memory_utilization.to_string())
            }
            "kv_type" => kv_types(&self.kind)
                .iter()
                .find(|(name, _)| *name == self.kv_type)
                .map(|(_, word)| (*word).to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::{KV_TYPES, SERVICE_KINDS, setting};

    #[test]
    fn kinds_fields_and_types_are_those_of_the_table() {
        for kind in KINDS {
            assert!(SERVICE_KINDS.contains(&kind), "{kind}");
            assert!(!ways(kind).is_empty(), "{kind}");
            for way in ways(kind) {
                assert!(FIELDS.contains(&way.field), "{}", way.field);
                assert!(!way.flags.is_empty() || !way.variable.is_empty(), "{}", way.field);
            }
            for (name, _) in kv_types(kind) {
                assert!(KV_TYPES.contains(name), "{name}");
            }
            assert_eq!(
                kv_types(kind).is_empty(),
                ways(kind).iter().all(|way| way.field != "kv_type"),
                "{kind}"
            );
        }
        for field in FIELDS {
            assert!(setting(&format!("services.*.{field}")).is_some(), "{field}");
            assert!(
                KINDS.iter().any(|kind| ways(kind).iter().any(|w| w.field == field)),
                "{field}"
            );
        }
    }

    #[test]
    fn a_flag_is_known_in_all_its_spellings() {
        let words = |text: &str| text.split(' ').map(String::from).collect::<Vec<_>>();
        let [context, parallel, ..] = LLAMA_CPP else { panic!() };
        assert_eq!(context.stands_in(&words("-m a.gguf --ctx-size 4096")), Some("--ctx-size"));
        assert_eq!(context.stands_in(&words("-m a.gguf -c 4096")), Some("-c"));
        assert_eq!(context.stands_in(&words("-m -cb --ctx-size-draft 1")), None);
        assert_eq!(parallel.stands_in(&words("--parallel=4")), Some("--parallel"));
        assert_eq!(VLLM[0].stands_in(&words("serve --max_model_len=1")), Some("--max_model_len"));
        assert_eq!(OLLAMA[0].stands_in(&words("serve -c 1")), None);
    }
}
