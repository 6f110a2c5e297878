//! Settings of who may go on, who waits, how long anything may take, and what is
//! kept meanwhile.

use super::named;
use crate::config::setting::Setting;

const ADMISSION: &str = "Admission";
const TIME: &str = "Time and retries";
const CACHE: &str = "Cache and consult";

const GATE: &[&str] = &["observe", "enforce"];

pub(super) const ENTRIES: &[Setting] = &[
    named(
        ADMISSION,
        "gateway.queue.max",
        "Waiting requests",
        "Most requests that wait for room. One more is refused at once, and told when to come \
         again; 0: none waits.",
    )
    .whole(1000, 0, 100_000)
    .unit("requests")
    .between(100, 10_000),
    named(
        ADMISSION,
        "gateway.queue.wait_s",
        "Longest wait",
        "How long an interactive request may wait for room; its client may ask for less. One that \
         would wait longer is refused at once.",
    )
    .whole(60, 1, 3600)
    .unit("s")
    .between(15, 600),
    named(
        ADMISSION,
        "gateway.queue.batch_wait_s",
        "Longest wait of batch work",
        "How long a request that was sent as batch work may wait for room.",
    )
    .whole(600, 1, 86_400)
    .unit("s")
    .between(60, 3600),
    named(
        ADMISSION,
        "gateway.queue.age_s",
        "Patience of batch work",
        "After so long a wait, batch work goes before interactive requests that came later: it \
         never starves.",
    )
    .whole(30, 1, 3600)
    .unit("s")
    .between(10, 300),
    named(
        ADMISSION,
        "gateway.breaker.failures",
        "Failures in a row",
        "After so many failures in a row a service gets no requests for a while.",
    )
    .whole(5, 1, 1000)
    .unit("failures")
    .between(3, 20),
    named(
        ADMISSION,
        "gateway.breaker.rate_percent",
        "Share of failures",
        "The same happens when this share of its latest requests has failed; 100 looks only at \
         failures in a row.",
    )
    .whole(50, 1, 100)
    .unit("%")
    .between(25, 90),
    named(
        ADMISSION,
        "gateway.breaker.rate_min",
        "Requests that make a share",
        "Before a share of failures counts, so many requests must have ended.",
    )
    .whole(20, 2, 1000)
    .unit("requests")
    .between(10, 100),
    named(
        ADMISSION,
        "gateway.breaker.rejecting_s",
        "Longest time without requests",
        "A service that failed gets none for 5 s, then a single one that asks whether it is well; \
         the rest waits for its answer. Each that fails doubles the time, up to this one.",
    )
    .whole(60, 1, 3600)
    .unit("s")
    .between(120, 10),
    named(
        ADMISSION,
        "gateway.gates.memory.mode",
        "Gate of memory",
        "Whether short memory holds new requests back: observe only counts what would be refused, \
         enforce refuses. While it is closed nothing is tried again, also when it observes.",
    )
    .choice("observe", GATE)
    .choices("enforce", "observe"),
    named(
        ADMISSION,
        "gateway.gates.memory.available_percent",
        "Memory that must be available",
        "The gate closes when less of RAM than this is available.",
    )
    .whole(10, 1, 90)
    .unit("%")
    .between(20, 5),
    named(
        ADMISSION,
        "gateway.gates.memory.stalled_percent",
        "Time lost for memory",
        "The gate closes, too, when all tasks together wait for memory for more of the time than \
         this (PSI, full, over 10 s).",
    )
    .whole(10, 1, 100)
    .unit("%")
    .between(5, 25),
    named(
        ADMISSION,
        "gateway.gates.cpu.mode",
        "Gate of the CPU",
        "Whether a busy CPU holds new requests back: observe only counts what would be refused, \
         enforce refuses. While it is closed nothing is tried again, also when it observes.",
    )
    .choice("observe", GATE)
    .choices("enforce", "observe"),
    named(
        ADMISSION,
        "gateway.gates.cpu.busy_percent",
        "CPU that is too busy",
        "The gate closes when the CPU as a whole is busier than this.",
    )
    .whole(95, 10, 100)
    .unit("%")
    .between(85, 99),
    named(
        ADMISSION,
        "gateway.gates.temperature.mode",
        "Gate of heat",
        "Whether a hot card holds new requests back: observe only counts what would be refused, \
         enforce refuses. While it is closed nothing is tried again, also when it observes.",
    )
    .choice("observe", GATE)
    .choices("enforce", "observe"),
    named(
        ADMISSION,
        "gateway.gates.temperature.margin_c",
        "Distance to slowing down",
        "The gate closes when a card is nearer than this to the temperature at which it slows \
         itself down.",
    )
    .whole(3, 0, 50)
    .unit("°C")
    .between(8, 1),
    named(
        ADMISSION,
        "gateway.adaptive.enabled",
        "Let the limits move",
        "Whether a service's limit moves below its number by how long the first token takes: down \
         when it takes longer than usual, up when there is time. Each move is a mark.",
    )
    .switch(false),
    named(
        ADMISSION,
        "gateway.adaptive.min",
        "Least that is left",
        "A limit that moves is never below this.",
    )
    .whole(1, 1, 1024)
    .unit("requests")
    .between(1, 4),
    named(
        ADMISSION,
        "gateway.adaptive.tolerance_percent",
        "Slower than usual",
        "How long the first token may take before the limit goes down, in percent of its usual \
         time.",
    )
    .whole(150, 100, 1000)
    .unit("%")
    .between(120, 250),
    named(
        TIME,
        "gateway.timeout.connect_ms",
        "Connection to a service",
        "How long a connection to a service may take.",
    )
    .whole(2000, 50, 60_000)
    .unit("ms")
    .between(5000, 500),
    named(
        TIME,
        "gateway.timeout.first_byte_s",
        "First byte",
        "How long a service may take to begin its answer. A model that is not loaded yet takes \
         minutes.",
    )
    .whole(300, 1, 7200)
    .unit("s")
    .between(900, 60),
    named(
        TIME,
        "gateway.timeout.between_s",
        "Between two pieces",
        "Longest silence of a service within an answer.",
    )
    .whole(120, 1, 3600)
    .unit("s")
    .between(300, 30),
    named(
        TIME,
        "gateway.timeout.total_s",
        "Whole answer",
        "How long an answer may take from its admission to its end; 0: any time.",
    )
    .whole(3600, 0, 86_400)
    .unit("s")
    .between(7200, 600),
    named(
        TIME,
        "gateway.timeout.client_s",
        "Silence of a client",
        "How long a client may stop sending its request, or taking its answer, before it is cut \
         off: it holds room that others wait for.",
    )
    .whole(60, 1, 3600)
    .unit("s")
    .between(300, 15),
    named(
        TIME,
        "gateway.timeout.head_s",
        "Head of a request",
        "How long a client may take to send the head of a request.",
    )
    .whole(10, 1, 300)
    .unit("s")
    .between(30, 5),
    named(
        TIME,
        "gateway.timeout.idle_s",
        "Idle connection of a client",
        "How long a connection of a client is kept between two requests.",
    )
    .whole(90, 1, 3600)
    .unit("s")
    .between(30, 600),
    named(
        TIME,
        "gateway.retry.tries",
        "Further tries",
        "How often a request that failed before the first byte of its answer is tried again, at \
         another service where there is one. Never under pressure.",
    )
    .whole(2, 0, 10)
    .unit("tries")
    .between(1, 4),
    named(
        TIME,
        "gateway.retry.pause_ms",
        "Pause before a try",
        "Pause before the first further try, doubled for each one more, half of it by chance. \
         What the service itself asks for goes before it.",
    )
    .whole(250, 0, 60_000)
    .unit("ms")
    .between(1000, 50),
    named(
        TIME,
        "gateway.retry.held_mib",
        "Held for tries in all",
        "Most memory that bodies take which are held for a further try. Beyond it none is tried \
         again.",
    )
    .whole(100, 0, 8192)
    .unit("MiB")
    .between(32, 512),
    named(
        TIME,
        "gateway.retry.payload_mib",
        "Largest body tried again",
        "A larger request is not tried again.",
    )
    .whole(50, 0, 1024)
    .unit("MiB")
    .between(8, 100),
    named(
        TIME,
        "gateway.pool.idle",
        "Idle connections to a service",
        "Most connections to one service that are kept for the next request; 0: what fits this \
         machine, 256 for each CPU and at most 1280, half as many in a container.",
    )
    .whole(0, 0, 4096)
    .unit("connections")
    .between(32, 1024),
    named(
        TIME,
        "gateway.pool.idle_s",
        "Life of an idle connection",
        "How long such a connection is kept; 0: what fits this machine, 30 s, in a container 15 s.",
    )
    .whole(0, 0, 3600)
    .unit("s")
    .between(5, 60),
    named(
        CACHE,
        "gateway.cache.max_mib",
        "Most memory",
        "Most memory that kept answers take; over it the longest unused go first. Answers are kept \
         only on routes that say so.",
    )
    .whole(500, 1, 16_384)
    .unit("MiB")
    .between(64, 2048),
    named(
        CACHE,
        "gateway.cache.max_entries",
        "Most answers",
        "Most answers that are kept at once.",
    )
    .whole(10_000, 1, 1_000_000)
    .unit("answers")
    .between(1000, 100_000),
    named(
        CACHE,
        "gateway.cache.ttl_s",
        "Age of an answer",
        "How long an answer is kept: twelve hours by default.",
    )
    .whole(43_200, 1, 2_592_000)
    .unit("s")
    .between(3600, 604_800),
    named(CACHE, "gateway.cache.entry_kib", "Largest answer", "A larger answer is not kept.")
        .whole(1024, 1, 65_536)
        .unit("KiB")
        .between(256, 8192),
    named(
        CACHE,
        "gateway.cache.shared",
        "One client's answer for another",
        "Whether a client may get an answer that another one's request was given. What stands in \
         an answer may tell what was asked.",
    )
    .switch(false),
    named(
        CACHE,
        "gateway.consult.max_models",
        "Models that are consulted",
        "Most models that one question is sent to at once.",
    )
    .whole(5, 1, 16)
    .unit("models")
    .between(3, 8),
    named(
        CACHE,
        "gateway.consult.held_mib",
        "Held for consulting",
        "Most memory that all consulted answers take while they are under way.",
    )
    .whole(512, 1, 8192)
    .unit("MiB")
    .between(128, 1024),
];
