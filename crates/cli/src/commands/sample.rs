//! `sample`: read everything and print it; nothing is recorded.

use plimsoll_app::sample::{Line, Sampling};

use crate::{
    args::{Global, Sample},
    commands::options,
    out::{self, Outcome},
    words,
};

pub async fn run(global: &Global, args: Sample) -> Outcome {
    let mut sampling = Sampling::start(&options(global)).await?;
    let mut outcome = Ok(());
    for _ in 0..args.ticks {
        let Some(line) = sampling.next().await else { break };
        outcome = if global.json { out::json(&line) } else { print(&line) };
        if outcome.is_err() {
            break;
        }
    }
    sampling.stop().await;
    outcome
}

fn print(line: &Line) -> Outcome {
    out::line(words::moment(line.at_ms))?;
    let rows: Vec<Vec<String>> = line
        .readings
        .iter()
        .map(|reading| {
            let name = if reading.subject.is_empty() {
                reading.metric.to_owned()
            } else {
                format!("{}[{}]", reading.metric, reading.subject)
            };
            // A total since the machine started says little; how fast it grows does.
            let value = match reading.per_second {
                Some(rate) => words::value(rate, reading.unit.per_second()),
                None => words::value(reading.value, reading.unit),
            };
            vec![format!("  {name}"), value]
        })
        .collect();
    out::table(&rows)
}
