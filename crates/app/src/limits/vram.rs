//! What a launch setting changes on the card, where it follows from what the service holds
//! now: the KV cache grows with its context and with the bytes of one of its numbers, and a
//! share of the card is that share.

use plimsoll_core::config::wire::{Change, SettingValue};
use plimsoll_services::service::{Basis, Service, VramSplit};

use super::{
    effect::Ground,
    list::{id_in, number},
    words::{said, unknown},
};
use crate::{
    api::{LimitEffect, VramFigures},
    words::gib,
};

/// Bits of one number in a KV cache of that type, the scale of its block included: a block of
/// 32 numbers takes 34 bytes in q8_0, 24 in q5_1, 22 in q5_0, 20 in q4_1, 18 in q4_0 and iq4_nl
/// (ggml-common.h). `None` where the server decides.
fn bits(kv_type: &str) -> Option<f64> {
    Some(match kv_type {
        "f32" => 32.0,
        "f16" | "bf16" => 16.0,
        "q8_0" => 8.5,
        "q5_1" => 6.0,
        "q5_0" => 5.5,
        "q4_1" => 5.0,
        "q4_0" | "iq4_nl" => 4.5,
        "fp8" | "fp8_e4m3" | "fp8_e5m2" => 8.0,
        _ => return None,
    })
}

// === impl Ground ===

impl Ground<'_> {
    /// Whether what a service was started with is not what is set now: what it holds tells
    /// nothing of the setting then.
    fn is_of_another_launch(&self, id: &str) -> bool {
        let Some(changed) = self.launch_changed.get(id) else { return false };
        let service = self.services.iter().find(|service| service.id == id);
        let started = service.and_then(|s| s.holder.as_ref()).map(|holder| holder.started_ms);
        started.is_none_or(|started| started < *changed)
    }
}

/// `None` for a setting that is none of the card's.
pub(super) fn effect(
    ground: &Ground<'_>,
    change: &Change,
    new: Option<&SettingValue>,
) -> Option<LimitEffect> {
    let key = change.key.as_str();
    let of = |field: &str| id_in(&format!("services.*.{field}"), key);
    let old = ground.value(key)?;
    let (id, share) = if let Some(id) = of("kv_type") {
        (id, bits_of(new?).zip(bits_of(&old)).map(|(new, old)| new / old))
    } else if let Some(id) = of("context_tokens") {
        (id, tokens_of(new?).zip(tokens_of(&old)).map(|(new, old)| new / old))
    } else if let Some(id) = of("gpu_memory_utilization") {
        return Some(share_of_card(ground, key, id, new?));
    } else if let Some(id) = of("parallel") {
        return Some(parallel(ground, key, id, (number(&old), new.and_then(number))));
    } else {
        return of("gpu_layers").map(|_| not_known(key, "how large each layer is"));
    };
    let service = ground.services.iter().find(|service| service.id == id);
    let Some(share) = share else {
        return Some(not_known(key, "what the server takes by itself"));
    };
    if ground.is_of_another_launch(id) {
        let what = format!("what {id} holds on the card with what is set now");
        let why = format!("{id} runs since before its settings were changed last.");
        return Some(LimitEffect { why, ..not_known(key, &what) });
    }
    let Some((split, kv)) = service.and_then(|s| s.vram).and_then(|v| Some((v, v.kv_bytes?)))
    else {
        return Some(not_known(key, &format!("how large the KV cache of {id} is")));
    };
    if !follows(service) {
        // It fills its share of the card with the cache, whatever one entry takes.
        let text = "VRAM stays as it is: the server takes its share of the card whatever fits.";
        return Some(said(key, text, ""));
    }
    Some(figures(ground, key, &split, kv, share))
}

/// Whether a server's cache is as large as its context, and not what is left of its share.
fn follows(service: Option<&Service>) -> bool {
    use plimsoll_services::kind::ServiceKind as K;
    let kind = service.and_then(|service| service.kind);
    matches!(kind, Some(K::LlamaCpp | K::LlamaCppPython | K::Ollama))
}

fn not_known(key: &str, what: &str) -> LimitEffect {
    unknown(vec![key.into()], &format!("{what} is not known."))
}

fn bits_of(value: &SettingValue) -> Option<f64> {
    match value {
        SettingValue::Text(kv_type) => bits(kv_type),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most 16 million")]
fn tokens_of(value: &SettingValue) -> Option<f64> {
    match value {
        SettingValue::Integer(tokens) if *tokens > 0 => Some(*tokens as f64),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a card"
)]
fn figures(ground: &Ground<'_>, key: &str, split: &VramSplit, kv: u64, share: f64) -> LimitEffect {
    let before = split.total_bytes;
    let after = before - kv.min(before) + (kv as f64 * share) as u64;
    let how = match split.basis {
        Basis::Told => "as the server tells it",
        Basis::Assumed => "as it is computed",
    };
    let why = format!("Its KV cache, {how}, is {} GiB of that.", gib(kv as f64));
    of_card(ground, key, before, after, why)
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a card, shown with three digits")]
fn of_card(ground: &Ground<'_>, key: &str, before: u64, after: u64, why: String) -> LimitEffect {
    let vram = VramFigures {
        used_bytes: ground.vram_used,
        total_bytes: ground.vram_total,
        before_bytes: before,
        after_bytes: after,
    };
    let mut text = format!("VRAM {} → {} GiB.", gib(before as f64), gib(after as f64));
    if let (Some(used), Some(total)) = (ground.vram_used, ground.vram_total) {
        let then = used.saturating_sub(before).saturating_add(after);
        if then > total {
            let (then, total) = (gib(then as f64), gib(total as f64));
            text =
                format!("{text} All together would take {then} of {total} GiB: it does not fit.");
        }
    }
    LimitEffect { vram: Some(vram), ..said(key, text, why) }
}

/// vLLM and SGLang take that share of the card at their start.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of a card"
)]
fn share_of_card(ground: &Ground<'_>, key: &str, id: &str, new: &SettingValue) -> LimitEffect {
    let share = match new {
        SettingValue::Number(share) if *share > 0.0 => *share,
        _ => return not_known(key, "what the server takes by itself"),
    };
    let service = ground.services.iter().find(|service| service.id == id);
    let before = service.and_then(|service| service.vram).map(|vram| vram.total_bytes);
    let (Some(before), Some(total)) = (before, ground.vram_total) else {
        return not_known(key, &format!("what {id} holds on the card now"));
    };
    let after = (total as f64 * share) as u64;
    of_card(ground, key, before, after, "The server takes that share at its start.".into())
}

fn parallel(
    ground: &Ground<'_>,
    key: &str,
    id: &str,
    (old, new): (Option<f64>, Option<f64>),
) -> LimitEffect {
    let service = ground.services.iter().find(|service| service.id == id);
    use plimsoll_services::kind::ServiceKind as K;
    match service.and_then(|service| service.kind) {
        Some(K::LlamaCpp) => {
            let text = "VRAM stays as it is: the context is divided among the requests.";
            // 0 leaves it to the server.
            let numbers = old.filter(|n| *n > 0.0).zip(new.filter(|n| *n > 0.0));
            said(
                key,
                text,
                match numbers {
                    Some((old, new)) if new > old => "Each has less of it.",
                    Some(_) => "Each has more of it.",
                    None => "",
                },
            )
        }
        Some(K::Vllm | K::SgLang) => {
            said(key, "VRAM stays as it is: the server took its share at its start.", "")
        }
        _ => not_known(key, "what one more request takes on the card"),
    }
}
