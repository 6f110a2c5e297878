//! Which answers may serve more than the request that they were given for.

use std::time::Duration;

use plimsoll_core::{
    config::{Gateway, gateway::Question},
    request::Endpoint,
};

use crate::{cache::Bounds, request::Understood, route::Way};

/// What the configuration says of answers that serve several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// How much is kept.
    cache: Bounds,
    /// A client may get what another one's request was answered with, kept or under way.
    pub across_clients: bool,
    coalesce: Vec<Question>,
}

// === impl Sharing ===

impl Default for Sharing {
    /// As the configuration has it where nothing is set.
    fn default() -> Self {
        Self {
            cache: Bounds {
                bytes: 500 << 20,
                entries: 10_000,
                ttl: Duration::from_secs(12 * 3600),
                entry_bytes: 1 << 20,
            },
            across_clients: false,
            coalesce: vec![Question::Embeddings],
        }
    }
}

impl Sharing {
    pub fn of(gateway: &Gateway) -> Self {
        let cache = &gateway.cache;
        Self {
            cache: Bounds {
                bytes: (cache.max_mib as usize) << 20,
                entries: cache.max_entries as usize,
                ttl: Duration::from_secs(cache.ttl_s.into()),
                entry_bytes: (cache.entry_kib as usize) << 10,
            },
            across_clients: cache.shared,
            coalesce: gateway.coalesce.clone(),
        }
    }

    pub fn cache(&self) -> Bounds {
        self.cache
    }

    /// Whether it is asked once while the same is under way.
    pub fn joins(&self, way: &Way, asked: &Understood) -> bool {
        let Some(question) = question_of(asked.endpoint) else { return false };
        is_repeatable(question, asked)
            && way.coalesce.unwrap_or_else(|| self.coalesce.contains(&question))
    }

    /// Whether its answer is kept, and may come from what was kept.
    pub fn keeps(&self, way: &Way, asked: &Understood) -> bool {
        way.cache && question_of(asked.endpoint).is_some_and(|of| is_repeatable(of, asked))
    }
}

/// The same question gets the same answer.
fn is_repeatable(question: Question, asked: &Understood) -> bool {
    match question {
        Question::Embeddings | Question::Rerank => true,
        Question::Chat | Question::Completions => asked.deterministic,
    }
}

/// The kind of question; `None` for those whose answers are never shared.
pub fn question_of(endpoint: Endpoint) -> Option<Question> {
    match endpoint {
        Endpoint::Embeddings | Endpoint::OllamaEmbed => Some(Question::Embeddings),
        Endpoint::Rerank => Some(Question::Rerank),
        Endpoint::Chat | Endpoint::Responses | Endpoint::Messages | Endpoint::OllamaChat => {
            Some(Question::Chat)
        }
        Endpoint::Completions | Endpoint::OllamaGenerate => Some(Question::Completions),
        Endpoint::Transcriptions | Endpoint::Translations | Endpoint::Speech | Endpoint::Other => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{request::understand, route::Table};
    use plimsoll_core::config::{Environment, Loaded};
    use plimsoll_services::kind::ServiceKind;

    fn asked(endpoint: Endpoint, body: &str) -> Understood {
        understand(endpoint, body.as_bytes(), Some("application/json")).unwrap()
    }

    fn sharing(text: &str) -> Sharing {
        let read = Loaded::of(text.into(), &Environment::default());
        assert_eq!(read.problems, []);
        Sharing::of(&read.config.gateway)
    }

    fn way(cache: bool, coalesce: Option<bool>) -> Way {
        let backend = crate::route::Backend {
            id: "chat".into(),
            kind: Some(ServiceKind::LlamaCpp),
            url: "http://x".into(),
            key: None,
            trust: None,
            models: vec!["m".into()],
            loaded: None,
            up: true,
        };
        let way = Table::of([backend]).way(Endpoint::Chat, "m").unwrap();
        Way { cache, coalesce, ..(*way).clone() }
    }

    const EMBED: &str = r#"{"model":"m","input":"a"}"#;
    const CHAT: &str = r#"{"model":"m","messages":[]}"#;
    const FIXED: &str = r#"{"model":"m","messages":[],"temperature":0}"#;

    // AR2
    #[test]
    fn what_is_kept_has_the_bounds_of_the_configuration() {
        assert_eq!(sharing(""), Sharing::default());
        let small = sharing("gateway.cache = { max_mib = 2, ttl_s = 9, shared = true }");
        assert_eq!(small.cache().bytes, 2 << 20);
        assert_eq!(small.cache().ttl, Duration::from_secs(9));
        assert!(small.across_clients);
    }

    // MV15
    #[test]
    fn embeddings_are_asked_once_by_default_and_chat_only_by_choice_and_where_it_is_repeatable() {
        let usual = sharing("");
        let plain = way(false, None);
        assert!(usual.joins(&plain, &asked(Endpoint::Embeddings, EMBED)));
        assert!(!usual.joins(&plain, &asked(Endpoint::Chat, FIXED)));
        let both = sharing("gateway.coalesce = [\"chat\"]");
        assert!(both.joins(&plain, &asked(Endpoint::Chat, FIXED)));
        assert!(!both.joins(&plain, &asked(Endpoint::Chat, CHAT)));
        assert!(!both.joins(&plain, &asked(Endpoint::Embeddings, EMBED)));
    }

    #[test]
    fn a_route_goes_before_the_kind_but_never_joins_what_is_not_repeatable() {
        let usual = sharing("");
        assert!(usual.joins(&way(false, Some(true)), &asked(Endpoint::Chat, FIXED)));
        assert!(!usual.joins(&way(false, Some(true)), &asked(Endpoint::Chat, CHAT)));
        assert!(!usual.joins(&way(false, Some(false)), &asked(Endpoint::Embeddings, EMBED)));
    }

    #[test]
    fn only_a_route_that_says_so_keeps_answers() {
        let usual = sharing("");
        assert!(!usual.keeps(&way(false, None), &asked(Endpoint::Embeddings, EMBED)));
        assert!(usual.keeps(&way(true, None), &asked(Endpoint::Embeddings, EMBED)));
        assert!(usual.keeps(&way(true, None), &asked(Endpoint::Chat, FIXED)));
        assert!(!usual.keeps(&way(true, None), &asked(Endpoint::Chat, CHAT)));
    }
}
