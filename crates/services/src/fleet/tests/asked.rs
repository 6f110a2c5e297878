//! What a person asks of a service beside the watch: how it is now, and what it shall do.

use super::*;

// MV17
#[tokio::test(start_paused = true)]
async fn health_is_told_from_what_is_known_for_thirty_seconds_and_then_looked_at() {
    let fake = Fake::new(ServiceKind::Vllm, well);
    let mut service = watched("v", ServiceKind::Vllm);
    service.cadence = Some(Duration::from_secs(60));
    let bench = Bench::new([fake.clone()], vec![service]);
    pass(29.0).await;
    for _ in 0..100 {
        assert_eq!(bench.fleet.health("v").await.unwrap().state, ServiceState::Healthy);
    }
    assert_eq!(fake.looks(), 1);
    pass(2.0).await;
    assert_eq!(bench.fleet.health("v").await.unwrap().checked_ms, Some(1_031_000));
    assert_eq!(fake.looks(), 2);
    assert!(bench.fleet.health("other").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_a_service_speaks_is_found_out_once() {
    let mut fake = Fake::new(ServiceKind::LmStudio, well);
    Arc::get_mut(&mut fake).unwrap().identifies = true;
    let mut service = watched("o", ServiceKind::LmStudio);
    service.kind = None;
    let bench = Bench::new([fake.clone()], vec![service]);
    pass(2.5).await;
    assert_eq!(bench.service("o").kind, Some(ServiceKind::LmStudio));
    assert_eq!(fake.looks(), 3);
}

#[tokio::test(start_paused = true)]
async fn actions_reach_the_adapter_and_are_followed_by_a_look() {
    let fake = Fake::new(ServiceKind::LmStudio, well);
    let mut service = watched("o", ServiceKind::LmStudio);
    service.cadence = Some(Duration::from_secs(60));
    let bench = Bench::new([fake.clone()], vec![service]);
    pass(1.0).await;
    let patience = Duration::from_secs(60);
    assert_eq!(bench.fleet.load("o", "m", patience).await, Ok(()));
    assert_eq!(fake.looks(), 2);
    let error = bench.fleet.load("o", "n", patience).await.unwrap_err();
    assert_eq!(error.to_string(), "no such model");
    let error = bench.fleet.unload("o", "m", patience).await.unwrap_err();
    assert_eq!(error.to_string(), "LM Studio has no such action");
    let error = bench.fleet.load("x", "m", patience).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service x that is watched");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_none_is_down_with_words_and_not_a_crash() {
    let fake = Fake::new(ServiceKind::Vllm, well);
    let mut service = watched("v", ServiceKind::Vllm);
    service.url = "ftp://example".into();
    let bench = Bench::new([fake.clone()], vec![service]);
    pass(3.0).await;
    let service = bench.service("v");
    assert_eq!(service.state, ServiceState::Down);
    assert!(service.reason.contains("http://"), "{}", service.reason);
    assert_eq!(fake.looks(), 0);
}
