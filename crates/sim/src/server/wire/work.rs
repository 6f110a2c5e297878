//! Questions that an engine works on.

use std::sync::Arc;

use hyper::{Request, Response, body::Incoming};
use serde_json::json;
use tokio::sync::Notify;

use super::{
    super::{
        body::{Answer, Form, Stream},
        fault::Fault,
        runner::Memory,
        shared::Shared,
        spec::{ModelSpec, Speaks},
        state::End,
        ticket::{Flight, Ticket},
    },
    Served, answer,
    ask::{Ask, Text},
    before, broken,
    control::body_of,
    created,
    dialects::{Messages, Responses},
    error, has_key, json_of, loading, loads, no_key,
    ollama::{self, Native},
    open_ai::OpenAi,
    vectors,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Chat,
    Completion,
    Responses,
    Messages,
    Embedding,
    NativeGenerate,
    NativeChat,
    NativeEmbed,
}

/// Most texts of one embedding request.
const MOST_TEXTS: usize = 2048;

// === impl Work ===

impl Work {
    /// The work behind a path.
    pub fn at(speaks: Speaks, path: &str) -> Option<Self> {
        let native = speaks == Speaks::Ollama;
        let bare = speaks == Speaks::LlamaCpp;
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/completions" => Self::Completion,
            "/v1/embeddings" => Self::Embedding,
            "/chat/completions" if bare => Self::Chat,
            "/v1/responses" if bare => Self::Responses,
            "/v1/messages" if bare => Self::Messages,
            "/embeddings" if bare => Self::Embedding,
            "/api/generate" if native => Self::NativeGenerate,
            "/api/chat" if native => Self::NativeChat,
            "/api/embed" if native => Self::NativeEmbed,
            _ => return None,
        })
    }

    fn is_native(self) -> bool {
        matches!(self, Self::NativeGenerate | Self::NativeChat | Self::NativeEmbed)
    }

    fn embeds(self) -> bool {
        matches!(self, Self::Embedding | Self::NativeEmbed)
    }
}

pub async fn serve(
    shared: &Arc<Shared>,
    work: Work,
    request: Request<Incoming>,
    close: Arc<Notify>,
) -> Served {
    let speaks = shared.spec.speaks;
    let flight = shared.take_off();
    let fault = shared.strike(true);
    if let Some(served) = before(speaks, fault).await {
        return served.map(|response| response.map(|body| body.landing(flight)));
    }
    let refuse = |response: Response<Answer>| {
        shared.with(|state, _| state.stats.refused += 1);
        Ok(response)
    };
    if shared.with(|state, _| loads(shared, state)) {
        return refuse(loading(speaks));
    }
    if !has_key(shared, &request) {
        return refuse(no_key(speaks));
    }
    let body = match body_of(speaks, request).await {
        Ok(body) => body,
        Err(response) => return refuse(response),
    };
    let ask: Ask<'_> = match serde_json::from_slice(&body) {
        Ok(ask) => ask,
        Err(wrong) => {
            let (status, kind) = match speaks {
                Speaks::LlamaCpp => (500, "server_error"),
                _ => (400, "invalid_request_error"),
            };
            return refuse(error(speaks, status, kind, &wrong.to_string()));
        }
    };
    let Some(runner) = runner_of(shared, ask.model.as_deref()) else {
        let name = ask.model.as_deref().unwrap_or_default();
        let said = match speaks {
            Speaks::Ollama => format!("model '{name}' not found"),
            _ => format!("The model `{name}` does not exist."),
        };
        return refuse(error(speaks, 404, "NotFoundError", &said));
    };
    let asked = Asked { shared, work, runner, model: &shared.spec.models[runner], fault };
    let outcome = if work.embeds() {
        asked.embed(&ask, flight).await
    } else {
        asked.generate(&ask, flight, close).await
    };
    match outcome {
        Ok(response) => Ok(response),
        Err(response) => refuse(*response),
    }
}

/// One request, understood.
struct Asked<'a> {
    shared: &'a Arc<Shared>,
    work: Work,
    runner: usize,
    model: &'a ModelSpec,
    fault: Option<Fault>,
}

type Outcomes = Result<Response<Answer>, Box<Response<Answer>>>;

// === impl Asked ===

