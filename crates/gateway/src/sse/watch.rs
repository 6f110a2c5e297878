//! The watch over one answer.
//!
//! An answer is read as what its `Content-Type` says: events (SSE), lines of JSON, one JSON
//! object, or something that is not ours to read. Events are told apart line by line; a line
//! that came whole is read where it lies, one that came in pieces is gathered first. Of a
//! line or an answer beyond [`LINE_MOST`] only both ends are seen.
//!
//! Where Plimsoll asked for `usage` itself, an event is held until its blank line tells
//! that it is complete, and the one with `usage` and no choices is left out. Servers write an
//! event at once, so holding delays nothing; what is held is bounded by [`LINE_MOST`], too.

use bytes::Bytes;
use memchr::memchr2;
use plimsoll_core::request::Endpoint;

use super::{
    Passed,
    counts::{Tally, Told},
    frame::{Frame, Kind, told_of},
    gaps::Gaps,
    glance::{counts_at_end, glance, is_text_alone},
    line::{LINE_MOST, Line},
    seen::Seen,
};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `text/event-stream`
    Events,
    /// `application/x-ndjson`
    Lines,
    /// One JSON object.
    Whole,
    /// A sound, a page, something compressed.
    Unread,
}

/// Looks at an answer as it passes.
#[derive(Debug)]
pub struct Watch {
    form: Form,
    /// Chunks of OpenAI's kind: of a chat, or of a completion.
    chat: Option<bool>,
    cuts: bool,
    seen: Seen,
    tally: Tally,
    gaps: Option<Gaps>,
    /// A line that came in part, or the whole of what is no stream.
    line: Line,
    /// The last byte was a `\r`: a `\n` now belongs to it.
    after_cr: bool,
    event: Event,
    /// Of the event under way, what came in chunks before this one.
    held: Vec<Bytes>,
}

/// The event under way.
#[derive(Clone, Copy, Debug, Default)]
struct Event {
    /// It has a line.
    begun: bool,
    /// It is the one that the client did not ask for.
    extra: bool,
    /// Bytes of it in chunks before this one.
    bytes: usize,
    /// The one before was left out: so is a `\n` that is still to come of its end.
    cut_before: bool,
    kind: Option<Kind>,
}

// === impl Form ===

impl Form {
    /// By the head of an answer.
    pub fn of(content_type: Option<&str>, content_encoding: Option<&str>) -> Self {
        if content_encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Self::Unread;
        }
        let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        if is("text/event-stream") {
            Self::Events
        } else if is("application/x-ndjson") || is("application/jsonl") {
            Self::Lines
        } else if is("application/json") || kind.is_empty() {
            Self::Whole
        } else {
            Self::Unread
        }
    }
}

// === impl Watch ===

impl Watch {
    /// `usage_added`: [`Outgoing`](crate::request::Outgoing) asked for what the client did
    /// not.
    pub fn new(endpoint: Endpoint, form: Form, usage_added: bool) -> Self {
        let chat = match endpoint {
            Endpoint::Chat => Some(true),
            Endpoint::Completions => Some(false),
            _ => None,
        };
        Self {
            form,
            chat,
            cuts: usage_added && chat.is_some() && form == Form::Events,
            seen: Seen::default(),
            tally: Tally::default(),
            gaps: None,
            line: Line::default(),
            after_cr: false,
            event: Event::default(),
            held: Vec::new(),
        }
    }

    /// The next bytes of the answer, and when they came. What is to be passed on now.
    pub fn feed(&mut self, chunk: Bytes, now_us: u64) -> Passed {
        self.seen.bytes += chunk.len() as u64;
        match self.form {
            Form::Unread => Passed::one(chunk),
            Form::Whole => {
                self.line.push(&chunk);
                Passed::one(chunk)
            }
            Form::Lines | Form::Events => self.lines(chunk, now_us),
        }
    }

    /// The answer has ended: what was held back of it, to be passed on.
    pub fn end(&mut self, now_us: u64) -> Passed {
        if self.form != Form::Unread && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            match self.form {
                Form::Whole => self.whole(line.head(), line.tail()),
                _ => self.line(line.head(), line.tail(), self.event.bytes, now_us),
            }
        }
        let held = std::mem::take(&mut self.held);
        if self.event.extra {
            return Passed::default();
        }
        Passed::many(held)
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What was passed on ends where an event or a line ends: something else may follow.
    pub fn is_between(&self) -> bool {
        let line = self.line.is_empty();
        match self.form {
            // Where something could be taken out, what has begun is held.
            Form::Events => {
                (self.cuts && self.event.bytes <= LINE_MOST) || (line && !self.event.begun)
            }
            Form::Lines => line,
            Form::Whole | Form::Unread => false,
        }
    }

    /// Microseconds between tokens that this share (0 to 1) of them did not exceed.
    pub fn gap_us(&self, share: f64) -> Option<u64> {
        self.gaps.as_ref()?.quantile(share)
    }

    /// Bytes that are kept of a line, of the end of a long one, and of an event.
    #[cfg(test)]
    pub(super) fn gathered(&self) -> (usize, usize, usize) {
        let tail = self.line.tail().map_or(0, <[u8]>::len);
        (self.line.head().len(), tail, self.held.iter().map(Bytes::len).sum())
    }

