//! Loading, unloading and holding in the terminal.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{ollama::Ollama, program::Place};

fn configure(place: &Place, ollama: &Ollama) {
    fs::create_dir(place.data()).unwrap();
    let text = format!(
        "[sampling]\ninterval_ms = 500\n[services]\ndiscover = false\n\
         [services.ollama]\nurl = \"{}\"\nscrape_ms = 250\n",
        ollama.url
    );
    fs::write(place.data().join("plimsoll.toml"), text).unwrap();
}

/// As Ctrl-C does.
fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[test]
fn without_a_running_one_a_model_is_loaded_from_here_and_nothing_is_held() {
    let place = Place::new();
    let ollama = Ollama::start(&[], "qwen:7b", "big:70b");
    configure(&place, &ollama);
    let load = ["services", "load", "ollama", "qwen:7b"];
    assert!(place.out(&load).starts_with("Loaded qwen:7b within "));
    assert!(ollama.is_loaded("qwen:7b"));
    let said = place.json(&["services", "load", "ollama", "qwen:7b", "--json"]);
    assert_eq!(said, json!({"message": "qwen:7b was loaded already."}));
    assert!(place.out(&["services", "unload", "ollama", "qwen:7b"]).starts_with("Unloaded"));
    assert!(!ollama.is_loaded("qwen:7b"));
    let (code, err) = place.fails(&["services", "load", "ollama", "qwen:8b"]);
    assert!(code == 1 && err.contains("Did you mean qwen:7b?"), "{err}");
    let (code, err) = place.fails(&["services", "load", "olama", "qwen:7b"]);
    assert!(code == 1 && err.contains("There are: ollama."), "{err}");
    let (code, err) = place.fails(&["services", "load", "chat", "m", "--demo"]);
    assert!(code == 1 && err.contains("simulated"), "{err}");

    assert_eq!(place.out(&["hold"]), "No hold is on, and none was.\n");
    let (code, err) = place.fails(&["hold", "--for", "1h"]);
    assert!(code == 1 && err.contains("A hold needs one that ends it."), "{err}");
    for wrong in [
        &["hold", "--for", "25h"][..],
        &["hold", "--for", "soon"],
        &["hold", "--service", "ollama"],
        &["hold", "--end", "--for", "1h"],
        &["services", "load", "ollama"],
    ] {
        assert_eq!(place.fails(wrong).0, 2, "{wrong:?}");
    }
    assert!(place.out(&["hold", "--help"]).contains("plimsoll hold --for 1h && ./train.sh"));
}

#[test]
fn a_load_nobody_waits_for_any_more_is_cancelled_and_says_what_may_go_on() {
    for up in [true, false] {
        let place = Place::new();
        let ollama = Ollama::start(&[], "qwen:7b", "big:70b");
        configure(&place, &ollama);
        let running = up.then(|| place.up(&[]));
        if up {
            healthy(&place);
        }
        let mut command = place.command(&["services", "load", "ollama", "big:70b"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        ollama.until_stuck();
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{err}");
        assert!(err.contains("ollama may load big:70b all the same."), "{err}");
        drop(running);
    }
}

fn healthy(place: &Place) {
    place.eventually("a healthy service", || {
        let services = place.json(&["services", "--json"]);
        services[0]["state"] == "healthy"
    });
}

#[test]
fn a_hold_frees_the_gpu_tells_what_it_did_and_brings_it_back() {
    let place = Place::new();
    let ollama = Ollama::start(&["a:1b", "b:1b"], "c:1b", "big:70b");
    configure(&place, &ollama);
    let up = place.up(&[]);
    healthy(&place);
    let (code, err) = place.fails(&["hold", "--end"]);
    assert!(code == 1 && err.contains("No hold is on."), "{err}");
    let (code, err) = place.fails(&["hold", "--for", "1h", "--service", "olama"]);
    assert!(code == 1 && err.contains("There are: ollama."), "{err}");

    let said = place.out(&["hold", "--for", "1h", "--service", "ollama"]);
    assert!(said.starts_with("The GPU is held free until "), "{said}");
    let line = |said: &str, model: &str| -> Vec<String> {
        let line = said.lines().find(|line| line.contains(model)).unwrap();
        line.split_whitespace().map(Into::into).collect()
    };
    assert_eq!(line(&said, "a:1b"), ["ollama", "a:1b", "freed"]);
    assert!(!said.contains("c:1b"), "{said}");
    assert!(!ollama.is_loaded("a:1b") && !ollama.is_loaded("b:1b"));
    let held = place.json(&["hold", "--json"]);
    assert_eq!((&held["state"], &held["steps"][1]["freed"]), (&json!("held"), &json!(true)));
    let longer = place.json(&["hold", "--for", "2h", "--json"]);
    assert!(longer["until_ms"].as_i64() > held["until_ms"].as_i64());

    // It is on also while no Plimsoll runs, and that is said.
    assert!(up.end("-TERM").success());
    let output = place.run(&["hold", "--json"]);
    let kept: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&kept["state"], &kept["from_ms"]), (&json!("held"), &held["from_ms"]));
    assert!(String::from_utf8(output.stderr).unwrap().contains("brought back when one does"));

    let _up = place.up(&[]);
    let said = place.out(&["hold", "--end"]);
    assert!(said.starts_with("No hold is on."), "{said}");
    assert_eq!(line(&said, "b:1b")[2..], ["brought", "back"]);
    assert!(ollama.is_loaded("a:1b") && ollama.is_loaded("b:1b"));
    assert!(!ollama.is_loaded("c:1b"));
}
