//! Servers that are spoken with over https, with a certificate that was made in the house.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};
use serde_json::json;

use crate::program::Place;

/// A server with a certificate that signed itself; its address, and the certificate as PEM.
fn house() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["gpu-box".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .map(Arc::new)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = ServerConnection::new(config.clone()).unwrap();
            thread::spawn(move || answer(&mut BufReader::new(StreamOwned::new(tls, stream))));
        }
    });
    (url, certificate.pem())
}

/// 200 to `GET /health`, 404 to everything else; an error where the certificate is not believed.
fn answer<S: Read + Write>(stream: &mut BufReader<S>) -> std::io::Result<()> {
    let mut first = String::new();
    stream.read_line(&mut first)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let status = if first.starts_with("GET /health ") { "200 OK" } else { "404 Not Found" };
    let to = stream.get_mut();
    write!(to, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    to.flush()
}

#[test]
fn a_server_is_believed_by_the_file_that_is_named_and_is_added_with_it() {
    let place = Place::new();
    let (url, pem) = house();
    let (file, other) = (place.path("house.pem"), place.path("other.pem"));
    fs::write(&file, pem).unwrap();
    fs::write(&other, "sk-1\n").unwrap();
    let named = file.to_str().unwrap();
    let missing = place.path("none.pem").display().to_string();

    // Without the running one, then through it.
    for running in [false, true] {
        let _up = running.then(|| place.up(&[]));
        let (code, err) = place.fails(&["services", "test", &url]);
        assert!(code == 1 && err.contains("ca_file"), "{err}");
        let (code, err) = place.fails(&["services", "test", &url, "--ca-file", &missing]);
        assert!(code == 1 && err.contains(&missing) && err.contains("No such file"), "{err}");
        let no_pem = other.to_str().unwrap();
        let (code, err) = place.fails(&["services", "test", &url, "--ca-file", no_pem]);
        assert!(code == 1 && err.contains("no certificate"), "{err}");
        let tested = place.json(&["services", "test", &url, "--ca-file", named, "--json"]);
        assert_eq!((&tested["state"], &tested["kind"]), (&json!("healthy"), &json!("http")));
    }

    let (code, err) = place.fails(&["services", "add", &url, "--id", "box", "--ca-file", &missing]);
    assert!(code == 1 && err.contains("services.box.ca_file") && err.contains(&missing), "{err}");
    // A path is taken from where it is typed.
    let mut add = place.command(&["services", "add", &url, "--id", "box", "--kind", "http"]);
    add.current_dir(file.parent().unwrap()).args(["--ca-file", "house.pem"]);
    let output = add.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(place.data().join("plimsoll.toml")).unwrap();
    assert!(text.contains(&format!("ca_file = \"{named}\"")), "{text}");
    assert_eq!(place.json(&["services", "test", "box", "--json"])["state"], "healthy");
    // Another file is tried before it is set.
    let (code, err) = place.fails(&["services", "test", "box", "--ca-file", &missing]);
    assert!(code == 1 && err.contains(&missing), "{err}");

    let (code, err) = place.fails(&["config", "set", &format!("services.box.ca_file={missing}")]);
    assert!(code == 1 && err.contains("services.box.ca_file"), "{err}");
    assert_eq!(fs::read_to_string(place.data().join("plimsoll.toml")).unwrap(), text);
    let help = place.out(&["services", "add", "--help"]);
    assert!(help.contains("--ca-file ~/house.pem"), "{help}");
}
