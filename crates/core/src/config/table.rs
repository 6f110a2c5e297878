//! Every setting, declared once. The defaults file, the schema, the forms, the
//! names of environment variables and `docs/settings.md` are made from here.

use super::setting::{Named, Setting};
use super::wire::SettingSpec;

const fn named(
    section: &'static str,
    key: &'static str,
    label: &'static str,
    meaning: &'static str,
) -> Named {
    Named { section, key, label, meaning }
}

const SAMPLING: &str = "Sampling";
const GPU: &str = "GPU and power";
const HISTORY: &str = "History";
const LOG: &str = "Log";
const ALERTS: &str = "Alerts";
const SERVICES: &str = "Services";
const WINDOW: &str = "Window";

/// Furthest from zero that a threshold may stand; still exact to a byte as a float.
const FAR: f64 = 9_007_199_254_740_991.0;

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

/// All settings, in the order in which people read them.
pub static SETTINGS: &[Setting] = &[
    named(
        SAMPLING,
        "sampling.interval_ms",
        "Interval",
        "Time between two readings of everything that is cheap to read. A second shows what a \
         model server does to the GPU without costing a percent of a core.",
    )
    .whole(1000, 500, 10_000)
    .unit("ms")
    .between(2000, 500),
    named(
        SAMPLING,
        "sampling.processes_ms",
        "Process list",
        "Time between two readings of the process list and of who holds VRAM. The driver's list \
         costs milliseconds under a lock that games and decoders feel, so it is read less often.",
    )
    .whole(5000, 2000, 60_000)
    .unit("ms")
    .between(10_000, 2000),
    named(
        SAMPLING,
        "sampling.disk_space_ms",
        "Disk space",
        "Time between two readings of the space on mounted disks. Space changes slowly, and a \
         network mount may answer slowly.",
    )
    .whole(10_000, 2000, 600_000)
    .unit("ms")
    .between(60_000, 5000),
    named(
        SAMPLING,
        "sampling.max_series",
        "Most series",
        "Most series that are recorded. Further ones are added up in `other`, counted, and \
         alerted, so that a program that starts thousands of names cannot fill the disk.",
    )
    .whole(2000, 200, 20_000)
    .unit("series")
    .between(1000, 5000),
    named(GPU, "gpu.enabled", "Read the GPU", "Whether the NVIDIA card is read at all.")
        .switch(true),
    named(
        GPU,
        "gpu.nvml_path",
        "NVML library",
        "Path of libnvidia-ml.so where it is in none of the usual places; empty: look for it.",
    )
    .path()
    .at_restart(),
    named(
        GPU,
        "power.price_per_kwh",
        "Price of electricity",
        "What a kilowatt hour costs, for the cost beside the energy.",
    )
    .number(0.30, 0.0, 10.0)
    .unit("per kWh"),
    named(
        GPU,
        "power.currency",
        "Currency",
        "The price's currency, as shown beside the cost, e.g. EUR, USD or kr.",
    )
    .text("EUR", 8),
    named(
        HISTORY,
        "history.enabled",
        "Keep history",
        "Whether readings are kept on disk. Without it the window shows what is true now and \
         nothing else.",
    )
    .switch(true),
    named(
        HISTORY,
        "history.max_mib",
        "Most disk space",
        "Most space the history takes. Over it the finest data goes first: every second older \
         than a day, then ten seconds, then a minute.",
    )
    .whole(4096, 64, 1_048_576)
    .unit("MiB")
    .between(1024, 16_384),
    named(
        HISTORY,
        "history.checkpoint_s",
        "Checkpoint",
        "Time between two checkpoints of the database: what a power cut can cost at most.",
    )
    .whole(10, 1, 60)
    .unit("s")
    .between(30, 5),
    named(
        HISTORY,
        "history.keep.raw_hours",
        "Keep every second",
        "How long every single reading is kept. Two days answer \"what happened last night\".",
    )
    .whole(48, 1, 720)
    .unit("h")
    .between(24, 168),
    named(
        HISTORY,
        "history.keep.s10_days",
        "Keep ten seconds",
        "How long minimum, mean and maximum of every ten seconds are kept.",
    )
    .whole(14, 1, 365)
    .unit("d")
    .between(7, 30),
    named(
        HISTORY,
        "history.keep.m1_days",
        "Keep a minute",
        "How long minimum, mean and maximum of every minute are kept.",
    )
    .whole(90, 2, 1825)
    .unit("d")
    .between(30, 365),
    named(
        HISTORY,
        "history.keep.m15_days",
        "Keep a quarter of an hour",
        "How long quarters of an hour are kept. Local days are added up from these, and \
         forecasts are made from them: five years by default.",
    )
    .whole(1826, 30, 3650)
    .unit("d")
    .between(730, 3650),
    named(
        HISTORY,
        "history.keep.h1_days",
        "Keep an hour",
        "How long hours are kept. They take next to no space: ten years by default.",
    )
    .whole(3650, 365, 36_500)
    .unit("d")
    .between(1826, 7300),
    named(
        HISTORY,
        "history.keep.marks_days",
        "Keep marks",
        "How long marks and past alerts are kept: changes, restarts, what was wrong and when.",
    )
    .whole(3650, 30, 36_500)
    .unit("d")
    .between(1826, 7300),
    named(
        HISTORY,
        "history.keep.log_days",
        "Keep the log",
        "How long warnings and errors of the log are kept in the database. The log file has \
         limits of its own.",
    )
    .whole(30, 1, 365)
    .unit("d")
    .between(7, 90),
    named(LOG, "log.level", "Level", "The least severe lines that are written.")
        .choice("info", &["error", "warn", "info", "debug", "trace"])
        .choices("warn", "debug"),
    named(
        LOG,
        "log.modules",
        "Levels by module",
        "Levels of single modules, each as module=level, e.g. plimsoll_history=debug. The most \
         exact module wins over the general level.",
    )
    .list(32),
    named(
        LOG,
        "log.file_mib",
        "Size of a log file",
        "A log file that reaches this size is closed and a new one is begun.",
    )
    .whole(16, 1, 1024)
    .unit("MiB")
    .between(4, 64),
    named(
        LOG,
        "log.files",
        "Log files",
        "How many log files are kept, the one being written included.",
    )
    .whole(5, 1, 50)
    .unit("files")
    .between(2, 20),
    named(ALERTS, "alerts.enabled", "Watch", "Whether the rules are evaluated at all.")
        .switch(true),
    named(
        ALERTS,
        "alerts.notify",
        "Notify",
        "Whether an alert that begins also shows a notification of the desktop.",
    )
    .switch(true),
    named(
        ALERTS,
        "alerts.notify_gap_min",
        "Pause between notifications",
        "Shortest time between two notifications of one rule about one subject. Another disk or \
         another rule is not silenced by it.",
    )
    .whole(10, 1, 1440)
    .unit("min")
    .between(60, 5),
    named(ALERTS, "alerts.rules.*.enabled", "On", "Whether this rule is evaluated.").switch(true),
    named(
        ALERTS,
        "alerts.rules.*.threshold",
        "Threshold",
        "The value past which the alert begins, in the unit of what the rule watches: bytes, \
         percent, °C, ms. A rule of one's own needs one.",
    )
    .number(0.0, -FAR, FAR),
    named(
        ALERTS,
        "alerts.rules.*.clear",
        "Ends at",
        "The value at which the alert ends, on the good side of the threshold, so that a value \
         that hovers does not begin it again and again. Left out, it follows the threshold.",
    )
    .number(0.0, -FAR, FAR),
    named(
        ALERTS,
        "alerts.rules.*.floor_gib",
        "Or below",
        "Only for disk-space: alerts also when less than this is left, whatever the share.",
    )
    .number(10.0, 0.0, 1_048_576.0)
    .unit("GiB"),
    named(
        ALERTS,
        "alerts.rules.*.for_s",
        "Holds for",
        "How long it must hold before the alert begins.",
    )
    .whole(30, 0, 86_400)
    .unit("s"),
    named(
        ALERTS,
        "alerts.rules.*.severity",
        "Severity",
        "How bad it is: info only stands in the list, warning and critical also notify.",
    )
    .choice("warning", &["info", "warning", "critical"]),
    named(
        ALERTS,
        "alerts.rules.*.metric",
        "Metric",
        "What a rule of one's own watches: a metric of the catalogue, e.g. gpu.temperature.",
    )
    .text("", 64),
    named(
        ALERTS,
        "alerts.rules.*.below",
        "Below",
        "For a rule of one's own: alerts below the threshold instead of above it.",
    )
    .switch(false),
    named(
        ALERTS,
        "alerts.rules.*.subject",
        "Subject",
        "For a rule of one's own: only this disk, mount, GPU or process name; empty: each of them.",
    )
    .text("", 128),
    named(
        ALERTS,
        "alerts.rules.*.title",
        "Title",
        "For a rule of one's own: the words shown when it alerts; empty: the metric's label.",
    )
    .text("", 80),
    named(
        SERVICES,
        "services.discover",
        "Look for services",
        "Whether services on this machine are looked for by themselves: programs that listen on a \
         port are asked once what they speak. Nothing is loaded or woken by it. Not in force yet: \
         this version watches the services that are configured.",
    )
    .switch(true),
    named(
        SERVICES,
        "services.accept",
        "Services that were found",
        "What is done with a service that was found: ask shows it and waits for a word, always \
         watches it at once. Not in force yet, as nothing is looked for."
        ,
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
    named(WINDOW, "window.theme", "Theme", "Dark, light, or what the desktop says.")
        .choice("system", &["system", "dark", "light"]),
    named(
        WINDOW,
        "window.close",
        "Closing the window",
        "What closing the window does: keep recording behind the tray icon, quit, or ask.",
    )
    .choice("tray", &["tray", "quit", "ask"]),
    named(
        WINDOW,
        "window.start_at_login",
        "Start at login",
        "Whether the desktop starts Plimsoll when one logs in.",
    )
    .switch(false),
    named(
        WINDOW,
        "window.start_hidden",
        "Start hidden",
        "Whether Plimsoll starts with its tray icon only.",
    )
    .switch(false),
];

/// The setting with that key or pattern, e.g. `alerts.rules.*.for_s`.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

/// The setting a concrete key belongs to, e.g. `alerts.rules.gpu-hot.for_s`.
/// The id itself is not judged here.
pub fn setting_of(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| {
        let (mut pattern, mut parts) = (s.key.split('.'), key.split('.'));
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some("*"), Some(id)) if !id.is_empty() => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    })
}

