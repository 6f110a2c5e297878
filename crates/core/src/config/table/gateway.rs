//! Settings of the gateway's surface, its routes and its clients.

use super::named;
use crate::config::setting::{Items, Setting};

const GATEWAY: &str = "Gateway";
const ROUTES: &str = "Routes";
const CLIENTS: &str = "Clients";

/// Kinds of questions that can be answered together, or from the cache.
pub const QUESTIONS: &[&str] = &["embeddings", "rerank", "chat", "completions"];

/// How one of several equal backends is chosen.
pub const POLICIES: &[&str] =
    &["least-in-flight", "round-robin", "random", "weighted", "consistent-hash", "prefix-affinity"];

const PRIORITIES: &[&str] = &["as-asked", "interactive", "batch"];

/// Settings of the gateway as a whole.
pub(super) const SURFACE: &[Setting] = &[
    named(
        GATEWAY,
        "gateway.enabled",
        "Serve requests",
        "Whether programs can send their requests through Plimsoll. Off: nothing listens, and \
         servers are only watched.",
    )
    .switch(true),
    named(
        GATEWAY,
        "gateway.address",
        "Address",
        "Address and port on which it listens, e.g. 127.0.0.1:1876; with 127.0.0.1 also on [::1]. \
         Port 0 takes a free one. Beyond this machine every request needs a key.",
    )
    .text("127.0.0.1:1876", 64),
    named(
        GATEWAY,
        "gateway.also",
        "Further addresses",
        "More addresses on which it listens, e.g. 172.17.0.1:1876, where containers reach this \
         machine. What comes in there needs a key.",
    )
    .list(8, Items::Addresses),
    named(
        GATEWAY,
        "gateway.keys",
        "Keys are demanded",
        "From whom a key is demanded: only from beyond this machine, or always. Without one, \
         programs of this machine are told apart by their process.",
    )
    .choice("beyond-this-machine", &["beyond-this-machine", "always"])
    .choices("always", "beyond-this-machine"),
    named(
        GATEWAY,
        "gateway.hosts",
        "Names it answers to",
        "Names of hosts that a request may be sent to, besides this machine's own addresses and \
         localhost. Any other is refused: a web page could have made it point here.",
    )
    .list(32, Items::Hosts)
    .filled(&["host.docker.internal", "host.containers.internal"]),
    named(
        GATEWAY,
        "gateway.origins",
        "Web pages that may ask",
        "Origins of web pages that may ask from within a browser, e.g. http://localhost:3000. All \
         others are refused.",
    )
    .list(32, Items::Origins),
    named(
        GATEWAY,
        "gateway.default_model",
        "Model where none is named",
        "Model for requests that name none; empty: they are refused. To catch names that nobody \
         has, make a route for the model *.",
    )
    .text("", 256),
    named(
        GATEWAY,
        "gateway.policy",
        "Choice of the backend",
        "How one of several services with the same model is chosen, where no route says it. \
         prefix-affinity: the one that has the conversation in its KV cache, unless it is full.",
    )
    .choice("least-in-flight", POLICIES)
    .choices("least-in-flight", "prefix-affinity"),
    named(
        GATEWAY,
        "gateway.max_body_mib",
        "Largest request",
        "Most that a request's body may hold. Pictures and speech need some MiB; each request \
         under way holds its body in memory.",
    )
    .whole(64, 1, 1024)
    .unit("MiB")
    .between(16, 256),
    named(
        GATEWAY,
        "gateway.held_mib",
        "Requests held in memory",
        "Most memory that the bodies of all requests take, waiting ones included. One more is \
         refused.",
    )
    .whole(512, 16, 65_536)
    .unit("MiB")
    .between(128, 4096),
    named(
        GATEWAY,
        "gateway.max_connections",
        "Connections of clients",
        "Most connections of clients at once, idle ones included. One more is closed at once.",
    )
    .whole(16_384, 16, 100_000)
    .unit("connections")
    .between(1024, 65_536),
    named(
        GATEWAY,
        "gateway.max_in_flight",
        "Requests at once in all",
        "Most requests that run at once over all services. Each service has its own limit below it.",
    )
    .whole(512, 1, 65_536)
    .unit("requests")
    .between(64, 4096),
    named(
        GATEWAY,
        "gateway.drain_s",
        "Time to finish",
        "How long running requests have to end when Plimsoll stops, or stops a service that it \
         runs; then they are cut off.",
    )
    .whole(30, 0, 3600)
    .unit("s")
    .between(120, 5),
    named(
        GATEWAY,
        "gateway.coalesce",
        "Ask once for the same",
        "Kinds of requests that are asked once while the same one is under way already: its answer \
         goes to all. Chat and completions only with temperature 0 or a seed.",
    )
    .list(4, Items::Questions)
    .filled(&["embeddings"]),
];

