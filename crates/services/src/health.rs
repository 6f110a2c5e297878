//! Health by convention: `/health` is asked, and where a server has none, a
//! fallback path that every server of its kind has (AA4). Both are cheap, need no
//! key as a rule, and wake nothing.

use crate::{
    adapter::Condition,
    client::{Answer, CallError, Target},
};

/// The convention.
pub const HEALTH: &str = "/health";

/// Asks `/health`, and then `fallback` where there is no such path.
pub async fn look(target: &Target, fallback: &str) -> Result<Condition, CallError> {
    look_at(target, &[HEALTH, fallback]).await
}

/// Asks the paths in turn, up to the first that the server has.
pub async fn look_at(target: &Target, paths: &[&str]) -> Result<Condition, CallError> {
    let mut last = None;
    for path in paths {
        let answer = target.get(path).await?;
        // 405: there is such a path, and it is none that can be asked.
        if !matches!(answer.status, 404 | 405 | 501) {
            return Ok(judge(&answer));
        }
        last = Some(answer);
    }
    Ok(match last {
        Some(answer) => {
            Condition::Ailing(format!("{} has none of {}", answer.place, paths.join(", ")))
        }
        None => Condition::Ready,
    })
}

/// What an answer to a health path says.
pub fn judge(answer: &Answer) -> Condition {
    let said = words_of(answer);
    match answer.status {
        200..=299 => Condition::Ready,
        401 | 403 => Condition::Locked(format!("answers {}: it wants a key", answer.status)),
        503 if speaks_of_loading(&said) => Condition::Loading(said),
        status if said.is_empty() => {
            Condition::Ailing(format!("answers {} with {status}", answer.path))
        }
        status => Condition::Ailing(format!("answers {} with {status}: {said}", answer.path)),
    }
}

/// llama.cpp answers 503 `{"error":{"message":"Loading model",…}}` while it loads;
/// others say `loading` or `starting` in words of their own.
fn speaks_of_loading(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["loading", "starting", "initializ", "warming"].iter().any(|word| said.contains(word))
}

/// Longest message of a server that is quoted.
const LONGEST: usize = 120;

/// The message of an answer: of JSON its `error.message`, `error`, `message`,
/// `detail` or `status`, else its first line.
pub fn words_of(answer: &Answer) -> String {
    let Ok(text) = answer.text() else { return String::new() };
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let said = json.as_ref().and_then(|json| {
        ["/error/message", "/error", "/message", "/detail", "/status"]
            .iter()
            .find_map(|pointer| json.pointer(pointer)?.as_str())
    });
    let said = match (said, &json) {
        (Some(said), _) => said,
        (None, Some(_)) => "",
        // A page of HTML says nothing in one line.
        (None, None) if text.trim_start().starts_with('<') => "",
        (None, None) => text.lines().next().unwrap_or_default(),
    };
    said.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn judged(status: u16, body: &'static str) -> Condition {
        judge(&Answer {
            place: "127.0.0.1:8080".into(),
            path: HEALTH.into(),
            status,
            content_type: None,
            server: None,
            body: Bytes::from_static(body.as_bytes()),
            took: Duration::ZERO,
        })
    }

    // AA4
    #[test]
    fn a_health_path_is_judged_by_its_status_and_its_words() {
        assert_eq!(judged(200, "{\"status\":\"ok\"}"), Condition::Ready);
        assert_eq!(judged(204, ""), Condition::Ready);
        assert_eq!(
            judged(503, "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}"),
            Condition::Loading("Loading model".into())
        );
        assert_eq!(
            judged(503, "{\"error\":\"out of memory\"}"),
            Condition::Ailing("answers /health with 503: out of memory".into())
        );
        assert_eq!(judged(500, ""), Condition::Ailing("answers /health with 500".into()));
        assert_eq!(
            judged(502, "<html><body>Bad gateway</body></html>"),
            Condition::Ailing("answers /health with 502".into())
        );
        assert!(matches!(judged(401, ""), Condition::Locked(_)));
    }

    #[test]
    fn what_a_server_says_is_cut_and_has_no_control_characters() {
        let long: &'static str = format!("a\u{1b}[31m{}", "x".repeat(10_000)).leak();
        let Condition::Ailing(said) = judged(500, long) else { panic!("not ailing") };
        assert!(said.len() < 200 && !said.contains('\u{1b}'), "{said}");
    }
}
