mod bounds;
mod corpus;
mod fuzz;

use bytes::Bytes;
use plimsoll_core::request::Endpoint;

use super::*;

const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n\
    data: [DONE]\n\n";

/// Fed in pieces that end where `ends` says; what was passed on, and the watch.
fn fed(form: Form, cuts: bool, whole: &[u8], ends: &[usize]) -> (Vec<u8>, Watch) {
    let mut watch = Watch::new(Endpoint::Chat, form, cuts);
    let bytes = Bytes::copy_from_slice(whole);
    let mut out = Vec::new();
    let mut from = 0;
    for end in ends.iter().copied().chain([whole.len()]) {
        watch.feed(bytes.slice(from..end), end as u64).for_each(|b| out.extend_from_slice(&b));
        from = end;
    }
    watch.end(0).for_each(|b| out.extend_from_slice(&b));
    (out, watch)
}

#[test]
fn a_stream_is_counted_and_passes_as_it_came() {
    let (out, watch) = fed(Form::Events, false, STREAM.as_bytes(), &[]);
    assert_eq!(out, STREAM.as_bytes());
    let seen = watch.seen();
    assert_eq!((seen.counts.tokens_in, seen.counts.tokens_out), (Some(5), Some(2)));
    assert_eq!((seen.chunks, seen.complete), (2, true));
}

#[test]
fn the_chunk_nobody_asked_for_is_taken_out_wherever_the_stream_is_split() {
    for newline in ["\n", "\r\n", "\r"] {
        let whole = STREAM.replace('\n', newline);
        let wanted: String = whole
            .split_inclusive(&newline.repeat(2))
            .filter(|event| !event.contains("usage"))
            .collect();
        let (out, once) = fed(Form::Events, true, whole.as_bytes(), &[]);
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        for end in 0..=whole.len() {
            let (out, watch) = fed(Form::Events, true, whole.as_bytes(), &[end]);
            assert_eq!(String::from_utf8(out).unwrap(), wanted, "split at {end}");
            assert_eq!(watch.seen().counts, once.seen().counts);
        }
        let each: Vec<usize> = (0..whole.len()).collect();
        let (out, watch) = fed(Form::Events, true, whole.as_bytes(), &each);
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        assert_eq!(watch.seen().counts, once.seen().counts);
    }
}
