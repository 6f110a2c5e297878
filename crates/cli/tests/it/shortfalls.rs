//! What a running Plimsoll was told to do and cannot is said where somebody looks: at the
//! start, in `status`, and beside the answer to the change that asked for it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Command, Stdio},
};

use crate::program::{Place, Up};

/// As it is typed, the gateway on; nobody else's port is taken.
fn command(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.env_remove("PLIMSOLL_GATEWAY__ENABLED");
    command
}

fn err(mut command: Command) -> String {
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    err
}

/// Starts it, and answers what stands on standard error by its end.
fn up(place: &Place, args: &[&str]) -> Up {
    let mut all = vec!["up", "--json"];
    all.extend_from_slice(args);
    let mut up = command(place, &all);
    up.stderr(Stdio::from(fs::File::create(place.path("err")).unwrap()));
    Up::wait(up)
}

fn said(place: &Place) -> String {
    fs::read_to_string(place.path("err")).unwrap()
}

/// An address that somebody has: we ourselves.
fn taken() -> (TcpListener, SocketAddr) {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

#[test]
fn an_address_that_is_taken_is_told_with_its_holder_at_the_start_in_status_and_after_a_change() {
    let place = Place::new();
    let (_held, address) = taken();
    let by = format!("{address} is taken by ");
    let pid = format!("(pid {})", std::process::id());
    let config = place.path("plimsoll.toml");
    fs::write(&config, format!("[gateway]\naddress = \"127.0.0.1:0\"\nalso = [\"{address}\"]\n"))
        .unwrap();
    let config = config.to_str().unwrap();
    let up = up(&place, &["--config", config]);
    assert!(up.ready["gateway"].is_string(), "the other address is served");
    let first = said(&place);
    assert!(first.contains(&by) && first.contains(&pid), "{first:?}");
    assert!(first.contains("Stop it"), "{first:?}");
    let status = place.out(&["status"]);
    assert!(status.contains("not listening") && status.contains(&by), "{status}");
    place.eventually("the alert", || {
        let alerts = place.json(&["alerts", "--json"]).to_string();
        alerts.contains("gateway-address") && alerts.contains(&by)
    });

    let mended = err(command(&place, &["config", "set", "gateway.also="]));
    assert_eq!(mended, "");
    assert!(!place.out(&["status"]).contains("not listening"));
    let set = format!("gateway.also={address}");
    let again = err(command(&place, &["config", "set", &set]));
    assert!(again.contains(&by) && again.contains(&pid), "{again:?}");
    up.end("-TERM");
}

#[test]
fn a_flag_replaces_one_setting_only_and_says_that_it_stays() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.3:0").unwrap();
    let also = free.local_addr().unwrap();
    drop(free);
    fs::create_dir_all(place.data()).unwrap();
    let text = format!("gateway.address = \"127.0.0.1:1\"\ngateway.also = [\"{also}\"]\n");
    fs::write(place.data().join("plimsoll.toml"), text).unwrap();
    let up = up(&place, &["--gateway", "127.0.0.2:0"]);
    let named = up.ready["gateway"].as_str().unwrap().to_owned();
    assert!(named.starts_with("127.0.0.2:"), "{named}");
    let health = format!("GET /health HTTP/1.1\r\nhost: {also}\r\nconnection: close\r\n\r\n");
    let answer = crate::requests::ask(&also.to_string(), &health);
    assert!(answer.starts_with("HTTP/1.1"), "gateway.also stays: {answer}");
    assert_eq!(said(&place), "");
    let (code, told) = place.fails(&["config", "set", "gateway.address=127.0.0.1:2"]);
    assert!(code == 1 && told.contains("gateway.address is set by --gateway;"), "{told}");
    assert!(told.contains("Start Plimsoll without --gateway"), "{told}");
    assert_eq!(err(command(&place, &["config", "set", "gateway.also="])), "");
    place.eventually("what is said of others", || std::net::TcpStream::connect(also).is_err());
    up.end("-TERM");
}

#[test]
fn a_flag_whose_address_is_taken_is_no_start_though_another_address_is_free() {
    let place = Place::new();
    let (_held, address) = taken();
    let output =
        command(&place, &["up", "--json", "--gateway", &address.to_string()]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains(&format!("(pid {})", std::process::id())), "{err}");
}

#[test]
fn a_file_that_is_broken_is_told_with_its_line_and_what_is_in_force_instead() {
    let place = Place::new();
    fs::create_dir_all(place.data()).unwrap();
    let file = place.data().join("plimsoll.toml");
    fs::write(&file, "[sampling]\ninterval_ms = \"often\"\n").unwrap();
    let up = up(&place, &["--gateway", "127.0.0.1:0"]);
    let first = said(&place);
    for part in [file.to_str().unwrap(), "Line 2:", "sampling.interval_ms", "the defaults are"] {
        assert!(first.contains(part), "{part}: {first:?}");
    }
    let status = place.out(&["status"]);
    assert!(status.contains("configuration") && status.contains("Line 2:"), "{status}");
    place.eventually("the alert", || {
        let alerts = place.json(&["alerts", "--json"]).to_string();
        alerts.contains("config-file") && alerts.contains("Line 2:")
    });
    fs::write(&file, "[sampling]\ninterval_ms = 2000\n").unwrap();
    place.eventually("the file is in force", || !place.out(&["status"]).contains("Line 2:"));
    up.end("-TERM");
}
