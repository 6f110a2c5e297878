//! Energy over a range: from the card's energy counter, else from its power
//! integrated over time. What was not measured is not filled in; the report
//! says which share of the range was.

use plimsoll_core::{
    metric::Metric,
    series::{MAX_WIDTH_PX, Query, SeriesAnswer, SeriesKey},
};
use plimsoll_history::{ReadError, Reader};

use crate::api::{EnergyReport, Fault, FaultCode, Range};

/// Where the figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    Counter,
    Power,
    None,
}

/// What was found, before it is priced.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Found {
    basis: Basis,
    joules: f64,
    /// Share of the range that was measured.
    covered: f64,
}

/// The energy of all GPUs over the range.
pub async fn report(
    reader: &Reader,
    range: Range,
    price_per_kwh: f64,
    currency: &str,
) -> Result<EnergyReport, Fault> {
    if range.from_ms >= range.to_ms {
        return Err(Fault::new(
            FaultCode::Invalid,
            format!("The range ends ({}) before it begins ({}).", range.to_ms, range.from_ms),
        ));
    }
    let known: Vec<SeriesKey> = reader.series().await?.into_iter().map(|info| info.key).collect();
    let mut found = by_counter(reader, &known, range).await?;
    if found.basis == Basis::None {
        found = by_power(reader, &known, range).await?;
    }
    Ok(priced(found, price_per_kwh, currency))
}

async fn by_counter(
    reader: &Reader,
    known: &[SeriesKey],
    range: Range,
) -> Result<Found, ReadError> {
    let mut found = Found::NOTHING;
    for key in of(known, Metric::GpuEnergy) {
        let grown = reader.counter_increase(&key, range.from_ms, range.to_ms).await?;
        if let Some(grown) = grown.filter(|grown| grown.covered > 0.0) {
            found.basis = Basis::Counter;
            found.joules += grown.increase;
            found.covered = found.covered.max(grown.covered);
        }
    }
    Ok(found)
}

async fn by_power(reader: &Reader, known: &[SeriesKey], range: Range) -> Result<Found, ReadError> {
    let series = of(known, Metric::GpuPower);
    let mut found = Found::NOTHING;
    if series.is_empty() {
        return Ok(found);
    }
    let query =
        Query { series, from_ms: range.from_ms, to_ms: range.to_ms, width_px: MAX_WIDTH_PX };
    for series in &reader.query(&query).await?.series {
        let (joules, covered) = integrate(series, range);
        if covered > 0.0 {
            found.basis = Basis::Power;
            found.joules += joules;
            found.covered = found.covered.max(covered);
        }
    }
    Ok(found)
}

fn of(known: &[SeriesKey], metric: Metric) -> Vec<SeriesKey> {
    known.iter().filter(|key| key.metric == metric.name()).take(16).cloned().collect()
}

/// Joules, and the share of the range that was measured. A point stands for one step, as far as
/// that lies within the range.
fn integrate(series: &SeriesAnswer, range: Range) -> (f64, f64) {
    let step = series.step_ms.max(1);
    let mut joules = 0.0;
    let mut covered_ms = 0;
    for (at, mean) in series.points.at_ms.iter().zip(&series.points.mean) {
        let Some(watts) = mean else { continue };
        let begin = (*at).max(range.from_ms);
        let end = at.saturating_add(step).min(range.to_ms);
        if end <= begin {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one step")]
        let seconds = (end - begin) as f64 / 1000.0;
        joules += watts * seconds;
        covered_ms += end - begin;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let covered = covered_ms as f64 / (range.to_ms - range.from_ms) as f64;
    (joules, covered)
}

fn priced(found: Found, price_per_kwh: f64, currency: &str) -> EnergyReport {
    let kwh = (found.basis != Basis::None).then_some(found.joules / 3_600_000.0);
    EnergyReport {
        basis: match found.basis {
            Basis::Counter => "counter",
            Basis::Power => "power",
            Basis::None => "none",
        }
        .into(),
        kwh,
        cost: kwh.map(|kwh| kwh * price_per_kwh),
        currency: currency.to_owned(),
        covered: found.covered.clamp(0.0, 1.0),
    }
}

// === impl Found ===

impl Found {
    const NOTHING: Self = Self { basis: Basis::None, joules: 0.0, covered: 0.0 };
}

#[cfg(test)]
mod tests {
    use plimsoll_core::{
        metric::Kind,
        series::{Level, Points},
        unit::Unit,
    };

    use super::*;

    const HOUR: Range = Range { from_ms: 0, to_ms: 3_600_000 };

    fn power(watts: &[Option<f64>], step_ms: i64) -> SeriesAnswer {
        let at_ms = (0..watts.len() as i64).map(|n| n * step_ms).collect();
        SeriesAnswer {
            key: SeriesKey::new("gpu.power", "GPU-1"),
            unit: Unit::Watts,
            kind: Kind::Gauge,
            level: Level::M1,
            step_ms,
            points: Points {
                at_ms,
                min: watts.to_vec(),
                mean: watts.to_vec(),
                max: watts.to_vec(),
            },
        }
    }

    #[test]
    fn an_hour_at_three_hundred_watts_is_three_tenths_of_a_kilowatt_hour() {
        let (joules, covered) = integrate(&power(&[Some(300.0); 60], 60_000), HOUR);
        let report = priced(Found { basis: Basis::Power, joules, covered }, 0.5, "EUR");
        assert!((report.kwh.unwrap() - 0.3).abs() < 1e-9);
        assert!((report.cost.unwrap() - 0.15).abs() < 1e-9);
        assert_eq!((report.basis.as_str(), report.covered), ("power", 1.0));
    }

    #[test]
    fn gaps_are_not_filled_in() {
        let mut watts = vec![Some(300.0); 30];
        watts.extend(vec![None; 30]);
        let (joules, covered) = integrate(&power(&watts, 60_000), HOUR);
        assert!((joules - 540_000.0).abs() < 1e-6);
        assert!((covered - 0.5).abs() < 1e-9);
    }

    #[test]
    fn points_beyond_the_range_count_only_for_their_part_in_it() {
        let (joules, covered) = integrate(&power(&[Some(100.0); 2], 2_700_000), HOUR);
        assert!((joules - 360_000.0).abs() < 1e-6);
        assert!((covered - 1.0).abs() < 1e-9);
    }

    #[test]
    fn unknown_is_none_and_never_zero() {
        let report = priced(Found::NOTHING, 0.5, "EUR");
        assert_eq!((report.kwh, report.cost, report.basis.as_str()), (None, None, "none"));
    }
}
