//! `requests`: what passed the gateway, and what passes it now.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use plimsoll_app::{
    api::{Command, MAX_PAGE, Nothing, RequestPage, RequestsAsk, Traffic},
    export,
    gateway::requests_alone,
    offline,
    session::Session,
};
use plimsoll_core::request::{Finish, RequestRow, Shared};

use crate::{
    args::{Global, Requests},
    commands::{attach, options, running},
    out::{self, Failure, Outcome},
    words,
};

/// How often those that follow ask for more.
const AGAIN: Duration = Duration::from_millis(500);
/// So often one that has ended is looked for in the log.
const TRIES: u8 = 8;

/// Most of a table: its columns are as wide as the widest of all.
const MOST_SHOWN: u32 = 10_000;

/// How each one is printed where it is no table.
#[derive(Clone, Copy)]
enum Show {
    Csv,
    Json,
    Line,
}

/// Where the log is asked for.
enum Log {
    Running(Box<Session>),
    /// No Plimsoll runs: what was written stands in the folder.
    Written(plimsoll_history::Reader),
}

// === impl Show ===

impl Show {
    fn of(global: &Global, args: &Requests) -> Self {
        match (args.csv, global.json) {
            (true, _) => Self::Csv,
            (false, true) => Self::Json,
            (false, false) => Self::Line,
        }
    }

    fn head(self) -> Outcome {
        match self {
            Self::Csv => out::line(export::requests_head()),
            Self::Json | Self::Line => Ok(()),
        }
    }

    fn row(self, row: &RequestRow) -> Outcome {
        match self {
            Self::Csv => out::line(export::request(row)),
            Self::Json => out::json(row),
            Self::Line => out::line(printed(row)),
        }
    }
}

// === impl Log ===

impl Log {
    async fn page(&self, ask: RequestsAsk) -> Result<RequestPage, Failure> {
        Ok(match self {
            Self::Running(session) => session.call(Command::Requests(ask)).await?,
            Self::Written(reader) => requests_alone(reader, ask).await?,
        })
    }
}

pub async fn run(global: &Global, args: Requests) -> Outcome {
    let ask = ask_of(&args)?;
    if args.follow {
        return follow(global, ask, &args).await;
    }
    let log = match attach(global).await? {
        Some(session) => Log::Running(Box::new(session)),
        None => Log::Written(offline::reader(&options(global)).await?),
    };
    if args.csv || global.json {
        let show = Show::of(global, &args);
        show.head()?;
        return each(&log, ask, args.limit, |row| show.row(row)).await;
    }
    if args.limit > MOST_SHOWN {
        let message = format!(
            "A table shows {MOST_SHOWN} requests at most; --csv and --json print any number."
        );
        return Err(Failure::Usage(message));
    }
    let rows = newest(&log, ask, args.limit).await?;
    if rows.is_empty() {
        return out::line("No such requests are in the log.");
    }
    let mut table = vec![heads()];
    table.extend(rows.iter().map(cells));
    out::table(&table)
}

/// The last ones, the newest last, and then each as it ends.
async fn follow(global: &Global, ask: RequestsAsk, args: &Requests) -> Outcome {
    let session = running(global).await?;
    let mut open = BTreeMap::new();
    let traffic: Traffic = session.call(Command::Traffic(Nothing {})).await?;
    open.extend(traffic.live.iter().map(|request| (request.id, TRIES)));
    let log = Log::Running(Box::new(session));
    let mut rows = newest(&log, ask.clone(), args.limit.min(MOST_SHOWN)).await?;
    let mut after = ask.after;
    let show = Show::of(global, args);
    show.head()?;
    loop {
        for row in rows.drain(..).rev() {
            after = after.max(Some(row.id));
            open.remove(&row.id);
            show.row(&row)?;
        }
        tokio::time::sleep(AGAIN).await;
        rows = newest(&log, RequestsAsk { after, ..ask.clone() }, u32::MAX).await?;
        rows.extend(late(&log, &ask, &mut open, after).await?);
    }
}

/// Those that came before others which have ended already: by their numbers they stand behind.
async fn late(
    log: &Log,
    ask: &RequestsAsk,
    open: &mut BTreeMap<i64, u8>,
    after: Option<i64>,
) -> Result<Vec<RequestRow>, Failure> {
    let Log::Running(session) = log else { return Ok(Vec::new()) };
    let traffic: Traffic = session.call(Command::Traffic(Nothing {})).await?;
    let now: BTreeSet<i64> = traffic.live.iter().map(|request| request.id).collect();
    let mut rows = Vec::new();
    for (&id, tries) in open.iter_mut().filter(|(id, _)| !now.contains(id)) {
        *tries -= 1;
        if after >= Some(id) {
            let one = RequestsAsk { after: Some(id - 1), before: Some(id + 1), ..ask.clone() };
            rows.extend(log.page(one).await?.rows);
        }
    }
    // What does not come is not wanted, or was not recorded.
    open.retain(|_, tries| *tries > 0);
    open.extend(now.into_iter().map(|id| (id, TRIES)));
    Ok(rows)
}

