use super::{super::scripted::*, *};

const LIST1: &str = r#"{"models":[
    {"type":"llm","publisher":"lmstudio-community","key":"gemma-3-270m-it-qat",
     "display_name":"Gemma 3 270m","architecture":"gemma3",
     "quantization":{"name":"Q4_0","bits_per_weight":4},"size_bytes":241410208,
     "params_string":"270M","loaded_instances":[],"max_context_length":32768,"format":"gguf"},
    {"type":"llm","publisher":"openai","key":"openai/gpt-oss-20b",
     "quantization":{"name":"MXFP4","bits_per_weight":4},"size_bytes":12109566560,
     "loaded_instances":[
        {"id":"openai/gpt-oss-20b","config":{"context_length":16384,"parallel":4}},
        {"id":"openai/gpt-oss-20b:2","config":{"context_length":4096,"parallel":2}}],
     "max_context_length":131072,"format":"gguf","capabilities":{"vision":false}},
    {"type":"embedding","key":"text-embedding-nomic","quantization":null,
     "size_bytes":274290560,"loaded_instances":[],"max_context_length":2048}]}"#;

const LIST0: &str = r#"{"data":[
    {"id":"qwen2-vl-7b-instruct","object":"model","type":"vlm","publisher":"mlx-community",
     "arch":"qwen2_vl","compatibility_type":"mlx","quantization":"4bit","state":"not-loaded",
     "max_context_length":32768},
    {"id":"meta-llama-3.1-8b-instruct","object":"model","type":"llm","arch":"llama",
     "compatibility_type":"gguf","quantization":"Q4_K_M","state":"loaded",
     "max_context_length":131072,"loaded_context_length":4096}],"object":"list"}"#;

const UNEXPECTED: &str = r#"{"error":"Unexpected endpoint or method. ({})"}"#;

