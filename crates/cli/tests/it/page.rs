//! `up --ui`: the page and its one-time link.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::program::{Place, Up};

fn get(authority: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_printed_link_opens_the_window_once() {
    let place = Place::new();
    std::fs::create_dir(place.path("ui")).unwrap();
    std::fs::write(place.path("ui/index.html"), "<title>window</title>").unwrap();
    let mut command = place.command(&["up", "--json", "--ui", "127.0.0.1:0"]);
    command.env("PLIMSOLL_UI_DIR", place.path("ui"));
    let up = Up::wait(command);
    let link = up.ready["ui"].as_str().unwrap().to_owned();
    let (authority, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let path = format!("/{path}");

    assert!(get(authority, "/", "").starts_with("HTTP/1.1 401"));
    assert!(get(authority, "/health", "").starts_with("HTTP/1.1 200"));
    let entered = get(authority, &path, "");
    assert!(entered.starts_with("HTTP/1.1 303"), "{entered}");
    let cookie = entered.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    assert!(get(authority, &path, "").starts_with("HTTP/1.1 401"), "only once");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let page = get(authority, "/", &cookie);
    assert!(page.contains("<title>window</title>"), "{page}");
    place.eventually("readiness", || get(authority, "/ready", "").starts_with("HTTP/1.1 200"));

    // The address without the token is no secret; the token is nowhere else.
    let status = place.out(&["status"]);
    assert!(status.contains(&format!("http://{authority}/")) && !status.contains("token"));
    assert!(up.end("-TERM").success());
    let log = std::fs::read_to_string(place.data().join("logs/plimsoll.log")).unwrap();
    let token = path.split_once("token=").unwrap().1;
    assert!(log.contains("Plimsoll runs") && !log.contains(token), "{log}");
}

#[test]
fn another_link_is_given_without_a_restart_and_the_unused_one_is_void() {
    let place = Place::new();
    let up = place.up(&["--ui", "127.0.0.1:0"]);
    let path = |link: &str| {
        let (authority, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
        (authority.to_owned(), format!("/{path}"))
    };
    let (authority, first) = path(up.ready["ui"].as_str().unwrap());
    let (_, unused) = path(place.json(&["link", "--json"])["url"].as_str().unwrap());
    let (_, newest) = path(place.out(&["link"]).trim());
    for void in [first, unused] {
        assert!(get(&authority, &void, "").starts_with("HTTP/1.1 401"), "{void}");
    }
    assert!(get(&authority, &newest, "").starts_with("HTTP/1.1 303"));

    let other = Place::new();
    let _other = other.up(&[]);
    let (code, err) = other.fails(&["link"]);
    assert!(code == 1 && err.contains("--ui"), "{err}");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let place = Place::new();
    let (code, err) = place.fails(&["up", "--json", "--ui", "0.0.0.0:0"]);
    assert!(code == 1 && err.contains("loopback"), "{err}");
    assert_eq!(place.fails(&["up", "--ui", "here"]).0, 2);
    // The refusal left nothing running and nothing locked.
    place.not_running(&["status"]);
    place.up(&[]);
}
