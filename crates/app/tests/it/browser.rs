//! What a browser may not change, over the page of a whole Plimsoll.

use std::{fs, net::SocketAddr, path::PathBuf};

use plimsoll_app::{
    api::{Command, ConfigEdit, Fault, FaultCode, Nothing, RollbackRequest},
    session::{Options, Session},
};
use plimsoll_core::config::wire::{ConfigView, Revision};
use serde_json::{Value, json};

use crate::page::ask;

const BEFORE: &str = "[services]\ndiscover = false\n\n[services.chat]\n\
    url = \"http://127.0.0.1:1\"\nenabled = false\nautostart = false\n";

struct Browser {
    dir: tempfile::TempDir,
    session: Session,
    address: SocketAddr,
    cookie: String,
}

// === impl Browser ===

impl Browser {
    async fn open(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
        let options = Options {
            data_dir: Some(dir.path().to_path_buf()),
            ui: Some("127.0.0.1:0".parse().unwrap()),
            ..Options::default()
        };
        let session = Session::start(options).await.unwrap();
        let link = session.page_link().unwrap();
        let (address, token) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let get = format!("GET /{token} HTTP/1.1\r\nHost: {address}");
        let (_, text) = ask(address, &get, "").await;
        let set = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Self { dir, session, address, cookie }
    }

    async fn call(&self, command: &str, args: Value) -> Result<Value, Fault> {
        let host = self.address;
        let head = format!("POST /api/call HTTP/1.1\r\nHost: {host}\r\nCookie: {}", self.cookie);
        let body = json!({"command": command, "args": args}).to_string();
        let (status, text) = ask(host, &head, &body).await;
        let answer = text.split_once("\r\n\r\n").unwrap().1;
        let answer: Value = serde_json::from_str(answer).unwrap_or_else(|_| panic!("{text}"));
        if status == 200 { Ok(answer) } else { Err(serde_json::from_value(answer).unwrap()) }
    }

    async fn view(&self) -> ConfigView {
        self.session.call(Command::Config(Nothing {})).await.unwrap()
    }

    /// Says that it is a terminal, which it is not.
    async fn set(&self, key: &str, value: Value) -> Result<Value, Fault> {
        let change = json!([{"key": key, "value": value}]);
        self.apply(json!({"changes": change, "by": "terminal"})).await
    }

    async fn apply(&self, mut edit: Value) -> Result<Value, Fault> {
        edit["base"] = self.view().await.digest.into();
        self.call("config.apply", edit).await
    }

    /// As the person at the machine does it; the revision.
    async fn in_the_window(&self, text: &str) -> i64 {
        let edit = ConfigEdit {
            base: Some(self.view().await.digest),
            text: Some(text.into()),
            by: "window".into(),
            ..ConfigEdit::default()
        };
        self.session.call::<Revision>(Command::ConfigApply(edit)).await.unwrap().number
    }