pub(super) const MEMBERS: &[Setting] = &[
    named(ROUTES, "gateway.routes.*.enabled", "In force", "Whether the route is followed.")
        .switch(true),
    named(
        ROUTES,
        "gateway.routes.*.models",
        "Models",
        "Names that this route is for; * stands for any characters, e.g. gpt-4*. A whole name goes \
         before a pattern, a longer pattern before a shorter one. A pattern gives no other model \
         to a name that some service has.",
    )
    .list(64, Items::Models),
    named(
        ROUTES,
        "gateway.routes.*.send_as",
        "Model to ask for",
        "Model that the service is asked for in place of the one that was named; empty: the same. \
         So a name becomes an alias.",
    )
    .text("", 256),
    named(
        ROUTES,
        "gateway.routes.*.backends",
        "Services",
        "Services that may answer, by their ids; with =3 behind it one counts threefold where the \
         choice is weighted. Empty: each that has the model.",
    )
    .list(32, Items::Backends),
    named(
        ROUTES,
        "gateway.routes.*.policy",
        "Choice among them",
        "How one of them is chosen; default: as the gateway's.",
    )
    .choice(
        "default",
        &[
            "default",
            "least-in-flight",
            "round-robin",
            "random",
            "weighted",
            "consistent-hash",
            "prefix-affinity",
        ],
    ),
    named(
        ROUTES,
        "gateway.routes.*.fallback",
        "Other models",
        "Models that are asked in this order when no service can serve the first one. The answer \
         says so in a header.",
    )
    .list(8, Items::Models),
    named(
        ROUTES,
        "gateway.routes.*.max_in_flight",
        "Requests at once on it",
        "Most requests of this route that run at once; 0: no limit of its own.",
    )
    .whole(0, 0, 65_536)
    .unit("requests"),
    named(
        ROUTES,
        "gateway.routes.*.priority",
        "Priority of its requests",
        "Whether its requests go before others or behind them; as-asked: as their client says it.",
    )
    .choice("as-asked", PRIORITIES),
    named(
        ROUTES,
        "gateway.routes.*.cache",
        "Answer from the cache",
        "Whether a question that was answered already gets the same answer again, while the cache \
         holds it. Chat and completions only with temperature 0 or a seed.",
    )
    .switch(false),
    named(
        ROUTES,
        "gateway.routes.*.coalesce",
        "Ask once on this route",
        "Whether the same request is asked once while it is under way; default: by its kind, as \
         the gateway says. Chat and completions only with temperature 0 or a seed.",
    )
    .choice("default", &["default", "on", "off"]),
    named(
        CLIENTS,
        "gateway.clients.max_in_flight",
        "Requests at once of each",
        "Most requests that one client has running at once; 0: no limit of its own.",
    )
    .whole(0, 0, 65_536)
    .unit("requests")
    .between(4, 0),
    named(
        CLIENTS,
        "gateway.clients.requests_per_min",
        "Requests a minute of each",
        "Requests a minute that each client may send; 0: any number. As many may come at once \
         after a quiet minute, and then one by one as the minute goes on.",
    )
    .whole(0, 0, 1_000_000)
    .unit("requests")
    .between(60, 0),
    named(
        CLIENTS,
        "gateway.clients.tokens_per_min",
        "Tokens a minute of each",
        "Tokens a minute, read and written, that each client may use; 0: any number. As many may \
         be used at once after a quiet minute.",
    )
    .whole(0, 0, 1_000_000_000)
    .unit("tokens")
    .between(100_000, 0),
    named(
        CLIENTS,
        "gateway.clients.*.program",
        "Program",
        "The client is told by the name of its program; * stands for any characters. Empty: any.",
    )
    .text("", 64),
    named(
        CLIENTS,
        "gateway.clients.*.agent",
        "User agent",
        "The client is told by its user agent; * stands for any characters, e.g. OpenAI/Python*. \
         Empty: any.",
    )
    .text("", 128),
    named(
        CLIENTS,
        "gateway.clients.*.key",
        "Key",
        "The client is told by the name of its key. Empty: any, or none.",
    )
    .text("", 64),
    named(
        CLIENTS,
        "gateway.clients.*.priority",
        "Priority of the client",
        "Whether its requests go before others or behind them; as-asked: as it says itself. A \
         route's own word goes before this one.",
    )
    .choice("as-asked", PRIORITIES),
    named(
        CLIENTS,
        "gateway.clients.*.max_in_flight",
        "Requests of it at once",
        "Most requests that it has running at once; 0: as each client.",
    )
    .whole(0, 0, 65_536)
    .unit("requests"),
    named(
        CLIENTS,
        "gateway.clients.*.requests_per_min",
        "Requests of it a minute",
        "Requests a minute that it may send; 0: as each client.",
    )
    .whole(0, 0, 1_000_000)
    .unit("requests"),
    named(
        CLIENTS,
        "gateway.clients.*.tokens_per_min",
        "Tokens of it a minute",
        "Tokens a minute, read and written, that it may use; 0: as each client.",
    )
    .whole(0, 0, 1_000_000_000)
    .unit("tokens"),
];
