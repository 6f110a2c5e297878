//! Settings of the alerts and of every rule.

use super::named;
use crate::config::setting::Setting;

const ALERTS: &str = "Alerts";

/// Furthest from zero that a threshold may stand; still exact to a byte as a float.
const FAR: f64 = 9_007_199_254_740_991.0;

pub(super) const ENTRIES: &[Setting] = &[
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
];
