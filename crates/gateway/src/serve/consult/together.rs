//! The answers of all, one stream or one answer of them. Nothing is read that the
//! client does not take: what is held is one line of each at most.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    super::refuse::Refused,
    expert::{Expert, Said},
    words::{self, Usage},
};

pub struct Together {
    experts: Vec<Expert>,
    /// Whose turn it is first.
    turn: usize,
    id: String,
    /// The client wants to know how many tokens it took.
    usage_wanted: bool,
    usage: Usage,
    /// Of the choices that were given, and why the others were not.
    choices: Vec<Value>,
    failed: Vec<(usize, Refused)>,
    /// An answer to take the frame from.
    like: Option<Value>,
    ready: VecDeque<Bytes>,
    ended: bool,
}

// === impl Together ===

impl Together {
    pub fn new(experts: Vec<Expert>, id: String, usage_wanted: bool) -> Self {
        Self {
            experts,
            turn: 0,
            id,
            usage_wanted,
            usage: Usage::default(),
            choices: Vec::new(),
            failed: Vec::new(),
            like: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Ready when one has begun its answer, or with an error when none ever will.
    pub fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        loop {
            if self.like.is_some() {
                return Poll::Ready(Ok(()));
            }
            match self.poll_next(cx) {
                Poll::Ready(Some((at, said))) => self.tell(at, said),
                Poll::Ready(None) => return Poll::Ready(Err(self.all_failed())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next piece of the stream of all.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(piece));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match self.poll_next(cx) {
                Poll::Ready(Some((at, said))) => self.tell(at, said),
                Poll::Ready(None) => self.end(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    pub fn is_over(&self) -> bool {
        self.ended && self.ready.is_empty()
    }

    /// One answer of all of them, when the last has answered or failed.
    pub fn poll_whole(
        &mut self,
        cx: &mut Context<'_>,
        model: &str,
    ) -> Poll<Result<Bytes, Refused>> {
        loop {
            match self.poll_next(cx) {
                Poll::Ready(Some((at, said))) => self.keep(at, said),
                Poll::Ready(None) if self.like.is_none() => {
                    return Poll::Ready(Err(self.all_failed()));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(self.whole(model))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// What any of them said next; `None` when all are over. Each has its turn.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, Said)>> {
        let many = self.experts.len();
        for step in 0..many {
            let at = (self.turn + step) % many;
            if let Poll::Ready(Some(said)) = self.experts[at].poll_said(cx) {
                self.turn = (at + 1) % many;
                return Poll::Ready(Some((at, said)));
            }
        }
        if self.experts.iter().all(Expert::is_over) {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    /// Puts what one said into the stream.
    fn tell(&mut self, at: usize, said: Said) {
        let (many, name) = (self.experts.len(), self.experts[at].name.clone());
        let mut chunk = match said {
            Said::Failed(why) => {
                let choice = words::failed(at, &name, &why, "delta");
                let frame =
                    words::frame(self.like.as_ref(), &self.id, "chat.completion.chunk", &name);
                self.failed.push((at, why));
                let mut chunk = Value::Object(frame);
                chunk["choices"] = json!([choice]);
                return self.ready.push_back(words::event(&chunk));
            }
            Said::Chunk(chunk) => chunk,
            Said::Whole(whole) => {
                let mut chunk = words::as_chunk(whole);
                chunk["object"] = json!("chat.completion.chunk");
                chunk
            }
        };
        if self.like.is_none() {
            self.like = Some(json!({ "created": chunk.get("created").cloned() }));
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage.add(usage);
            // It is told at the end, of all.
            if let Some(chunk) = chunk.as_object_mut() {
                chunk.remove("usage");
            }
            if chunk["choices"].as_array().is_none_or(Vec::is_empty) {
                return;
            }
        }
        words::place(&mut chunk, at, many, &name);
        if !chunk["created"].is_u64() {
            chunk["created"] = json!(0);
        }
        chunk["id"] = json!(self.id);
        chunk["model"] = json!(&*name);
        self.ready.push_back(words::event(&chunk));
    }

    fn end(&mut self) {
        self.ended = true;
        if let (true, Some(usage)) = (self.usage_wanted, self.usage.value()) {
            let frame = words::frame(self.like.as_ref(), &self.id, "chat.completion.chunk", "");
            let mut chunk = Value::Object(frame);
            chunk["choices"] = json!([]);
            chunk["usage"] = usage;
            self.ready.push_back(words::event(&chunk));
        }
        self.ready.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    }

    /// Keeps what one answered.
    fn keep(&mut self, at: usize, said: Said) {
        let (many, name) = (self.experts.len(), self.experts[at].name.clone());
        match said {
            Said::Failed(why) => {
                self.choices.push(words::failed(at, &name, &why, "message"));
                self.failed.push((at, why));
            }
            // A server that streams unasked is read as far as it can be.
            Said::Chunk(mut whole) | Said::Whole(mut whole) => {
                words::place(&mut whole, at, many, &name);
                if let Some(usage) = whole.get("usage") {
                    self.usage.add(usage);
                }
                if let Some(choices) = whole.get_mut("choices").and_then(Value::as_array_mut) {
                    self.choices.append(choices);
                }
                self.like.get_or_insert(json!({ "created": whole.get("created").cloned() }));
            }
        }
    }

    fn whole(&mut self, model: &str) -> Bytes {
        self.choices.sort_by_key(|choice| choice["index"].as_u64());
        let frame = words::frame(self.like.as_ref(), &self.id, "chat.completion", model);
        let mut answer = Value::Object(frame);
        answer["choices"] = json!(self.choices);
        if let Some(usage) = self.usage.value() {
            answer["usage"] = usage;
        }
        answer.to_string().into()
    }

    /// What all said, with the status that they agree on.
    fn all_failed(&self) -> Refused {
        let mut statuses = self.failed.iter().map(|(_, why)| why.status);
        let first = statuses.next().unwrap_or(StatusCode::BAD_GATEWAY);
        let status =
            if statuses.all(|other| other == first) { first } else { StatusCode::BAD_GATEWAY };
        let reasons: Vec<String> = self
            .failed
            .iter()
            .map(|(at, why)| format!("{}: {}", self.experts[*at].name, why.message))
            .collect();
        let again = self.failed.iter().filter_map(|(_, why)| why.retry_after).min();
        let message = format!("None of the models answered. {}", reasons.join(" "));
        Refused::new(status, "consult_failed", message).again_after(again)
    }
}
