use proptest::prelude::*;

use super::{super::scripted::*, *};
use crate::client::Bounds;

/// A whole model, one of which a part fell to the CPU, and one that stays for ever.
const PS: &str = r#"{"models":[
    {"name":"qwen3:8b","model":"qwen3:8b","size":6442450944,"size_vram":6442450944,
     "digest":"500a1f067a9f","expires_at":"2026-11-21T18:05:00.5+01:00","context_length":4096,
     "details":{"parent_model":"","format":"gguf","family":"qwen3","families":["qwen3"],
     "parameter_size":"8.2B","quantization_level":"Q4_K_M"}},
    {"name":"llama3.3:70b","model":"llama3.3:70b","size":42949672960,"size_vram":10737418240,
     "digest":"a6eb4748fd29","expires_at":"2318-11-21T18:05:00Z","context_length":8192,
     "details":{"quantization_level":"Q4_K_M"}},
    {"name":"nomic-embed-text:latest","model":"nomic-embed-text:latest","size":595142656,
     "size_vram":0,"digest":"0a109f422b47","expires_at":"0001-01-01T00:00:00Z",
     "details":{"quantization_level":"F16"}}]}"#;

const TAGS: &str = r#"{"models":[
    {"name":"qwen3:8b","model":"qwen3:8b","modified_at":"2026-10-01T10:00:00Z",
     "size":5225388164,"digest":"500a1f067a9f","details":{"quantization_level":"Q4_K_M"}},
    {"name":"llama3.3:70b","model":"llama3.3:70b","size":42520413916,"details":null},
    {"name":"nomic-embed-text:latest","size":274302450},
    {"name":"gemma3:27b","size":17396936941,"details":{"quantization_level":"Q4_0"}},
    {"name":"gpt-oss:120b-cloud","size":384,"remote_model":"gpt-oss:120b",
     "remote_host":"https://ollama.com:443","details":{"quantization_level":"MXFP4"}}]}"#;

const NONE: &str = r#"{"models":[]}"#;

