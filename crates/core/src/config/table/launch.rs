//! Settings of the services that Plimsoll itself starts: the command, and the
//! launch settings that become flags of the server (see [`crate::config::launch`]).

use super::named;
use crate::config::setting::{Items, Setting};

const SERVICES: &str = "Services";

/// Types of a KV cache that one or the other server knows.
pub const KV_TYPES: &[&str] = &[
    "default", "auto", "f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl",
    "fp8", "fp8_e4m3", "fp8_e5m2",
];

pub(super) const ENTRIES: &[Setting] = &[
    named(
        SERVICES,
        "services.*.command",
        "Command",
        "Program and arguments with which Plimsoll starts the service itself, without a shell, \
         e.g. [\"llama-server\", \"-m\", \"/models/a.gguf\"]; empty: somebody else starts it.",
    )
    .list(128, Items::Arguments),
    named(
        SERVICES,
        "services.*.cwd",
        "Working folder",
        "Folder in which the command runs, as a whole path; empty: the home folder.",
    )
    .path(),
    named(
        SERVICES,
        "services.*.env",
        "Environment",
        "Variables for the command, each as NAME=value, besides those that Plimsoll has. Their \
         values are never written to a log.",
    )
    .list(64, Items::Variables),
    named(
        SERVICES,
        "services.*.autostart",
        "Start with Plimsoll",
        "Whether a service with a command is started when Plimsoll starts.",
    )
    .switch(true),
    named(
        SERVICES,
        "services.*.order",
        "Order of the start",
        "Services that share the GPU are started one after another, the lowest number first, \
         equal ones by their id; stopped in the reverse order.",
    )
    .whole(0, 0, 1000),
    named(
        SERVICES,
        "services.*.restart",
        "When it ends by itself",
        "Whether the command is started again when it ends by itself: after a fault, always, or \
         never. Pauses grow from 1 s to a minute; after 5 faults within 5 minutes it stays down.",
    )
    .choice("on-failure", &["on-failure", "always", "never"]),
    named(
        SERVICES,
        "services.*.stop_s",
        "Time to stop",
        "How long the command has to end after it was asked to; then it is killed.",
    )
    .whole(20, 1, 600)
    .unit("s"),
    named(
        SERVICES,
        "services.*.vram_mib",
        "Planned VRAM",
        "What the service takes on the GPU. It is started when that much is free, and waits until \
         then; 0: not known, it does not wait for room.",
    )
    .whole(0, 0, 1_048_576)
    .unit("MiB"),
    named(
        SERVICES,
        "services.*.context_tokens",
        "Context",
        "Tokens of context, as a flag of its server; 0: the server's own. llama.cpp divides it \
         among its parallel requests, the others give it to each.",
    )
    .whole(0, 0, 16_777_216)
    .unit("tokens"),
    named(
        SERVICES,
        "services.*.parallel",
        "Parallel requests",
        "Requests that the server works on at once, as a flag of it; 0: the server's own.",
    )
    .whole(0, 0, 4096)
    .unit("requests"),
    named(
        SERVICES,
        "services.*.kv_type",
        "KV cache type",
        "Type of the KV cache, as a flag of its server; default: the server's own. llama.cpp and \
         Ollama take f16 and the quantised ones, vLLM and SGLang auto, bf16 and the fp8 ones.",
    )
    .choice("default", KV_TYPES),
    named(
        SERVICES,
        "services.*.gpu_layers",
        "GPU layers",
        "Layers of the model that lie on the GPU, as a flag of llama.cpp; -1: the server's own.",
    )
    .whole(-1, -1, 999)
    .unit("layers"),
    named(
        SERVICES,
        "services.*.gpu_memory_utilization",
        "Share of VRAM",
        "Share of the GPU's memory that vLLM or SGLang takes, 0 to 1, as a flag of it; 0: the \
         server's own. It takes it at its start, and no more later.",
    )
    .number(0.0, 0.0, 1.0),
];
