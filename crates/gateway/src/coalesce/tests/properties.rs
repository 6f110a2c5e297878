//! Whatever comes, in any order: each hears the whole of its own run.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Ask,
    Leave(usize),
    Read(usize),
    Head,
    Write(u16),
    End,
    Fail,
    Turn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Ask),
        3 => any::<usize>().prop_map(Step::Leave),
        5 => any::<usize>().prop_map(Step::Read),
        2 => Just(Step::Head),
        6 => (1..200_u16).prop_map(Step::Write),
        1 => Just(Step::End),
        1 => Just(Step::Fail),
        6 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 1..150)
}

/// What a listener belongs to, and what it has heard.
struct Ear {
    listener: Listener<Head, Error>,
    run: usize,
    heard: Vec<u8>,
}

proptest! {
    // MV15: whoever comes, goes, reads and fails in whatever order.
    #[test]
    fn each_hears_its_own_run_from_the_start_and_nothing_is_held_in_the_end(
        steps in steps(),
        answer in 0..2000_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let sharing = Sharing::default();
            let bounds = Bounds { answer, all: 3000 };
            let mut runs: BTreeMap<usize, Run> = BTreeMap::new();
            let mut said: Vec<Vec<u8>> = Vec::new();
            let mut ears: Vec<Ear> = Vec::new();
            for step in steps {
                let last = said.len().wrapping_sub(1);
                match step {
                    Step::Ask => {
                        let listener = match sharing.enter(1, bounds) {
                            Entry::Joined(listener) => listener,
                            Entry::Leads(ticket) => {
                                let (run, listener) = Run::start(ticket);
                                runs.insert(said.len(), run);
                                said.push(Vec::new());
                                listener
                            }
                        };
                        ears.push(Ear { listener, run: said.len() - 1, heard: Vec::new() });
                    }
                    Step::Leave(n) if !ears.is_empty() => {
                        drop(ears.swap_remove(n % ears.len()));
                    }
                    Step::Read(n) if !ears.is_empty() => {
                        let at = n % ears.len();
                        let ear = &mut ears[at];
                        ear.heard.extend(heard(&mut ear.listener).0.bytes());
                    }
                    Step::Head => if let Some(run) = runs.get_mut(&last)
                        && let Some(head) = run.head.take()
                    {
                        let _ = head.send(Ok("200"));
                    },
                    Step::Write(bytes) => if let Some(run) = runs.get_mut(&last)
                        && let Some(pieces) = &run.pieces
                    {
                        let piece = vec![b'a' + (bytes % 26) as u8; bytes.into()];
                        if pieces.send(Ok(piece.clone().into())).is_ok() {
                            said[last].extend(piece);
                        }
                    },
                    Step::End => if let Some(run) = runs.get_mut(&last) {
                        run.pieces = None;
                    },
                    Step::Fail => if let Some(run) = runs.get_mut(&last) {
                        match (run.head.take(), run.pieces.take()) {
                            (Some(head), _) => drop(head.send(Err("failed"))),
                            (None, Some(pieces)) => {
                                let _ = pieces.send(Err(io::ErrorKind::Other.into()));
                            }
                            (None, None) => {}
                        }
                    },
                    Step::Turn => settle().await,
                    Step::Leave(_) | Step::Read(_) => {}
                }
            }
            for run in runs.values_mut() {
                if let Some(head) = run.head.take() {
                    let _ = head.send(Ok("200"));
                }
                run.pieces = None;
            }
            for _ in 0..20 {
                settle().await;
                for ear in &mut ears {
                    let (text, _) = heard(&mut ear.listener);
                    ear.heard.extend(text.bytes());
                }
            }
            for ear in &mut ears {
                let (_, end) = heard(&mut ear.listener);
                let whole = &said[ear.run];
                match end {
                    Some(Ok(())) => assert_eq!(&ear.heard, whole),
                    Some(Err(Broken)) => assert!(whole.starts_with(&ear.heard)),
                    None => panic!("somebody waits without end"),
                }
            }
            drop(ears);
            settle().await;
            assert_eq!((sharing.open(), sharing.held()), (0, 0));
        });
    }
}