/// Like the real one it answers 200 to what it does not know.
async fn serve(path: &str, list: &str) -> Scripted {
    let server = Scripted::start().await;
    server
        .otherwise(200, UNEXPECTED)
        .on("GET /lmstudio-greeting", 200, r#"{"lmstudio":true}"#)
        .on(path, 200, list);
    server
}

#[tokio::test]
async fn each_instance_is_a_model_by_the_name_that_requests_use() {
    let server = serve("GET /api/v1/models", LIST1).await;
    let scrape = server.look(&LmStudio).await.unwrap();
    assert_eq!((&scrape.condition, scrape.hints.len()), (&Condition::Ready, 0));
    let models = scrape.models.unwrap();
    let told: Vec<_> = models
        .iter()
        .map(|m| (&*m.name, m.loaded, m.context_tokens, m.quantization.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("openai/gpt-oss-20b", Loaded::Loaded, Some(16_384), Some("MXFP4")),
            ("openai/gpt-oss-20b:2", Loaded::Loaded, Some(4096), Some("MXFP4")),
            ("gemma-3-270m-it-qat", Loaded::Unloaded, Some(32_768), Some("Q4_0")),
            ("text-embedding-nomic", Loaded::Unloaded, Some(2048), None),
        ]
    );
    assert_eq!(models[0].size_bytes, Some(12_109_566_560));
    assert!(models.iter().all(|m| m.vram_bytes.is_none() && m.gpu_share.is_none()));
    let slots = scrape.slots.unwrap();
    assert_eq!((slots.total, slots.busy, slots.waiting), (Some(6), None, None));
    assert_eq!(scrape.held.unwrap().weights_bytes, Some(2 * 12_109_566_560));
    assert!(scrape.figures.is_empty(), "it tells none");
}

#[tokio::test]
async fn slots_are_unknown_where_a_loaded_model_does_not_say() {
    let list = LIST1.replace(r#","parallel":2"#, "");
    let server = serve("GET /api/v1/models", &list).await;
    assert_eq!(server.look(&LmStudio).await.unwrap().slots, None);
    server.on("GET /api/v1/models", 200, r#"{"models":[]}"#);
    assert_eq!(server.look(&LmStudio).await.unwrap().slots, None);
    let many = LIST1.replace(r#""parallel":2"#, r#""parallel":4294967295"#);
    server.on("GET /api/v1/models", 200, many);
    let slots = server.look(&LmStudio).await.unwrap().slots.unwrap();
    assert_eq!(slots.total, Some(u32::MAX));
}

#[tokio::test]
async fn an_older_one_is_read_by_its_older_path() {
    let server = serve("GET /api/v0/models", LIST0).await;
    let (target, mut memory) = (server.target(), Memory::default());
    let told = LmStudio.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(told.actions, Some(Actions::default()));
    let models = told.models.unwrap();
    assert_eq!(models[0].loaded, Loaded::Unloaded);
    assert_eq!(models[0].context_tokens, Some(32_768));
    assert_eq!(models[1].loaded, Loaded::Loaded);
    assert_eq!(models[1].context_tokens, Some(4096), "as it was loaded");
    assert_eq!(models[1].quantization.as_deref(), Some("Q4_K_M"));
    assert_eq!(server.asked(), ["GET /api/v0/models", "GET /api/v1/models"]);
    // Each question that it does not know is an error in its log.
    for _ in 0..CALM_LOOKS {
        LmStudio.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(server.asked(), ["GET /api/v0/models"]);
    }
    // It was renewed since.
    server.on("GET /api/v1/models", 200, LIST1);
    LmStudio.scrape(&target, &mut memory).await.unwrap();
    assert_eq!(server.asked(), ["GET /api/v1/models"]);
}

#[tokio::test]
async fn a_look_asks_one_thing_and_never_what_loads() {
    let server = serve("GET /api/v1/models", LIST1).await;
    let (target, mut memory) = (server.target(), Memory::default());
    for _ in 0..5 {
        LmStudio.scrape(&target, &mut memory).await.unwrap();
        assert_eq!(server.asked(), ["GET /api/v1/models"]);
    }
}

#[tokio::test]
async fn an_answer_with_200_that_is_none_is_not_taken_for_models() {
    let server = Scripted::start().await;
    server.otherwise(200, UNEXPECTED);
    let scrape = server.look(&LmStudio).await.unwrap();
    assert!(matches!(&scrape.condition, Condition::Ailing(said) if said.contains("0.3.6")));
    assert_eq!(scrape.models, None);
    server.on("GET /api/v1/models", 401, r#"{"error":{"message":"invalid api key"}}"#);
    let scrape = server.look(&LmStudio).await.unwrap();
    assert!(matches!(scrape.condition, Condition::Locked(_)));
}

#[tokio::test]
async fn it_is_known_by_its_greeting() {
    let server = serve("GET /api/v1/models", LIST1).await;
    assert!(!LmStudio.identify(&server.probe()).await.unwrap().wants_key);
    server.lock("/api");
    assert!(LmStudio.identify(&server.probe()).await.unwrap().wants_key);
    server.on("GET /lmstudio-greeting", 200, r#"{"error":"Unexpected endpoint"}"#);
    assert_eq!(LmStudio.identify(&server.probe()).await, None);
    assert_eq!(LmStudio.identify(&Scripted::start().await.probe()).await, None);
}

#[tokio::test]
async fn a_model_is_loaded_once() {
    let server = serve("GET /api/v1/models", LIST1).await;
    let ok = r#"{"instance_id":"gemma-3-270m-it-qat","status":"loaded","load_time_seconds":1.2}"#;
    server.on("POST /api/v1/models/load", 200, ok);
    let target = server.target();
    LmStudio.load(&target, "gemma-3-270m-it-qat").await.unwrap();
    let sent = server.sent("POST /api/v1/models/load");
    assert_eq!(sent, [json!({"model": "gemma-3-270m-it-qat"})]);
    // Loaded already: a second instance is not what was wished for.
    LmStudio.load(&target, "openai/gpt-oss-20b").await.unwrap();
    assert_eq!(server.sent("POST /api/v1/models/load").len(), 1);
    let error = LmStudio.load(&target, "nothing").await.unwrap_err();
    assert_eq!(error, ActionError::Refused("there is no model nothing".into()));
    // With 200, as it refuses.
    server.on("POST /api/v1/models/load", 200, r#"{"error":{"message":"not enough memory"}}"#);
    let error = LmStudio.load(&target, "text-embedding-nomic").await.unwrap_err();
    assert_eq!(error, ActionError::Refused("not enough memory".into()));
}

#[tokio::test]
async fn a_key_unloads_all_its_instances_and_an_id_that_one() {
    let server = serve("GET /api/v1/models", LIST1).await;
    server.on("POST /api/v1/models/unload", 200, r#"{"instance_id":"x"}"#);
    LmStudio.unload(&server.target(), "openai/gpt-oss-20b:2").await.unwrap();
    let sent = server.sent("POST /api/v1/models/unload");
    assert_eq!(sent, [json!({"instance_id": "openai/gpt-oss-20b:2"})]);
    let renamed = LIST1.replace(r#"{"id":"openai/gpt-oss-20b","#, r#"{"id":"mine","#);
    server.on("GET /api/v1/models", 200, renamed);
    LmStudio.unload(&server.target(), "openai/gpt-oss-20b").await.unwrap();
    let sent = server.sent("POST /api/v1/models/unload");
    assert_eq!(
        sent[1..],
        [json!({"instance_id": "mine"}), json!({"instance_id": "openai/gpt-oss-20b:2"}),]
    );
}

#[tokio::test]
async fn an_older_one_says_that_it_cannot_load() {
    let server = serve("GET /api/v0/models", LIST0).await;
    for done in [
        LmStudio.load(&server.target(), "qwen2-vl-7b-instruct").await,
        LmStudio.unload(&server.target(), "meta-llama-3.1-8b-instruct").await,
    ] {
        assert!(matches!(&done, Err(ActionError::Refused(said)) if said.contains("0.4")));
    }
    assert!(server.asked().iter().all(|asked| asked.starts_with("GET")));
}