    /// Tells lines apart, and passes on what is complete.
    fn lines(&mut self, chunk: Bytes, now_us: u64) -> Passed {
        if chunk.is_empty() {
            return Passed::default();
        }
        let mut out = Vec::new();
        // Where the next line begins, the event under way, and what is still to be passed on.
        let (mut at, mut event_at, mut pending) = (0, 0, 0);
        if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
            // The rest of the end of the line before: of the event that ended with it, too.
            at = 1;
            if !self.event.begun {
                event_at = 1;
                pending = usize::from(self.event.cut_before);
            }
        }
        while let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) {
            let end = at + length;
            let line = &chunk[at..end];
            at = end + 1;
            if chunk[end] == b'\r' {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            let size = self.event.bytes + (end - event_at);
            self.line_ends(line, size, now_us);
            if self.event.begun {
                continue;
            }
            // A blank line: the event is complete.
            if self.event.extra {
                if event_at > pending {
                    out.push(chunk.slice(pending..event_at));
                }
                self.held.clear();
                pending = at;
            } else if !self.held.is_empty() {
                out.append(&mut self.held);
            }
            self.event = Event { cut_before: self.event.extra, ..Event::default() };
            event_at = at;
        }
        self.line.push(&chunk[at..]);
        self.event.bytes += chunk.len() - event_at;
        self.pass(chunk, out, pending, event_at)
    }

    /// Passes on what is complete in a chunk from `pending` on; of the event under way, which
    /// begins at `event_at`, what need not be held.
    fn pass(
        &mut self,
        chunk: Bytes,
        mut out: Vec<Bytes>,
        pending: usize,
        event_at: usize,
    ) -> Passed {
        let holds = self.cuts && event_at < chunk.len() && self.event.bytes <= LINE_MOST;
        let extra = self.cuts && self.event.extra;
        if !holds && !extra {
            if out.is_empty() && pending == 0 && self.held.is_empty() {
                return Passed::one(chunk);
            }
            out.append(&mut self.held);
            if pending < chunk.len() {
                out.push(chunk.slice(pending..));
            }
            return Passed::many(out);
        }
        if pending < event_at {
            out.push(chunk.slice(pending..event_at));
        }
        if extra {
            self.held.clear();
        } else if event_at < chunk.len() {
            self.held.push(chunk.slice(event_at..));
        }
        Passed::many(out)
    }

    /// A line has ended; `size` of its event so far, itself included.
    fn line_ends(&mut self, piece: &[u8], size: usize, now_us: u64) {
        if self.line.is_empty() && piece.len() <= LINE_MOST {
            return self.line(piece, None, size, now_us);
        }
        self.line.push(piece);
        let mut line = std::mem::take(&mut self.line);
        self.line(line.head(), line.tail(), size, now_us);
        // The room is used again.
        line.clear();
        self.line = line;
    }

    /// One line; `tail` where it is longer than what is read of it.
    fn line(&mut self, line: &[u8], tail: Option<&[u8]>, size: usize, now_us: u64) {
        if self.form == Form::Lines {
            if let Some(frame) = frame_of(line, tail) {
                self.take(frame, now_us);
            }
            return;
        }
        if line.is_empty() {
            self.event.begun = false;
            return;
        }
        self.event.begun = true;
        if let Some(name) = field(line, b"event") {
            self.event.kind = std::str::from_utf8(name).ok().map(Kind::of);
        } else if let Some(data) = field(line, b"data") {
            self.data(data, tail, size, now_us);
        } else if let Some(error) = field(line, b"error") {
            // As older builds of llama.cpp told of errors.
            let (error, error_status) = std::str::from_utf8(error).map(told_of).unwrap_or_default();
            let frame = Frame { error, error_status, kind: Kind::Failed, ..Frame::default() };
            self.keep(frame);
        }
    }

    fn data(&mut self, data: &[u8], tail: Option<&[u8]>, size: usize, now_us: u64) {
        if data == b"[DONE]" {
            self.seen.complete = true;
            return;
        }
        if let Some(chat) = self.chat
            && tail.is_none()
            && self.event.kind.is_none()
            && is_text_alone(data, chat)
        {
            return self.seen.token(now_us, &mut self.gaps);
        }
        let Some(mut frame) = frame_of(data, tail) else { return };
        if frame.kind == Kind::None
            && let Some(kind) = self.event.kind
        {
            frame.kind = kind;
        }
        // What is longer has begun to pass already.
        let whole = size <= LINE_MOST;
        self.event.extra |= self.cuts && whole && frame.usage && frame.choices == Some(0);
        self.take(frame, now_us);
    }

    fn take(&mut self, frame: Frame, now_us: u64) {
        if frame.text {
            self.seen.token(now_us, &mut self.gaps);
        }
        self.keep(frame);
    }

    fn whole(&mut self, head: &[u8], tail: Option<&[u8]>) {
        if tail.is_none()
            && let Some(counts) = counts_at_end(head)
        {
            self.seen.counts = counts;
            return;
        }
        if let Some(frame) = frame_of(head, tail) {
            self.keep(frame);
        }
    }

    fn keep(&mut self, frame: Frame) {
        let told = match frame.choices {
            Some(0) => Told::After,
            Some(_) if frame.ends => Told::Choice,
            _ => Told::Elsewhere,
        };
        self.tally.add(frame.counts, told);
        self.seen.counts = self.tally.counts();
        if self.form == Form::Whole {
            return;
        }
        if frame.error.is_some() {
            self.seen.error = frame.error;
            self.seen.error_status = frame.error_status;
        } else if frame.kind == Kind::Failed && self.seen.error.is_none() {
            self.seen.error = Some("the backend told of an error".into());
        }
        self.seen.complete |= frame.done || matches!(frame.kind, Kind::Last | Kind::Failed);
    }
}

fn frame_of(line: &[u8], tail: Option<&[u8]>) -> Option<Frame> {
    match tail {
        Some(tail) => Some(glance(line, tail)),
        None => Frame::read(line),
    }
}

/// The value of an event's field, without the one blank before it.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
