//! Settings of the services and of every single one.

use super::named;
use crate::config::setting::Setting;

const SERVICES: &str = "Services";

/// What a service may speak; `auto` is found out by asking. The same names as
/// those of the services' own kinds, which a test there holds true.
pub const SERVICE_KINDS: &[&str] = &[
    "auto",
    "llama-cpp",
    "llama-cpp-python",
    "vllm",
    "ollama",
    "sglang",
    "lm-studio",
    "qdrant",
    "milvus",
    "chroma",
    "speaches",
    "whisper-cpp",
    "openai",
    "mcp",
    "redis",
    "http",
];

pub(super) const ENTRIES: &[Setting] = &[
    named(
        SERVICES,
        "services.discover",
        "Look for services",
        "Whether services on this machine are looked for by themselves: programs that listen on a \
         port are asked once what they speak. Nothing is loaded or woken by it.",
    )
    .switch(true),
    named(
        SERVICES,
        "services.accept",
        "Services that were found",
        "What is done with a service that was found: ask shows it and waits for a word, always \
         watches it at once.",
    )
    .choice("ask", &["ask", "always"])
    .choices("ask", "always"),
    named(
        SERVICES,
        "services.scrape_ms",
        "Time between looks",
        "Time between two looks at a model server. Stores like Redis change slowly and are looked \
         at every 5 s at most; what does not answer is asked less and less often.",
    )
    .whole(1000, 250, 60_000)
    .unit("ms")
    .between(5000, 500),
    named(
        SERVICES,
        "services.timeout_ms",
        "Patience",
        "What a single answer of a service may take. A service that takes longer is slow or hangs; \
         no other waits for it.",
    )
    .whole(2000, 100, 60_000)
    .unit("ms")
    .between(5000, 1000),
    named(
        SERVICES,
        "services.max_body_kib",
        "Largest answer",
        "Most that is read of one answer of a service. What sends more is broken, or no service.",
    )
    .whole(4096, 64, 65_536)
    .unit("KiB")
    .between(1024, 16_384),
    named(
        SERVICES,
        "services.*.url",
        "Address",
        "Where the service is, e.g. http://127.0.0.1:8080 or redis://127.0.0.1. Services of other \
         machines are known only from here.",
    )
    .text("", 512),
    named(
        SERVICES,
        "services.*.kind",
        "Kind",
        "What the service speaks; auto: it is asked.",
    )
    .choice("auto", SERVICE_KINDS),
    named(
        SERVICES,
        "services.*.name",
        "Name",
        "What the service is called in the window; empty: its id.",
    )
    .text("", 64),
    named(
        SERVICES,
        "services.*.key_file",
        "Key file",
        "Path of a file that holds the service's key or password, in one line; empty: it wants none.",
    )
    .path(),
    named(
        SERVICES,
        "services.*.ca_file",
        "Certificates",
        "Path of a PEM file with the certificates that this service's https or rediss is believed \
         by: that of who signed the server's, or the server's own, which is then not asked for \
         name or date. Empty: whom this machine trusts.",
    )
    .path(),
    named(
        SERVICES,
        "services.*.enabled",
        "Watch",
        "Whether the service is looked at.",
    )
    .switch(true),
    named(
        SERVICES,
        "services.*.scrape_ms",
        "Time between looks at it",
        "Time between two looks at this service, at least 250; 0: what fits its kind.",
    )
    .whole(0, 0, 600_000)
    .unit("ms"),
    named(
        SERVICES,
        "services.*.max_connections",
        "Connections to it",
        "Most connections to this service at once; 0: what fits this machine, at most 20.",
    )
    .whole(0, 0, 200)
    .unit("connections"),
    named(
        SERVICES,
        "services.*.max_in_flight",
        "Requests at once",
        "Most requests that the gateway has running on it at once. auto: as many as the server says \
         it works on; where it does not say, the number is felt out, and one at a time for Ollama. \
         It may also be said of a service that was found, by its id and without a url.",
    )
    .whole_or(&["auto"], 1, 65_536)
    .unit("requests"),
    named(
        SERVICES,
        "services.*.max_tokens",
        "Tokens at once",
        "Most tokens of running requests, read and to be written, that it is given at once, as far \
         as its KV cache holds them; 0: any number. It may also be said of a service that was found.",
    )
    .whole(0, 0, 1_000_000_000)
    .unit("tokens"),
];
