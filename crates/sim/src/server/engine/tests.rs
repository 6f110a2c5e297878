use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const S: Us = 1_000_000;

fn speed() -> Speed {
    Speed {
        slots: 4,
        context: 8192,
        kv_blocks: None,
        prefill_tokens_per_s: 1000.0,
        batch_tokens: 512,
        token_ms: 20.0,
        token_ms_more: 5.0,
    }
}

fn engine(speed: Speed) -> Engine {
    let mut engine = Engine::new(speed, false);
    engine.wake(0);
    engine
}

fn wish(prompt: u32, tokens: u32) -> Wish {
    Wish { prompt, tokens, finish: Finish::Stop, prefix: Arc::default(), cached: 0 }
}

/// Runs until nothing is left; answers the moments at which requests ended.
fn ends(engine: &mut Engine) -> Vec<(u64, Us)> {
    let mut ends = Vec::new();
    let mut out = Vec::new();
    while let Some(due) = engine.due() {
        engine.advance(due, &mut out);
        for event in out.drain(..) {
            if let Event::Done(id, _) = event {
                ends.push((id, due));
            }
        }
    }
    ends
}

#[test]
fn a_request_takes_the_time_of_its_prompt_and_of_its_tokens() {
    let mut engine = engine(speed());
    engine.submit(0, 1, wish(1000, 11));
    // A prompt of a second in two parts, whose end is the first token, and ten more.
    assert_eq!(ends(&mut engine), [(1, S + 10 * 20_000)]);
    let figures = &engine.figures;
    assert_eq!((figures.prompt, figures.computed, figures.generated), (1000, 1000, 11));
    assert_eq!((figures.ttft.sum, figures.ttft.count()), (1.0, 1));
    assert_eq!(figures.between.count(), 10);
    assert!((figures.between.sum - 0.2).abs() < 1e-9);
    assert!((figures.whole.sum - 1.2).abs() < 1e-9);
}

#[test]
fn streams_get_slower_and_all_of_them_together_faster_the_more_there_are() {
    let alone = {
        let mut engine = engine(speed());
        engine.submit(0, 1, wish(1, 101));
        ends(&mut engine)[0].1
    };
    let mut four = engine(speed());
    for id in 0..4 {
        four.submit(0, id, wish(1, 101));
    }
    let all = ends(&mut four).into_iter().map(|(_, at)| at).max().unwrap();
    // 35 ms a token for each of four, not 20 for one.
    assert!(all > alone * 17 / 10 && all < alone * 18 / 10, "{all} {alone}");
}

#[test]
fn requests_beyond_the_slots_wait_in_their_order() {
    let mut engine = engine(Speed { slots: 1, ..speed() });
    for id in 0..3 {
        engine.submit(0, id, wish(10, 2));
    }
    assert_eq!((engine.running().len(), engine.waiting()), (1, 2));
    let order: Vec<u64> = ends(&mut engine).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(engine.figures.most_running, 1);
    assert_eq!(engine.figures.queue.count(), 3);
    assert!((engine.figures.queue.sum - 0.09).abs() < 1e-9, "{}", engine.figures.queue.sum);
}

#[test]
fn who_left_frees_the_slot_at_the_end_of_the_step() {
    let mut engine = engine(Speed { slots: 1, ..speed() });
    engine.submit(0, 1, wish(10, 1000));
    engine.submit(0, 2, wish(10, 1));
    let mut out = Vec::new();
    engine.advance(S, &mut out);
    assert!(engine.cancel(S, 1));
    assert!(!engine.cancel(S, 1));
    engine.advance(S + 10_000, &mut out);
    assert_eq!(engine.running()[0].id, 2);
    assert_eq!(engine.figures.ended[Finish::Abort as usize], 1);
    ends(&mut engine);
    assert_eq!(engine.figures.ended, [1, 0, 1]);
    assert_eq!(engine.figures.whole.count(), 1, "who left is no latency");
}

#[test]
fn nothing_is_computed_before_the_model_is_in_memory() {
    let mut engine = Engine::new(speed(), true);
    engine.submit(0, 1, wish(10, 1));
    assert_eq!((engine.due(), engine.waiting()), (None, 1));
    engine.wake(3 * S);
    assert_eq!(ends(&mut engine), [(1, 3 * S + 10_000)]);
}

#[test]
fn without_room_for_another_token_the_youngest_gives_way_and_comes_again() {
    let tight = Speed { kv_blocks: Some(8), context: 128, ..speed() };
    let mut engine = engine(tight);
    engine.submit(0, 1, wish(40, 80));
    engine.submit(0, 2, wish(40, 80));
    let order: Vec<u64> = ends(&mut engine).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [1, 2]);
    assert!(engine.figures.preemptions >= 1);
    assert_eq!(engine.figures.generated, 160, "no token is counted twice");
    assert_eq!(engine.figures.prompt, 80);
    assert!(engine.figures.computed > 80, "what gave way is computed again");
    assert_eq!(engine.kv_used(), Some(0.0));
}