async fn serve(ps: &str) -> Scripted {
    let server = Scripted::start().await;
    server
        .on("GET /", 200, "Ollama is running")
        .on("GET /api/version", 200, r#"{"version":"0.12.3"}"#)
        .on("GET /api/tags", 200, TAGS)
        .on("GET /api/ps", 200, ps);
    server
}

#[tokio::test]
async fn models_are_told_with_their_share_on_the_gpu() {
    let scrape = serve(PS).await.look(&Ollama).await.unwrap();
    assert_eq!(scrape.condition, Condition::Ready);
    assert_eq!(scrape.version.as_deref(), Some("0.12.3"));
    let models = scrape.models.unwrap();
    let shares: Vec<_> =
        models.iter().map(|model| (&*model.name, model.loaded, model.gpu_share)).collect();
    assert_eq!(
        shares,
        [
            ("qwen3:8b", Loaded::Loaded, Some(1.0)),
            ("llama3.3:70b", Loaded::Loaded, Some(0.25)),
            ("nomic-embed-text:latest", Loaded::Loaded, Some(0.0)),
            ("gemma3:27b", Loaded::Unloaded, None),
            ("gpt-oss:120b-cloud", Loaded::Unknown, None),
        ]
    );
    let qwen = &models[0];
    assert_eq!(qwen.quantization.as_deref(), Some("Q4_K_M"));
    assert_eq!((qwen.context_tokens, qwen.size_bytes), (Some(4096), Some(6 << 30)));
    assert_eq!(models[2].context_tokens, None, "older versions do not tell it");
    // On disk, what it takes there; elsewhere, nothing here.
    assert_eq!((models[3].size_bytes, models[4].size_bytes), (Some(17_396_936_941), None));
}

#[tokio::test]
async fn weights_are_the_file_in_the_part_that_lies_on_the_card() {
    let held = async |ps: &str| serve(ps).await.look(&Ollama).await.unwrap().held.unwrap();
    let all = held(PS).await;
    // A whole file, a quarter of one, and nothing of one.
    let weights = 5_225_388_164 + 42_520_413_916 / 4;
    assert_eq!((all.weights_bytes, all.kv_bytes), (Some(weights), None));
    assert_eq!(all.basis, Basis::Assumed);
    assert_eq!(held(NONE).await.weights_bytes, Some(0));
    // A file larger than what it holds on the card, and one that is not known.
    let small = r#"{"models":[{"name":"qwen3:8b","size":500,"size_vram":500}]}"#;
    assert_eq!(held(small).await.weights_bytes, Some(500));
    let unknown = r#"{"models":[{"name":"n","size":500,"size_vram":500}]}"#;
    assert_eq!(held(unknown).await.weights_bytes, None);
}

#[tokio::test]
async fn a_model_that_fell_to_the_cpu_is_warned_of() {
    let hints = serve(PS).await.look(&Ollama).await.unwrap().hints;
    let texts: Vec<_> = hints.iter().map(|hint| (&*hint.id, &*hint.text)).collect();
    assert_eq!(
        texts,
        [
            ("on-the-cpu", "A part of llama3.3:70b runs on the CPU: 30.00 of 40.00 GiB."),
            ("on-the-cpu", "nomic-embed-text:latest runs on the CPU: nothing of it lies on a GPU."),
        ]
    );
    let whole = r#"{"models":[{"name":"m","size":5,"size_vram":5},{"name":"n","size":5}]}"#;
    let scrape = serve(whole).await.look(&Ollama).await.unwrap();
    assert_eq!(scrape.hints, [], "what is not told is not a part on the CPU");
}

#[tokio::test]
async fn when_a_model_goes_is_told_and_never_is_not_a_date() {
    let models = serve(PS).await.look(&Ollama).await.unwrap().models.unwrap();
    let expires: Vec<_> = models.iter().map(|model| model.expires_ms).collect();
    assert_eq!(expires, [Some(1_795_280_700_500), None, None, None, None]);
    assert_eq!(expires_ms("soon"), None);
}

#[tokio::test]
async fn a_look_asks_one_thing_and_nothing_that_loads() {
    let server = serve(PS).await;
    let (target, mut memory) = (server.target(), Memory::default());
    let first = Ollama.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /api/ps", "GET /api/tags", "GET /api/version"]);
    for _ in 0..CALM_LOOKS {
        let scrape = Ollama.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(server.asked(), ["GET /api/ps"]);
        assert_eq!(scrape.models, first.models, "what is on disk is remembered");
    }
    Ollama.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_model_that_was_pulled_and_loaded_since_is_looked_up() {
    let server = serve(NONE).await;
    let (target, mut memory) = (server.target(), Memory::default());
    for _ in 0..4 {
        Ollama.scrape(&target, &mut memory).await.unwrap();
    }
    server.asked();
    let new = r#"{"models":[{"name":"new:1b","size":9,"size_vram":9}]}"#;
    server.on("GET /api/ps", 200, new);
    server.on("GET /api/tags", 200, r#"{"models":[{"name":"new:1b","size":7}]}"#);
    let scrape = Ollama.scrape(&target, &mut memory).await.unwrap();
    assert!(server.asked().contains(&"GET /api/tags".to_string()));
    assert_eq!(scrape.models.unwrap().len(), 1);
    // One that /api/tags never lists is asked for once.
    server.on("GET /api/ps", 200, new.replace("new:1b", "ghost"));
    let mut lists = 0;
    for _ in 0..10 {
        Ollama.scrape(&target, &mut memory).await.unwrap();
        lists += server.asked().iter().filter(|asked| *asked == "GET /api/tags").count();
    }
    assert_eq!(lists, 1);
}

#[tokio::test]
async fn after_it_was_away_everything_is_asked_anew() {
    let server = serve(PS).await;
    let mut memory = Memory::default();
    Ollama.scrape(&server.target(), &mut memory).await.unwrap();
    server.asked();
    Ollama.scrape(&nobody().await, &mut memory).await.unwrap_err();
    Ollama.scrape(&server.target(), &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /api/ps", "GET /api/tags", "GET /api/version"]);
}

proptest! {
    #[test]
    fn whatever_it_tells_nothing_breaks_and_a_share_is_one(
        name in "\\PC{0,300}", size in any::<u64>(), vram in any::<u64>(), at in "\\PC{0,40}",
    ) {
        let told = json!({"models": [
            {"name": name, "size": size, "size_vram": vram, "expires_at": at}
        ]});
        let running: Running = serde_json::from_value(told).unwrap();
        let running = running.models.unwrap();
        for hint in hints(&running) {
            prop_assert!(hint.text.chars().count() < 300);
        }
        for model in models(&running, &[]) {
            prop_assert!(model.gpu_share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        }
    }
}

#[tokio::test]
async fn an_ollama_that_is_not_well_says_so() {
    let server = serve(PS).await;
    server.on("GET /api/ps", 500, r#"{"error":"llama runner process has terminated"}"#);
    let scrape = server.look(&Ollama).await.unwrap();
    let said = "answers /api/ps with 500: llama runner process has terminated";
    assert_eq!(scrape.condition, Condition::Ailing(said.into()));
    server.on("GET /api/ps", 200, "{\"models\":null}");
    assert_eq!(server.look(&Ollama).await.unwrap().condition, Condition::Ready);
    server.on("GET /api/ps", 200, "{\"models\":7}");
    let error = server.look(&Ollama).await.unwrap_err();
    assert!(matches!(error, CallError::NotUnderstood { .. }), "{error}");
}

#[tokio::test]
async fn it_is_known_by_its_own_sentence() {
    let server = serve(PS).await;
    let identity = Ollama.identify(&server.probe()).await.unwrap();
    assert_eq!((identity.version.as_deref(), identity.wants_key), (Some("0.12.3"), false));
    assert_eq!(server.asked(), ["GET /", "GET /api/version"]);
    server.on("GET /", 200, "<html>something else</html>");
    assert_eq!(Ollama.identify(&server.probe()).await, None);
    // LM Studio answers 200 to whatever it is asked.
    let other = Scripted::start().await;
    other.otherwise(200, r#"{"error":"Unexpected endpoint or method. ({})"}"#);
    assert_eq!(Ollama.identify(&other.probe()).await, None);
}

#[tokio::test]
async fn a_model_is_loaded_without_a_prompt() {
    let server = serve(NONE).await;
    server.on("POST /api/generate", 200, r#"{"model":"m","done":true,"done_reason":"load"}"#);
    Ollama.load(&server.target(), "qwen3:8b").await.unwrap();
    let sent = server.sent("POST /api/generate");
    assert_eq!(sent, [json!({"model": "qwen3:8b", "stream": false})]);
    server.on("POST /api/generate", 404, r#"{"error":"model 'x' not found"}"#);
    let error = Ollama.load(&server.target(), "x").await.unwrap_err();
    assert_eq!(error, ActionError::Refused("model 'x' not found".into()));
}

#[tokio::test]
async fn a_model_can_be_loaded_to_stay_as_it_did_before() {
    let server = serve(NONE).await;
    server.on("POST /api/generate", 200, r#"{"model":"m","done":true,"done_reason":"load"}"#);
    for (stay, keep_alive) in [(Stay::Seconds(7200), 7200), (Stay::Always, -1)] {
        Ollama.load_to_stay(&server.target(), "m", stay).await.unwrap();
        let sent = server.sent("POST /api/generate");
        let wish = json!({"model": "m", "stream": false, "keep_alive": keep_alive});
        assert_eq!(sent.last(), Some(&wish));
    }
}

#[tokio::test]
async fn a_model_that_only_embeds_is_loaded_by_its_own_path() {
    let server = serve(NONE).await;
    let no = r#"{"error":"\"nomic-embed-text:latest\" does not support generate"}"#;
    server.on("POST /api/generate", 400, no);
    server.on("POST /api/embed", 200, r#"{"model":"nomic-embed-text","embeddings":[]}"#);
    Ollama.load(&server.target(), "nomic-embed-text").await.unwrap();
    let sent = server.sent("POST /api/embed");
    assert_eq!(sent, [json!({"model": "nomic-embed-text", "input": []})]);
    Ollama.unload(&server.target(), "nomic-embed-text").await.unwrap();
    let wish = json!({"model": "nomic-embed-text", "input": [], "keep_alive": 0});
    assert_eq!(server.sent("POST /api/embed").last(), Some(&wish));
}

#[tokio::test]
async fn an_unload_returns_when_the_model_is_gone() {
    let server = serve(NONE).await;
    let still = r#"{"models":[{"name":"m:latest"}]}"#.to_string();
    server.on("POST /api/generate", 200, r#"{"done":true,"done_reason":"unload"}"#);
    server.on_each("GET /api/ps", [(200, still.clone()), (200, still), (200, NONE.into())]);
    Ollama.unload(&server.target(), "m").await.unwrap();
    let sent = server.sent("POST /api/generate");
    assert_eq!(sent, [json!({"model": "m", "keep_alive": 0, "stream": false})]);
    assert_eq!(server.asked().iter().filter(|asked| *asked == "GET /api/ps").count(), 3);
}

#[tokio::test]
async fn a_model_that_is_busy_is_not_called_unloaded() {
    let server = serve(r#"{"models":[{"name":"m"}]}"#).await;
    server.on("POST /api/generate", 200, r#"{"done":true,"done_reason":"unload"}"#);
    let bounds = Bounds { budget: Duration::from_millis(400), ..Bounds::default() };
    let error = Ollama.unload(&server.target().within(bounds), "m").await.unwrap_err();
    assert!(matches!(&error, ActionError::Refused(said) if said.contains("still works")));
}