    /// It was refused in words, and the file is as it was.
    fn refused(&self, outcome: Result<Value, Fault>, names: &str, text: &str) {
        let fault = outcome.expect_err(names);
        assert_eq!(fault.code, FaultCode::Denied, "{fault}");
        assert!(fault.message.contains(names), "{names}: {fault}");
        assert!(fault.hint.as_ref().unwrap().contains("window"), "{fault:?}");
        assert_eq!(fs::read_to_string(self.file()).unwrap(), text, "{names}");
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("plimsoll.toml")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_changes_no_program_library_or_key_by_settings_or_by_text() {
    let browser = Browser::open(BEFORE).await;
    for (key, value) in [
        ("services.chat.command", json!(["/bin/sh", "-c", "true"])),
        ("services.chat.env", json!(["LD_PRELOAD=/tmp/a.so"])),
        ("services.chat.cwd", json!("/tmp")),
        ("services.chat.key_file", json!("/etc/hostname")),
        ("services.chat.ca_file", json!("/etc/hostname")),
        ("gpu.nvml_path", json!("/tmp/a.so")),
    ] {
        browser.refused(browser.set(key, value.clone()).await, key, BEFORE);
        let line = format!("{} = {value}\n", key.rsplit('.').next().unwrap());
        let text = match key {
            "gpu.nvml_path" => format!("[gpu]\n{line}{BEFORE}"),
            _ => format!("{BEFORE}{line}"),
        };
        let by_text = browser.apply(json!({"text": text, "by": "window"})).await;
        browser.refused(by_text, key, BEFORE);
    }
    // A service that is new with its command, and one in another spelling.
    let fresh = format!("{BEFORE}[services.b]\nurl = \"http://127.0.0.1:2\"\ncommand = [\"x\"]\n");
    browser.refused(browser.apply(json!({"text": fresh})).await, "services.b.command", BEFORE);
    let inline = format!("{BEFORE}\"command\" = ['''sh''']\n");
    browser.refused(browser.apply(json!({"text": inline})).await, "services.chat.command", BEFORE);

    // Anything else it may, beside a service that has a command of the person's.
    let revision = browser.set("history.keep.raw_hours", json!(24)).await.unwrap();
    assert_eq!(revision["by"], "browser", "whatever it says of itself");
    let named = browser.set("services.chat.name", json!("Chat")).await.unwrap();
    assert_eq!(named["changed"][0]["key"], "services.chat.name");
    browser.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_brings_no_earlier_program_back_and_may_let_a_service_go() {
    let browser = Browser::open(BEFORE).await;
    let first = browser.view().await.revision;
    let with = format!("{BEFORE}command = [\"/bin/true\"]\nenv = [\"A=1\"]\n");
    let second = browser.in_the_window(&with).await;
    let back = |number: i64| json!({"revision": number, "by": "window"});
    let undone = browser.call("config.undo", back(second)).await;
    browser.refused(undone, "services.chat.command, services.chat.env", &with);
    let rolled = browser.call("config.rollback", back(first)).await;
    browser.refused(rolled, "services.chat.command", &with);
    // What the person runs stays as it is with a change of something else.
    browser.set("services.chat.name", json!("Chat")).await.unwrap();
    browser.call("services.remove", json!({"id": "chat", "by": "terminal"})).await.unwrap();
    let text = fs::read_to_string(browser.file()).unwrap();
    let newest = browser.view().await.revision;
    let again = browser.call("config.undo", back(newest)).await;
    browser.refused(again, "services.chat.command", &text);
    let again = browser.call("config.rollback", back(second)).await;
    browser.refused(again, "services.chat.command", &text);
    // The person at the machine may.
    let undo = RollbackRequest { revision: newest, by: "window".into() };
    browser.session.call::<Revision>(Command::ConfigUndo(undo)).await.unwrap();
    browser.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_lets_nobody_in_at_the_gateway() {
    let browser = Browser::open(BEFORE).await;
    for (key, value) in [
        ("gateway.address", json!("0.0.0.0:1876")),
        ("gateway.also", json!(["192.168.1.2:1876"])),
        ("gateway.hosts", json!(["evil.example"])),
        ("gateway.origins", json!(["https://evil.example"])),
        ("gateway.keys", json!("always")),
    ] {
        browser.refused(browser.set(key, value.clone()).await, key, BEFORE);
        // Told before it is applied, too.
        let change = json!({"changes": [{"key": key, "value": value}], "by": "window"});
        let preview = browser.call("config.preview", change).await.unwrap();
        let named = |problem: &Value| problem["key"] == key;
        assert!(preview["problems"].as_array().unwrap().iter().any(named), "{key}: {preview}");
    }
    // What else the gateway has it may set.
    browser.set("gateway.max_in_flight", json!(64)).await.unwrap();
    browser.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_gives_no_key_the_scope_admin_and_keeps_no_bodies() {
    let browser = Browser::open(BEFORE).await;
    let admin = json!({"name": "a", "scopes": ["admin"]});
    browser.refused(browser.call("keys.add", admin.clone()).await, "admin", BEFORE);
    let made = browser.call("keys.add", json!({"name": "a", "scopes": ["metrics"]})).await.unwrap();
    let id = &made["info"]["id"];
    let raise = json!({"id": id, "spec": admin});
    browser.refused(browser.call("keys.change", raise).await, "admin", BEFORE);
    let change = json!({"id": id, "spec": {"name": "b"}});
    assert_eq!(browser.call("keys.change", change).await.unwrap()["spec"]["name"], "b");

    let keep = |minutes: u32| json!({"client": "b", "minutes": minutes});
    browser.refused(browser.call("gateway.bodies", keep(5)).await, "keep", BEFORE);
    browser.call("gateway.bodies", keep(0)).await.unwrap();
    browser.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_sends_no_file_anywhere() {
    let key = tempfile::NamedTempFile::new().unwrap();
    let path = key.path().display().to_string();
    let text = format!("{BEFORE}key_file = \"{path}\"\n");
    let browser = Browser::open(&text).await;
    let target = "http://127.0.0.1:9";
    let add = json!({"url": target, "key_file": path, "by": "window"});
    browser.refused(browser.call("services.add", add).await, "key_file", &text);
    let test = json!({"target": target, "key_file": path});
    browser.refused(browser.call("services.test", test).await, "a file", &text);
    // A key that is there already goes where the person sends it.
    browser.refused(
        browser.set("services.chat.url", json!(target)).await,
        "services.chat.url",
        &text,
    );

    let tested = browser.call("services.test", json!({"target": target})).await.unwrap_err();
    assert_eq!(tested.code, FaultCode::Unavailable, "it was asked: {tested}");
    let added = browser.call("services.add", json!({"url": target, "id": "b"})).await.unwrap();
    assert_eq!(added["id"], "b");
    browser.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_brings_no_foreign_data_in_and_overwrites_no_file() {
    let browser = Browser::open(BEFORE).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for command in ["storage.restore", "storage.move"] {
        let asked = browser.call(command, json!({"path": path("backup")})).await;
        browser.refused(asked, "which folder", BEFORE);
    }
    assert!(!browser.dir.path().join("pending.json").exists());
    assert!(!folder.path().join("backup").exists());

    let profile = browser.file().display().to_string();
    for (to, words) in [(profile, ".csv"), (path(".bashrc"), ".csv"), (path(".csv"), ".csv")] {
        let export = json!({"path": to, "format": "csv", "series": [], "from_ms": 0, "to_ms": 1});
        browser.refused(browser.call("history.export", export).await, words, BEFORE);
    }
    fs::write(folder.path().join("mine.csv"), "mine").unwrap();
    let export =
        json!({"path": path("mine.csv"), "format": "csv", "series": [], "from_ms": 0, "to_ms": 1});
    browser.refused(browser.call("history.export", export).await, "exists", BEFORE);
    assert_eq!(fs::read_to_string(folder.path().join("mine.csv")).unwrap(), "mine");
    let bundle = json!({"path": path(".profile")});
    browser.refused(browser.call("doctor.bundle", bundle).await, ".tar.gz", BEFORE);
    // A new file of its kind it may.
    browser.call("doctor.bundle", json!({"path": path("bundle.tar.gz")})).await.unwrap();
    assert!(folder.path().join("bundle.tar.gz").exists());
    browser.session.stop().await;
}
