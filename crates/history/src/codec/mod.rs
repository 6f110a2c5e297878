//! How values lie in the database: whole multiples of a metric's resolution.

pub(crate) mod chunk;
mod column;
mod hists;
mod packed;
mod places;
pub(crate) mod points;
pub(crate) mod raw;
pub(crate) mod tick;
pub(crate) mod varint;

use plimsoll_core::histogram::Histogram;

/// A distribution with the layout of its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hist {
    pub layout: u16,
    pub histogram: Histogram,
}

/// One stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Multiples of the metric's resolution.
    Gauge(i64),
    /// Likewise; exact.
    Counter(u64),
    Histogram(Hist),
}

/// A gauge's value as a multiple of its resolution.
pub(crate) fn quantise(value: f64, resolution: f64) -> i64 {
    (value / resolution).round() as i64
}
