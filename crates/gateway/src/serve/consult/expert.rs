//! One of the models that are consulted: asked, read piece by piece, and over.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::{Response, StatusCode, body::Body as _, header};
use serde_json::Value;

use super::{
    super::{answer::Answer, read::Share, refuse::Refused},
    words,
};

/// The question under way.
pub type Asking = Pin<Box<dyn Future<Output = Result<Response<Answer>, Refused>> + Send>>;

/// Longest line of a stream.
const LONGEST_LINE: usize = 4 << 20;
/// Longest answer of a server that complains.
const LONGEST_COMPLAINT: usize = 64 << 10;

pub struct Expert {
    pub name: Arc<str>,
    state: State,
    /// What came and is no whole line, or no whole answer, yet.
    rest: BytesMut,
    /// Of a stream: a choice came of it, and its end.
    began: bool,
    ended: bool,
    /// Its share in what all consulted answers hold, of at most `most`: of a whole answer, which
    /// waits for the others, until this is dropped.
    share: Share,
    most: usize,
}

enum State {
    Asking(Asking),
    Reading { body: Box<Answer>, form: Form },
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Events,
    Whole,
    /// The server refused it.
    Complaint(StatusCode),
}

/// What came of a model.
pub enum Said {
    /// A piece of a streamed answer.
    Chunk(Value),
    /// All of an answer that does not stream.
    Whole(Value),
    Failed(Refused),
}

// === impl Expert ===

impl Expert {
    pub fn new(name: Arc<str>, asking: Asking, share: Share, most: usize) -> Self {
        let state = State::Asking(asking);
        Self { name, state, rest: BytesMut::new(), began: false, ended: false, share, most }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// The next piece; `None` once it is over. A failure is its last.
    pub fn poll_said(&mut self, cx: &mut Context<'_>) -> Poll<Option<Said>> {
        loop {
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Asking(asking) => match ready!(asking.as_mut().poll(cx)) {
                    Ok(answer) => {
                        let form = form_of(&answer);
                        let body = Box::new(answer.into_body());
                        self.state = State::Reading { body, form };
                    }
                    Err(refused) => return Poll::Ready(Some(self.fail(refused))),
                },
                State::Reading { form: Form::Events, .. } if self.rest.contains(&b'\n') => {
                    if let Some(said) = self.line() {
                        return Poll::Ready(Some(said));
                    }
                }
                State::Reading { body, form } => {
                    let form = *form;
                    match ready!(Pin::new(body.as_mut()).poll_frame(cx)) {
                        Some(Ok(frame)) => {
                            let Ok(piece) = frame.into_data() else { continue };
                            if let Err(refused) = self.take(&piece, form) {
                                return Poll::Ready(Some(self.fail(refused)));
                            }
                        }
                        // What is wrong was told by an event before, where it could be.
                        Some(Err(_)) => {
                            let why = Refused::broken_off("The service");
                            return Poll::Ready(Some(self.fail(why)));
                        }
                        None => return Poll::Ready(self.end(form)),
                    }
                }
            }
        }
    }

    fn fail(&mut self, refused: Refused) -> Said {
        // Its question is dropped with its state, and its server's work with it.
        self.state = State::Over;
        self.rest = BytesMut::new();
        self.share.keep(0);
        Said::Failed(refused)
    }

    fn take(&mut self, piece: &Bytes, form: Form) -> Result<(), Refused> {
        let longest = match form {
            Form::Events => LONGEST_LINE,
            Form::Whole => self.most,
            Form::Complaint(_) => LONGEST_COMPLAINT,
        };
        if self.rest.len().saturating_add(piece.len()) > longest
            || !self.share.grow(piece.len(), self.most)
        {
            let message = "The answer takes more than what consulting may hold in memory \
                           (`gateway.consult.held_mib`).";
            return Err(Refused::new(StatusCode::INSUFFICIENT_STORAGE, "consult_memory", message));
        }
        self.rest.extend_from_slice(piece);
        Ok(())
    }

    /// Takes one whole line of events; most say nothing.
    fn line(&mut self) -> Option<Said> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.rest.split_to(end);
        self.rest.advance(1);
        self.share.keep(self.rest.len());
        self.event(&line)
    }

    fn event(&mut self, line: &[u8]) -> Option<Said> {
        let data = line.trim_ascii().strip_prefix(b"data:")?.trim_ascii_start();
        if data == b"[DONE]" {
            self.ended = true;
            return None;
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(chunk) if chunk.is_object() => match words::complaint(&chunk) {
                Some(complaint) => Some(self.fail(in_midstream(&chunk, complaint))),
                None => {
                    self.began |= words::has_choice(&chunk);
                    self.ended |= words::ends_choice(&chunk);
                    Some(Said::Chunk(chunk))
                }
            },
            _ => Some(self.fail(unreadable())),
        }
    }

    fn end(&mut self, form: Form) -> Option<Said> {
        self.state = State::Over;
        let rest = self.rest.split();
        let said = match form {
            // The last line needs no end of its own.
            Form::Events => match self.event(&rest) {
                Some(said @ Said::Failed(_)) => Some(said),
                _ if !self.began => Some(Said::Failed(no_choice())),
                _ if !self.ended => Some(Said::Failed(unfinished())),
                said => said,
            },
            Form::Whole => Some(match serde_json::from_slice::<Value>(&rest) {
                Ok(whole) if whole.is_object() && words::has_choice(&whole) => Said::Whole(whole),
                Ok(whole) if whole.is_object() => {
                    self.share.keep(0);
                    Said::Failed(match words::complaint(&whole) {
                        Some(complaint) => complained(StatusCode::BAD_GATEWAY, complaint),
                        None => no_choice(),
                    })
                }
                _ => {
                    self.share.keep(0);
                    Said::Failed(unreadable())
                }
            }),
            Form::Complaint(status) => {
                let answer = serde_json::from_slice(&rest).unwrap_or(Value::Null);
                let complaint = words::complaint(&answer)
                    .unwrap_or_else(|| format!("The service answered with status {status}."));
                Some(Said::Failed(complained(status, complaint)))
            }
        };
        if form != Form::Whole {
            self.share.keep(0);
        }
        said
    }
}

fn form_of(answer: &Response<Answer>) -> Form {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !answer.status().is_success() {
        Form::Complaint(answer.status())
    } else if kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
        Form::Events
    } else {
        Form::Whole
    }
}

fn complained(status: StatusCode, complaint: String) -> Refused {
    Refused::new(status, "service_refused", complaint)
}

/// An error within a stream: of the server, or what Plimsoll itself wrote there.
fn in_midstream(chunk: &Value, complaint: String) -> Refused {
    let code = chunk.pointer("/error/code").and_then(Value::as_str);
    let (status, code) = match code {
        Some("backend_broke_off") => (StatusCode::BAD_GATEWAY, "backend_broke_off"),
        Some("timed_out") => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
        Some("cancelled") => (StatusCode::SERVICE_UNAVAILABLE, "cancelled"),
        _ => return complained(StatusCode::BAD_GATEWAY, complaint),
    };
    Refused::new(status, code, complaint)
}

fn unfinished() -> Refused {
    let message = "The service ended its answer without saying that it was whole.";
    Refused::new(StatusCode::BAD_GATEWAY, "backend_broke_off", message)
}

fn no_choice() -> Refused {
    let message = "The service answered without a choice.";
    Refused::new(StatusCode::BAD_GATEWAY, "unreadable_answer", message)
}

fn unreadable() -> Refused {
    let message = "The service answered with what is no chat completion.";
    Refused::new(StatusCode::BAD_GATEWAY, "unreadable_answer", message)
}