/// As many as wanted, the newest first.
async fn newest(log: &Log, ask: RequestsAsk, limit: u32) -> Result<Vec<RequestRow>, Failure> {
    let mut rows = Vec::new();
    each(log, ask, limit, |row| {
        rows.push(row.clone());
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// The same page by page: no more than one is held.
async fn each(
    log: &Log,
    mut ask: RequestsAsk,
    limit: u32,
    mut take: impl FnMut(&RequestRow) -> Outcome,
) -> Outcome {
    let mut missing = limit;
    loop {
        ask.limit = missing.min(MAX_PAGE);
        let page = log.page(ask.clone()).await?;
        ask.before = page.rows.last().map(|row| row.id).or(ask.before);
        page.rows.iter().try_for_each(&mut take)?;
        missing = missing.saturating_sub(u32::try_from(page.rows.len()).unwrap_or(u32::MAX));
        if !page.more || missing == 0 {
            return Ok(());
        }
    }
}

fn ask_of(args: &Requests) -> Result<RequestsAsk, Failure> {
    let mut finish: Vec<Finish> = args.finish.iter().map(|&how| how.into()).collect();
    if args.failed {
        finish.extend([Finish::Failed, Finish::TimedOut]);
    }
    let min_total_ms = match &args.over {
        Some(text) => Some(over(text).map_err(Failure::Usage)?),
        None => None,
    };
    Ok(RequestsAsk {
        before: args.before,
        after: None,
        limit: 0,
        client: args.client.clone(),
        model: args.model.clone(),
        backend: args.backend.clone(),
        finish,
        min_total_ms,
    })
}

/// As other spans, and also in milliseconds.
fn over(text: &str) -> Result<u64, String> {
    let ms = match text.strip_suffix("ms") {
        Some(number) => number
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is no span of time: a number with ms, s, m, h or d."))?,
        None => words::span(text)?,
    };
    Ok(u64::try_from(ms).unwrap_or(0))
}

fn heads() -> Vec<String> {
    ["time", "client", "model", "backend", "ended", "wait", "first token", "took", "in", "out"]
        .map(str::to_owned)
        .to_vec()
}

fn cells(row: &RequestRow) -> Vec<String> {
    let unknown = || "–".to_owned();
    let tokens = |tokens: Option<u32>| tokens.map_or_else(unknown, |tokens| tokens.to_string());
    let mut ended = match row.finish {
        Finish::Answered => row.status.to_string(),
        Finish::Refused => format!("refused {}", row.status),
        Finish::Failed => "failed".into(),
        Finish::Left => "left".into(),
        Finish::Cancelled => "cancelled".into(),
        Finish::TimedOut => "timed out".into(),
    };
    match row.shared {
        Some(Shared::Hit) => ended.push_str(", cached"),
        Some(Shared::Joined) => ended.push_str(", shared"),
        None => {}
    }
    if !row.reason.is_empty() {
        ended.push_str(": ");
        ended.push_str(&row.reason);
    }
    vec![
        words::moment(row.at_ms),
        row.client.clone(),
        row.model.clone(),
        row.backend.clone().unwrap_or_else(unknown),
        ended,
        time(row.wait_us),
        row.ttft_us.map_or_else(unknown, time),
        time(row.total_us),
        tokens(row.tokens_in),
        tokens(row.tokens_out),
    ]
}

/// One line, whatever a model is called.
fn printed(row: &RequestRow) -> String {
    out::plain(&cells(row).join("  ")).into_owned()
}

fn time(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown")]
    let ms = us as f64 / 1000.0;
    match us {
        0 => "0 ms".into(),
        1..10_000 => format!("{ms:.1} ms"),
        10_000..1_000_000 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::request::Endpoint;

    use super::*;

    #[test]
    fn a_model_of_any_name_is_one_line_and_moves_no_terminal() {
        let row = RequestRow {
            client: "curl\u{7}".into(),
            model: "a\u{1b}[2Jb\n".into(),
            status: 404,
            reason: "No service has \u{9b}2J.\r".into(),
            ..RequestRow::new(1, 0, Endpoint::Chat, Finish::Refused)
        };
        let line = printed(&row);
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains("a\u{fffd}[2Jb\u{fffd}"), "{line}");
    }

    #[test]
    fn times_are_said_in_what_fits_them() {
        let said: Vec<_> = [0, 90, 1500, 42_000, 999_999, 12_340_000].map(time).to_vec();
        assert_eq!(said, ["0 ms", "0.1 ms", "1.5 ms", "42 ms", "1000 ms", "12.3 s"]);
    }

    #[test]
    fn how_long_is_said_in_milliseconds_too() {
        assert_eq!(over("500ms"), Ok(500));
        assert_eq!(over("10s"), Ok(10_000));
        assert!(over("ms").is_err() && over("10").is_err());
    }
}
