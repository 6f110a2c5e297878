//! Services in real containers: found by the Docker socket, known again, and their figures
//! those of the container. `./test.sh real` finds or starts a daemon and makes the image.

mod broken;
mod container;

use std::{
    os::unix::fs::{PermissionsExt as _, lchown, symlink},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use plimsoll_tests::{
    program::{Home, Up, built},
    wait::until,
};
use serde_json::Value;
use tokio::time::sleep;

use self::container::{Container, REDIS, proxies_of, socket};
use crate::servers::free_port;

/// What a person is promised, as for servers outside of containers.
const PROMISED: Duration = Duration::from_secs(10);
/// A user who is in no group at all.
const NOBODY: u32 = 65_534;

/// A home that knows the daemon, and what it finds is proposed, or watched at once.
fn home(accept: &str) -> Result<Home> {
    let home = Home::new()?;
    let socket = socket()?;
    if socket.canonicalize()?
        != Path::new("/var/run/docker.sock").canonicalize().unwrap_or_default()
    {
        symlink(&socket, home.path().join("run/docker.sock"))?;
    }
    std::fs::write(home.config_file(), format!("[services]\naccept = \"{accept}\"\n"))?;
    Ok(home)
}

fn listed(home: &Home) -> Result<Vec<Value>> {
    let services = home.plimsoll(&["services", "list"])?;
    Ok(services.as_array().context("a list of services")?.clone())
}

/// Waits until there is a service as wanted; how long that was.
async fn seen(home: &Home, what: &str, is: impl Fn(&Value) -> bool) -> Result<(Value, Duration)> {
    let began = Instant::now();
    // A look at what is down may be 30 s away.
    while began.elapsed() < PROMISED * 4 {
        if let Some(service) = listed(home)?.into_iter().find(|service| is(service)) {
            println!("{what}: {:.1} s", began.elapsed().as_secs_f64());
            return Ok((service, began.elapsed()));
        }
        sleep(Duration::from_millis(200)).await;
    }
    bail!("{what}: not seen among {:#?}", listed(home)?)
}

async fn in_time(home: &Home, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let (service, took) = seen(home, what, is).await?;
    ensure!(took <= PROMISED, "{what} took {took:?}, promised are {PROMISED:?}");
    Ok(service)
}

/// Healthy, with its container and all figures of it.
fn whole<'c>(container: &'c Container) -> impl Fn(&Value) -> bool + 'c {
    |service| {
        let holder = &service["holder"];
        service["state"] == "healthy"
            && holder["container"] == container.name.as_str()
            && holder["cpu_percent"].is_number()
            && holder["container_bytes"].is_number()
    }
}

fn healthy_at<'u>(url: &'u str) -> impl Fn(&Value) -> bool + 'u {
    move |service| service["url"] == url && service["state"] == "healthy"
}

fn healthy_as<'i>(id: &'i Value) -> impl Fn(&Value) -> bool + 'i {
    move |service| service["id"] == *id && service["state"] == "healthy"
}

fn down<'i>(id: &'i Value) -> impl Fn(&Value) -> bool + 'i {
    move |service| service["id"] == *id && service["state"] == "down"
}