impl Asked<'_> {
    fn refuse<T>(&self, status: u16, kind: &str, said: &str) -> Result<T, Box<Response<Answer>>> {
        Err(Box::new(error(self.shared.spec.speaks, status, kind, said)))
    }

    fn full<T>(&self) -> Result<T, Box<Response<Answer>>> {
        let said = "server busy, please try again.  maximum pending requests exceeded";
        self.refuse(503, "unavailable_error", said)
    }

    async fn generate(&self, ask: &Ask<'_>, flight: Flight, close: Arc<Notify>) -> Outcomes {
        let (shared, speaks) = (self.shared, self.shared.spec.speaks);
        // Before it looks what the model can do.
        if self.is_unload(ask) {
            return self.load(ask, flight).await;
        }
        if self.model.embeds {
            let said = match speaks {
                Speaks::Ollama => format!("\"{}\" does not support generate", self.model.name),
                _ => "This model only embeds.".to_owned(),
            };
            return self.refuse(400, "invalid_request_error", &said);
        }
        let loaded = self.hold(ask);
        if self.work.is_native() && self.is_empty(ask) {
            return self.load(ask, flight).await;
        }
        let Some(wish) = ask.wish(self.model, self.fault) else { return self.too_long(ask) };
        let streams = ask.stream.unwrap_or(self.work.is_native());
        if streams {
            shared.with(|state, _| state.stats.streams += 1);
        }
        let Some(mut ticket) = shared.ask(self.runner, wish) else { return self.full() };
        if streams {
            let at_once = matches!(
                self.fault,
                Some(Fault::Dies { after_tokens: 0 } | Fault::Stalls { after_tokens: 0, .. })
            );
            if speaks != Speaks::Vllm && !at_once {
                // Whatever is wrong is told by the status; so the head waits for a token.
                ticket.begun().await;
            }
            let form = self.form(ask, &ticket, loaded);
            let close = shared.spec.closes_after_stream.then_some(close);
            let kind =
                if self.work.is_native() { "application/x-ndjson" } else { "text/event-stream" };
            let stream = Stream::new(form, ticket, flight, self.fault, close);
            return Ok(answer(200, kind, Answer::Stream(Box::new(stream))));
        }
        if self.fault == Some(Fault::Endless) {
            let blank = Answer::Endless(vec![b' '; 16 << 10].into(), None).landing(flight);
            return Ok(answer(200, "application/json", blank));
        }
        let End::Done(outcome) = ticket.ended().await else { return self.lost() };
        let said = self.form(ask, &ticket, loaded).whole(&outcome);
        Ok(broken(self.fault, landed(json_of(200, &said), flight)).await)
    }

    async fn embed(&self, ask: &Ask<'_>, flight: Flight) -> Outcomes {
        let (shared, speaks) = (self.shared, self.shared.spec.speaks);
        if !self.model.embeds {
            return match speaks {
                Speaks::LlamaCpp => self.refuse(
                    501,
                    "not_supported_error",
                    "This server does not support embeddings. Start it with `--embeddings`",
                ),
                _ => self.refuse(400, "BadRequestError", "this model does not support embeddings"),
            };
        }
        let loaded = self.hold(ask);
        let texts = ask.texts();
        if texts.len() > MOST_TEXTS {
            return self.refuse(400, "invalid_request_error", "too many texts at once");
        }
        if texts.is_empty() && self.work.is_native() {
            return self.load(ask, flight).await;
        }
        if texts.iter().any(|text| text.tokens() > self.model.context) {
            return self.too_long(ask);
        }
        let mut tickets: Vec<Ticket> = Vec::with_capacity(texts.len());
        for text in &texts {
            let Some(ticket) = shared.ask(self.runner, text.embedding()) else {
                return self.full();
            };
            tickets.push(ticket);
        }
        let mut prompt = 0;
        let mut last = None;
        for ticket in &mut tickets {
            let End::Done(outcome) = ticket.ended().await else { return self.lost() };
            prompt += outcome.prompt;
            last = Some(outcome);
        }
        let said = match last {
            Some(last) if self.work.is_native() => {
                vectors::native(self.model, &texts, &last, prompt, loaded)
            }
            _ => vectors::open_ai(self.model, ask, &texts, prompt),
        };
        Ok(broken(self.fault, landed(json_of(200, &said), flight)).await)
    }

    fn lost(&self) -> Outcomes {
        self.refuse(500, "server_error", "the engine ended")
    }

    fn too_long(&self, ask: &Ask<'_>) -> Outcomes {
        let tokens = ask.text().map_or(0, Text::tokens);
        let context = self.model.context;
        let speaks = self.shared.spec.speaks;
        let said = match speaks {
            Speaks::LlamaCpp => format!(
                "request ({tokens} tokens) exceeds the available context size ({context} tokens), \
                 try increasing it"
            ),
            _ => format!(
                "This model's maximum context length is {context} tokens. However, your request \
                 has {tokens} input tokens. Please reduce the length of the input messages."
            ),
        };
        let kind = match speaks {
            Speaks::LlamaCpp => "exceed_context_size_error",
            _ => "BadRequestError",
        };
        if speaks != Speaks::LlamaCpp {
            return self.refuse(400, kind, &said);
        }
        let body = json!({ "error": {
            "code": 400, "message": said, "type": kind,
            "n_prompt_tokens": tokens, "n_ctx": context,
        } });
        Err(Box::new(json_of(400, &body)))
    }

    /// How long the model stays is said with each request. Answers what it has to load first.
    fn hold(&self, ask: &Ask<'_>) -> u64 {
        self.shared.with(|state, _| {
            let runner = &mut state.runners[self.runner];
            if self.shared.spec.speaks == Speaks::Ollama && !self.is_unload(ask) {
                // Said with each request; else what the server was started with.
                let usual = self.shared.spec.sleep_idle_ms.map(|ms| ms * 1000);
                runner.keep = ask.keep_us().unwrap_or(usual);
            }
            if runner.memory == Memory::In { 0 } else { runner.model.load_ms * 1000 }
        })
    }

    fn is_unload(&self, ask: &Ask<'_>) -> bool {
        self.work.is_native() && self.is_empty(ask) && ask.keep_us() == Some(Some(0))
    }

    fn is_empty(&self, ask: &Ask<'_>) -> bool {
        ask.text().is_none_or(|text| matches!(text.0, "\"\"" | "[]" | "null"))
    }

    /// A question without words: loads, or unloads with `keep_alive: 0`.
    async fn load(&self, ask: &Ask<'_>, flight: Flight) -> Outcomes {
        let (shared, native) = (self.shared, self.native(ask, 0));
        let unload = self.is_unload(ask);
        shared.change(self.runner, !unload);
        if !unload {
            shared.loaded(self.runner).await;
        }
        let said = native.empty(if unload { "unload" } else { "load" });
        Ok(landed(json_of(200, &said), flight))
    }

    fn form(&self, ask: &Ask<'_>, ticket: &Ticket, load_us: u64) -> Box<dyn Form> {
        let (number, seed) = (ticket.number(), ask.text().map_or(0, Text::seed));
        let model = self.model.name.clone();
        match self.work {
            Work::Responses => {
                let created = created(self.shared, self.shared.now());
                Box::new(Responses { number, created, model, seed })
            }
            Work::Messages => {
                let prompt = ask.text().map_or(0, Text::tokens);
                Box::new(Messages { number, model, seed, prompt })
            }
            _ if self.work.is_native() => Box::new(self.native(ask, load_us)),
            _ => Box::new(self.open_ai(ask, ticket)),
        }
    }

    fn open_ai(&self, ask: &Ask<'_>, ticket: &Ticket) -> OpenAi {
        let shared = self.shared;
        let mut form =
            OpenAi::new(shared.spec.speaks, self.work == Work::Chat, ask, ticket.number());
        form.created = created(shared, shared.now());
        form.model.clone_from(&self.model.name);
        form.version.clone_from(&shared.spec.version);
        form
    }

    fn native(&self, ask: &Ask<'_>, load_us: u64) -> Native {
        Native {
            chat: self.work == Work::NativeChat,
            model: self.model.name.clone(),
            created_ms: self.shared.wall_ms(self.shared.now()),
            seed: ask.text().map_or(0, Text::seed),
            load_us,
        }
    }
}

fn landed(response: Response<Answer>, flight: Flight) -> Response<Answer> {
    response.map(|body| body.landing(flight))
}

/// Which model is meant; llama.cpp has one, whatever is said.
fn runner_of(shared: &Shared, name: Option<&str>) -> Option<usize> {
    match shared.spec.speaks {
        Speaks::LlamaCpp => Some(0),
        Speaks::Vllm => name.is_none_or(|name| name == shared.spec.models[0].name).then_some(0),
        Speaks::Ollama => shared.with(|state, _| ollama::find(state, name?)),
    }
}
