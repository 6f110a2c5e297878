//! What is told of a change: no secret, and not without end.

use super::*;

const SECRET: &str = "s3cr3t-of-mine";

fn text(tail: &str) -> String {
    format!("[services.a]\nurl = \"http://127.0.0.1:1\"\n{tail}")
}

/// Everything that is told of the change from one text to the other.
async fn told(old: &str, new: &str) -> Mark {
    let world = World::new();
    world.write(old);
    let handle = world.start().await;
    let noted = Arc::new(Noted::default());
    handle.mark_into(noted.clone());
    world.write(new);
    handle.reload().await;
    assert!(handle.view().problems.is_empty(), "{:?}", handle.view().problems);
    let marks = noted.0.lock().unwrap();
    assert_eq!(marks.len(), 1);
    marks[0].clone()
}

#[tokio::test]
async fn variables_are_told_by_name_and_keys_in_a_command_not_at_all() {
    let env = format!("env = [\n  \"HF={SECRET}\",\n  \"B=1\",\n]\n");
    let inline = format!(
        "[services]\na = {{ url = \"http://127.0.0.1:1\", command = [\"x\"], env = [\"HF={SECRET}\"] }}\n"
    );
    let command = format!("command = [\"vllm\", \"--api-key\", \"{SECRET}\", \"--port=1\"]\n");
    let list = format!("command = [\n  \"vllm\",\n  \"--api-key={SECRET}\",\n]\n");
    let run = "command = [\"x\"]\n";
    let cases = [
        (text(run), text(&format!("{run}{env}")), "services.a.env  → HF,B"),
        (text(&format!("{run}{env}")), text(run), "services.a.env HF,B → "),
        (text(run), inline.clone(), "services.a.env  → HF"),
        (text(""), text(&command), "services.a.command"),
        (text(&command), text(""), "services.a.command"),
        (text(""), text(&list), "services.a.command"),
        (inline.clone(), inline.replace(SECRET, "s3cr3t-of-mine-2"), "services.a.env changed"),
        // Beside a line that changed, too.
        (text(&command), text(&format!("{command}name = \"A\"\n")), "services.a.name"),
    ];
    for (old, new, title) in cases {
        let mark = told(&old, &new).await;
        assert!(mark.title.contains(title), "{title}: {}", mark.title);
        assert!(!mark.title.contains(SECRET), "{}", mark.title);
        assert!(!mark.detail.contains(SECRET), "{}", mark.detail);
    }
    let plain = told(&text(""), &text("command = [\"vllm\", \"serve\"]\n")).await;
    assert_eq!(plain.title, "services.a.command  → vllm,serve");
    assert!(plain.detail.contains("+command = [\"vllm\", \"serve\"]"), "{}", plain.detail);
}

#[tokio::test]
async fn a_title_has_an_end() {
    let long: Vec<String> = (0..100).map(|n| format!("\"word-{n}\"")).collect();
    let mark = told(&text(""), &text(&format!("command = [{}]\n", long.join(", ")))).await;
    assert_eq!(mark.title.chars().count(), 200);
    assert!(mark.title.ends_with('…'), "{}", mark.title);
}

#[tokio::test]
async fn a_change_that_cannot_be_taken_back_is_told_without_its_secret() {
    let world = World::new();
    let with = |value: &str| text(&format!("command = [\"x\"]\nenv = [\"HF={value}\"]\n"));
    world.write(&text("command = [\"x\"]\n"));
    let handle = world.start().await;
    for value in [SECRET, "other-secret"] {
        world.write(&with(value));
        handle.reload().await;
    }
    let request = RollbackRequest { revision: 2, by: "window".into() };
    let fault = handle.undo(&request).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert!(fault.message.contains("services.a.env was changed again"), "{fault}");
    assert!(!fault.message.contains("secret") && !fault.message.contains(SECRET), "{fault}");
}