/// Every setting as it travels to the window and the terminal.
pub fn schema() -> Vec<SettingSpec> {
    SETTINGS.iter().map(Setting::spec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::check;

    #[test]
    fn keys_are_declared_once_and_labels_are_unique_within_a_section() {
        let mut seen = std::collections::HashSet::new();
        for s in SETTINGS {
            assert!(seen.insert(s.key.to_string()), "{} twice", s.key);
            assert!(seen.insert(format!("{} / {}", s.section, s.label)), "{} label", s.key);
            assert!(s.meaning.ends_with('.'), "{}: a meaning is a sentence", s.key);
        }
    }

    #[test]
    fn default_and_both_alternatives_are_within_the_range() {
        for s in SETTINGS {
            for v in [Some(s.default), s.conservative, s.aggressive].into_iter().flatten() {
                check(s, v.value()).unwrap_or_else(|e| panic!("{}: {}", s.key, e.message));
            }
        }
    }

    #[test]
    fn a_concrete_key_finds_its_pattern() {
        let found = |key| setting_of(key).map(|s| s.key);
        assert_eq!(found("alerts.rules.gpu-hot.for_s"), Some("alerts.rules.*.for_s"));
        assert_eq!(found("history.keep.raw_hours"), Some("history.keep.raw_hours"));
        assert_eq!(found("services.llama.scrape_ms"), Some("services.*.scrape_ms"));
        assert_eq!(found("services.scrape_ms"), Some("services.scrape_ms"));
        assert_eq!(found("services.llama"), None);
        assert_eq!(found("alerts.rules..for_s"), None);
        assert_eq!(found("alerts.rules.gpu-hot"), None);
        assert_eq!(found(""), None);
    }
}
