//! One question to a server: what it speaks, and how it is. What it answers is cut to
//! what people can read, whatever it was.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;

use super::Shared;
use crate::{
    adapter::{Adapter, Condition, Memory, Probe, Scrape, identify},
    client::{CallError, Target},
    kind::ServiceKind,
    service::{MAX_HINTS, MAX_MODELS, Origin},
};

/// What one look may take, in calls' budgets: a look is some calls.
const LOOK_BUDGETS: u32 = 2;
/// Longest text of each sort, in characters. Names of models may be paths.
const LONGEST_NAME: usize = 256;
const LONGEST_VERSION: usize = 64;
const LONGEST_QUANTIZATION: usize = 32;
const LONGEST_SENTENCE: usize = 400;

/// One look within its time.
pub(super) async fn scrape_once(
    adapter: &dyn Adapter,
    target: &Target,
    memory: &mut Memory,
) -> Result<Scrape, CallError> {
    let budget = target.bounds().budget * LOOK_BUDGETS;
    let look = AssertUnwindSafe(adapter.scrape(target, memory)).catch_unwind();
    match tokio::time::timeout(budget, look).await {
        Ok(Ok(outcome)) => outcome.map(bounded),
        Ok(Err(_)) => {
            // What it remembers may be half changed.
            memory.clear();
            Ok(Scrape {
                condition: Condition::Ailing("its answer could not be read (see the log)".into()),
                ..Scrape::default()
            })
        }
        Err(_) => Err(CallError::TooSlow {
            place: target.place().to_string(),
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            began: true,
        }),
    }
}

/// The same within its bounds, and without characters that would move a terminal's cursor.
fn bounded(mut scrape: Scrape) -> Scrape {
    if let Some(version) = &mut scrape.version {
        cut(version, LONGEST_VERSION);
    }
    if let Some(models) = &mut scrape.models {
        models.truncate(MAX_MODELS);
        for model in models {
            cut(&mut model.name, LONGEST_NAME);
            if let Some(quantization) = &mut model.quantization {
                cut(quantization, LONGEST_QUANTIZATION);
            }
        }
    }
    scrape.hints.truncate(MAX_HINTS);
    for hint in &mut scrape.hints {
        cut(&mut hint.text, LONGEST_SENTENCE);
        cut(&mut hint.advice, LONGEST_SENTENCE);
    }
    match &mut scrape.condition {
        Condition::Ready => {}
        Condition::Loading(said) | Condition::Ailing(said) | Condition::Locked(said) => {
            cut(said, LONGEST_SENTENCE);
        }
    }
    scrape
}

/// Nearly every text is left as it is, without a copy.
fn cut(text: &mut String, most: usize) {
    if text.len() > most || text.contains(char::is_control) {
        *text = text.chars().filter(|c| !c.is_control()).take(most).collect();
    }
}

/// Finds out what a server speaks. One that a person named, and that speaks nothing
/// better known, is a plain HTTP service.
pub(super) async fn find_kind(
    shared: &Shared,
    target: &Target,
    likely: Option<ServiceKind>,
    patience: Duration,
    origin: Origin,
) -> Result<ServiceKind, CallError> {
    let redis = target.is_redis().then_some(ServiceKind::Redis);
    let probe = Probe::new(target.clone());
    if let Some(found) = identify(&shared.adapters, &probe, redis.or(likely), patience).await {
        return Ok(found.kind);
    }
    if redis.is_some() {
        // An address says it, though nobody answers now.
        return Ok(ServiceKind::Redis);
    }
    probe.get("/").await?;
    if origin == Origin::Configured {
        return Ok(ServiceKind::Http);
    }
    Err(CallError::NotUnderstood {
        place: target.place().to_string(),
        path: "/".into(),
        detail: "it is no service that is known".into(),
    })
}

/// What a process of that name usually speaks: only the order of asking follows from it.
pub fn likely_kind(process: &str) -> Option<ServiceKind> {
    let name = process.to_ascii_lowercase();
    [
        ("redis", ServiceKind::Redis),
        ("valkey", ServiceKind::Redis),
        ("keydb", ServiceKind::Redis),
        ("llama-server", ServiceKind::LlamaCpp),
        ("ollama", ServiceKind::Ollama),
        ("vllm", ServiceKind::Vllm),
        ("sglang", ServiceKind::SgLang),
        ("qdrant", ServiceKind::Qdrant),
        ("milvus", ServiceKind::Milvus),
        ("chroma", ServiceKind::Chroma),
        ("whisper-server", ServiceKind::WhisperCpp),
    ]
    .into_iter()
    .find_map(|(part, kind)| name.contains(part).then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Hint, Loaded, Model};

    #[test]
    fn what_a_server_says_is_cut_to_what_people_can_read() {
        let long = format!("a\u{1b}[2J{}", "é".repeat(100_000));
        let model =
            Model { quantization: Some(long.clone()), ..Model::named(&long, Loaded::Loaded) };
        let cut = bounded(Scrape {
            condition: Condition::Ailing(long.clone()),
            version: Some(long.clone()),
            models: Some(vec![model; 1000]),
            hints: vec![Hint::advice("id", &long, &long); 1000],
            ..Scrape::default()
        });
        let models = cut.models.unwrap();
        let Condition::Ailing(said) = cut.condition else { panic!("{:?}", cut.condition) };
        let texts = [
            (said.as_str(), LONGEST_SENTENCE),
            (cut.version.as_deref().unwrap(), LONGEST_VERSION),
            (models[0].name.as_str(), LONGEST_NAME),
            (models[0].quantization.as_deref().unwrap(), LONGEST_QUANTIZATION),
            (cut.hints[0].text.as_str(), LONGEST_SENTENCE),
            (cut.hints[0].advice.as_str(), LONGEST_SENTENCE),
        ];
        for (text, most) in texts {
            assert_eq!(text.chars().count(), most);
            assert!(text.starts_with("a[2Jé"), "{text}");
        }
        assert_eq!((models.len(), cut.hints.len()), (MAX_MODELS, MAX_HINTS));
        // What fits stays as it is, to the last character.
        let mut fits = "é".repeat(LONGEST_NAME);
        super::cut(&mut fits, LONGEST_NAME);
        assert_eq!(fits, "é".repeat(LONGEST_NAME));
    }
}
