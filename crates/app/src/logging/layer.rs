//! From a tracing event to an entry in the queue, without ever waiting.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{SyncSender, TrySendError},
    },
};

use plimsoll_core::{
    clock::Clock,
    log::{LogEntry, LogLevel},
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{Counts, writer::Message};

/// Longest message and longest fields of one line, in bytes: the queue is
/// bounded in lines, and this bounds it in bytes.
const LONGEST: usize = 2048;

/// Fields with these words in their name are never written.
const SECRET: [&str; 8] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "cookie"];

thread_local! {
    /// Set on the writer's own thread: its lines would feed themselves.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// This thread writes no lines from now on.
pub(super) fn silence_this_thread() {
    SILENT.set(true);
}

pub(super) struct QueueLayer {
    queue: SyncSender<Message>,
    counts: Arc<Counts>,
    clock: Arc<dyn Clock>,
}

// === impl QueueLayer ===

impl QueueLayer {
    pub fn new(queue: SyncSender<Message>, counts: Arc<Counts>, clock: Arc<dyn Clock>) -> Self {
        Self { queue, counts, clock }
    }
}

impl<S: Subscriber> Layer<S> for QueueLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A thread that ends has no such flag any more; its lines are kept.
        if SILENT.try_with(Cell::get).unwrap_or(false) {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let entry = LogEntry {
            at_ms: self.clock.now().wall_ms,
            level: level(*event.metadata().level()),
            module: event.metadata().target().to_string(),
            message: words.message.text,
            fields: words.fields.text,
        };
        // Counted before it is sent, so that the writer never counts below zero.
        self.counts.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Entry(Box::new(entry)))
        {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// Text that stops growing at [`LONGEST`].
#[derive(Default)]
struct Bounded {
    text: String,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.text.len());
        if s.len() <= room {
            self.text.push_str(s);
            return Ok(());
        }
        let mut end = room;
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&s[..end]);
        // Nothing more is formatted: a field may be very large.
        Err(fmt::Error)
    }
}

#[derive(Default)]
struct Words {
    message: Bounded,
    fields: Bounded,
}

// === impl Words ===

impl Words {
    fn field(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        if name == "message" {
            let _ = self.message.write_fmt(value);
            return;
        }
        if !self.fields.text.is_empty() {
            let _ = self.fields.write_str(" ");
        }
        let lower = name.to_ascii_lowercase();
        let _ = if SECRET.iter().any(|word| lower.contains(word)) {
            write!(self.fields, "{name}=[secret]")
        } else {
            write!(self.fields, "{name}={value}")
        };
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            return self.field(field, format_args!("{value:?}"));
        }
        let mut words = Bounded::default();
        let _ = write!(words, "{value:?}");
        // Debug of a text is quoted already; what `%` shows is not.
        if words.text.starts_with('"') {
            self.field(field, format_args!("{}", words.text));
        } else {
            self.record_str(field, &words.text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let plain = !value.is_empty() && !value.contains([' ', '"', '=', '\n', '\r', '\t']);
        if plain || field.name() == "message" {
            self.field(field, format_args!("{value}"));
        } else {
            self.field(field, format_args!("{value:?}"));
        }
    }
}