fn ended(mut up: Up) -> Result<()> {
    ensure!(up.group.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker daemon: ./test.sh real runs it"]
async fn a_published_port_is_its_containers_with_what_it_holds() -> Result<()> {
    let home = home("always")?;
    let up = home.up(&[])?;
    let port = free_port()?;
    let server = ["llama-server", "-m", "/models/tide.gguf", "--host", "0.0.0.0"];
    let server = [&server[..], &["--port", "8080", "-np", "2", "-c", "4096"]].concat();
    let way = format!("127.0.0.1:{port}:8080");
    let container = Container::run("chat", &["--publish", &way], &server)?;
    let url = format!("http://127.0.0.1:{port}");
    in_time(&home, "llama.cpp in its container", healthy_at(&url)).await?;
    let (chat, _) = seen(&home, "with all of its container", whole(&container)).await?;

    let holder = &chat["holder"];
    assert_eq!((&chat["kind"], &chat["slots"]["total"]), (&"llama-cpp".into(), &2.into()));
    assert_eq!(chat["url"], url);
    assert_eq!(holder["image"], std::env::var("PLIMSOLL_DOCKER_IMAGE")?);
    // From the port past the proxy to the process, by its control group.
    assert_eq!(holder["name"], "llama-server");
    assert_eq!(holder["pids"][0], container.pid()?);
    let proxies = proxies_of(port)?;
    println!("{} proxies stand before it", proxies.len());
    let pids = holder["pids"].as_array().context("pids")?;
    assert!(proxies.iter().all(|pid| !pids.contains(&(*pid).into())), "{holder}");
    assert!(holder["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{holder}");

    // What it holds is what Docker says; both are read at different times.
    let told = container.memory().await?;
    let ours = holder["container_bytes"].as_f64().context("a number")?;
    println!("it holds {ours} bytes, by Docker's word {told}");
    assert!((ours - told).abs() < 0.2 * told + 2e6, "{ours} and {told}");

    // It is kept while it is stopped, and known when it is started again.
    container.tell("stop", &["--time", "1"])?;
    let (gone, _) = seen(&home, "stopped, it is down", down(&chat["id"])).await?;
    assert!(gone["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{gone}");
    println!("because: {}", gone["reason"]);
    container.tell("start", &[])?;
    seen(&home, "started again", healthy_as(&chat["id"])).await?;

    // Made anew with another port it is the same.
    let other = free_port()?;
    container.again(&["--publish", &format!("127.0.0.1:{other}:8080")], &server)?;
    let moved = |service: &Value| {
        whole(&container)(service) && service["url"] == format!("http://127.0.0.1:{other}")
    };
    let (moved, _) = seen(&home, "known on its other port", moved).await?;
    assert_eq!(moved["id"], chat["id"]);
    assert_eq!(moved["holder"]["pids"][0], container.pid()?);
    ended(up)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker daemon: ./test.sh real runs it"]
async fn a_container_that_publishes_nothing_is_found_at_its_own_address() -> Result<()> {
    let home = home("always")?;
    let up = home.up(&[])?;
    let cache = Container::redis("cache", &[])?;
    let was = cache.address()?;
    let url = format!("redis://{was}:6379");
    in_time(&home, "Redis at its own address", healthy_at(&url)).await?;
    let (first, _) = seen(&home, "with all of its container", whole(&cache)).await?;
    assert_eq!(first["kind"], "redis");
    assert_eq!(first["url"], url);
    assert_eq!(first["holder"]["pids"], serde_json::json!([cache.pid()?]));

    // Stopped, another one gets its address: that is not taken for it.
    cache.tell("stop", &["--time", "1"])?;
    seen(&home, "stopped, it is down", down(&first["id"])).await?;
    let heir = Container::redis("heir", &["--ip", &was]).or_else(|_| {
        // The first network of Docker deals its addresses itself, the lowest that is free.
        Container::redis("heir", &[])
    })?;
    let (other, _) = seen(&home, "the one after it", whole(&heir)).await?;
    assert_ne!(other["id"], first["id"]);
    let still = listed(&home)?.into_iter().find(|service| service["id"] == first["id"]);
    let still = still.context("it is forgotten")?;
    assert_eq!(still["state"], "down");
    cache.tell("start", &[])?;
    let (back, _) = seen(&home, "at its new address", whole(&cache)).await?;
    println!("from {was} to {}, while {} is at {}", cache.address()?, heir.name, heir.address()?);
    assert_eq!(back["id"], first["id"]);
    assert_eq!(back["url"], format!("redis://{}:6379", cache.address()?));
    ensure!(heir.address()? == was, "no other one got its address");
    ended(up)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker daemon: ./test.sh real runs it"]
async fn what_waits_for_a_word_is_proposed_once_wherever_it_goes() -> Result<()> {
    let home = home("ask")?;
    let up = home.up(&[])?;
    let port = free_port()?;
    let queue = Container::redis("queue", &["--publish", &format!("127.0.0.1:{port}:6379")])?;
    let at = |url: String| move |service: &Value| service["url"] == url.as_str();
    let first = in_time(&home, "proposed", at(format!("redis://127.0.0.1:{port}"))).await?;
    assert_eq!(
        (&first["origin"], &first["name"]),
        (&"proposed".into(), &queue.name.as_str().into())
    );
    // Another port, then none.
    let other = free_port()?;
    queue.again(&["--publish", &format!("127.0.0.1:{other}:6379")], REDIS)?;
    let (second, _) =
        seen(&home, "on another port", at(format!("redis://127.0.0.1:{other}"))).await?;
    queue.again(&[], REDIS)?;
    let (third, _) =
        seen(&home, "without one", at(format!("redis://{}:6379", queue.address()?))).await?;
    for service in [&second, &third] {
        assert_eq!((&service["id"], &service["origin"]), (&first["id"], &"proposed".into()));
    }
    let named = |service: &&Value| {
        service["name"].as_str().is_some_and(|name| name.starts_with(&queue.name))
    };
    assert_eq!(listed(&home)?.iter().filter(named).count(), 1);
    let log = std::fs::read_to_string(home.data().join("logs/plimsoll.log"))?;
    let told = format!("{} (Redis at", queue.name);
    assert_eq!(log.matches(&told).count(), 1, "{log}");
    ended(up)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Docker daemon: ./test.sh real runs it"]
async fn who_may_not_ask_docker_is_told_once_and_sees_the_services_all_the_same() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "another user can be tried by root alone: run ./test.sh real as root"
    );
    let port = free_port()?;
    let _cache = Container::redis("shut", &["--publish", &format!("127.0.0.1:{port}:6379")])?;
    let home = home("always")?;
    // The program, and what it keeps, are nobody's.
    let program = home.path().join("plimsoll");
    std::fs::copy(built("PLIMSOLL_BIN")?, &program).context("a copy of the program")?;
    let wrapper = home.path().join("as-nobody");
    let text = format!(
        "#!/bin/sh\nexec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups {} \"$@\"\n",
        program.display()
    );
    std::fs::write(&wrapper, text)?;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
    give(home.path()).context("it is nobody's")?;
    let up = home.up_with(&wrapper, &[])?;
    let list = || home.plimsoll_with(&wrapper, &["services", "list"]);
    let url = format!("redis://127.0.0.1:{port}");
    let found = until("it is healthy", async || {
        let services = list()?;
        let found = services.as_array().context("a list")?.iter().cloned();
        Ok(found.into_iter().find(|s| s["url"] == url.as_str() && s["state"] == "healthy"))
    })
    .await?;
    assert_eq!(found["kind"], "redis");
    // It is written a moment later than it is said, and further looks come in between.
    sleep(PROMISED).await;
    let log =
        std::fs::read_to_string(home.data().join("logs/plimsoll.log")).with_context(|| {
            format!(
                "{:?}",
                std::fs::read_dir(home.data())
                    .map(|d| d.flatten().map(|e| e.path()).collect::<Vec<_>>())
            )
        })?;
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("containers are not known by name")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("may not be read by this user"), "{}", lines[0]);
    println!("{}", lines[0]);
    ended(up)
}

/// All that lies there is nobody's from now on.
fn give(path: &Path) -> Result<()> {
    // Not what a link leads to: the socket stays its daemon's.
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}
