//! Settings of the history and the log.

use super::named;
use crate::config::setting::{Items, Setting};

const HISTORY: &str = "History";
const LOG: &str = "Log";

pub(super) const ENTRIES: &[Setting] = &[
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
    named(
        HISTORY,
        "history.keep.requests_days",
        "Keep requests",
        "How long the log of requests through the gateway is kept: times, tokens, who and where. \
         Never what was asked or answered.",
    )
    .whole(30, 1, 3650)
    .unit("d")
    .between(7, 365),
    named(
        HISTORY,
        "history.keep.requests_mib",
        "Space of requests",
        "Most space that the log of requests takes, of the history's whole; over it the oldest go \
         first.",
    )
    .whole(512, 16, 65_536)
    .unit("MiB")
    .between(128, 4096),
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
    .list(32, Items::Modules),
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
];