#[test]
fn what_begins_alike_is_computed_once() {
    let text = |end: &str| format!("{}{end}", "All that was said so far. ".repeat(50));
    let ask = |end: &str| {
        let text = text(end);
        let prompt = u32::try_from(text.len() / 4).unwrap();
        Wish { prefix: hashes_of(text.as_bytes()), ..wish(prompt, 1) }
    };
    for shared in [true, false] {
        let kv_blocks = shared.then_some(4096);
        let mut engine = engine(Speed { kv_blocks, ..speed() });
        engine.submit(0, 1, ask("And now?"));
        ends(&mut engine);
        engine.submit(S, 2, ask("And then? Tell me more of it."));
        ends(&mut engine);
        assert_eq!(engine.figures.cached, 20 * 16, "{shared}");
    }
}

#[test]
fn a_conversation_returns_to_its_slot_and_a_new_one_takes_the_oldest() {
    let mut engine = Engine::new(Speed { slots: 3, ..speed() }, true);
    engine.wake(0);
    let prefix = |n: u64| -> Arc<[u64]> { [n, n + 1, n + 2].into() };
    let mut seat = |id, n| {
        engine.submit(0, id, Wish { prefix: prefix(n), ..wish(60, 1) });
        let slot = engine.slots().iter().position(|who| *who == Some(id)).unwrap();
        ends(&mut engine);
        slot
    };
    let seats = [seat(1, 100), seat(2, 200), seat(3, 300)];
    assert_eq!(seats, [0, 1, 2]);
    assert_eq!(seat(4, 100), 0);
    assert_eq!(seat(5, 300), 2);
    assert_eq!(seat(6, 400), 1);
}

#[test]
fn an_engine_without_think_time_answers_at_once_and_an_endless_request_costs_some() {
    let instant =
        Speed { prefill_tokens_per_s: f64::INFINITY, token_ms: 0.0, token_ms_more: 0.0, ..speed() };
    let mut engine = engine(instant);
    let mut out = Vec::new();
    for id in 0..10 {
        engine.submit(5, id, wish(100, 20));
    }
    engine.advance(5, &mut out);
    assert_eq!(out.iter().filter(|event| matches!(event, Event::Done(..))).count(), 10);
    engine.submit(5, 11, wish(1, u32::MAX));
    engine.advance(S, &mut out);
    assert_eq!(engine.running().len(), 1);
}

proptest! {
    #[test]
    fn slots_and_blocks_are_never_exceeded_and_every_request_ends_once(
        slots in 1usize..5,
        shared in any::<bool>(),
        asked in prop::collection::vec((0u64..60, 0u32..90, 0u32..30, 0u64..400), 1..60),
    ) {
        let blocks = 12;
        let speed = Speed {
            slots,
            context: 120,
            kv_blocks: shared.then_some(blocks),
            batch_tokens: 64,
            ..speed()
        };
        let mut engine = engine(speed);
        let (mut now, mut out, mut cancelled) = (0, Vec::new(), 0);
        let look = |engine: &Engine| {
            let seated: Vec<u64> = engine.slots().iter().flatten().copied().collect();
            let running: std::collections::BTreeSet<u64> =
                engine.running().iter().map(|job| job.id).collect();
            prop_assert!(engine.running().len() <= slots);
            prop_assert_eq!(seated.into_iter().collect::<std::collections::BTreeSet<_>>(), running);
            if shared {
                let held: u32 = engine.running().iter().map(|job| job.blocks).sum();
                prop_assert_eq!(held + engine.blocks_free, blocks);
            }
            Ok(())
        };
        for (id, (pause, prompt, tokens, cancel)) in (0u64..).zip(&asked) {
            now += pause * 1000;
            engine.advance(now, &mut out);
            look(&engine)?;
            engine.submit(now, id, wish(*prompt, *tokens));
            if cancel % 3 == 0 && engine.cancel(now, cancel % (id + 1)) {
                cancelled += 1;
            }
            look(&engine)?;
        }
        while let Some(due) = engine.due() {
            engine.advance(due, &mut out);
            look(&engine)?;
        }
        prop_assert!(engine.is_idle());
        let done = out.iter().filter(|event| matches!(event, Event::Done(..))).count();
        prop_assert_eq!(done + cancelled, asked.len());
        prop_assert!(engine.figures.most_running <= slots);
    }
}
