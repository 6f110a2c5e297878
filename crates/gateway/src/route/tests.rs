//! Each rule of routing, on services that are written down.

mod rooms;
mod ways;

use std::sync::Arc;

use plimsoll_core::config::{Config, Environment, Loaded as Read};
use plimsoll_services::{
    client::Secret,
    fleet::{FleetView, Wanted, Watched},
    kind::ServiceKind,
    service::{Loaded, Model, Origin, Service, ServiceState},
};

use super::Table;

fn config(text: &str) -> Config {
    let read = Read::of(text.into(), &Environment::default());
    assert_eq!(read.problems, []);
    (*read.config).clone()
}

fn service(id: &str, kind: ServiceKind, models: &[&str]) -> Service {
    let url = format!("http://127.0.0.1:80/{id}/");
    let mut service = Service::new(id, id, Some(kind), &url, Origin::Configured);
    service.state = ServiceState::Healthy;
    service.checked_ms = Some(1);
    service.models = models.iter().map(|name| Model::named(*name, Loaded::Unknown)).collect();
    service
}

fn wanted(services: &[Service]) -> Wanted {
    let watched = services.iter().map(|service| Watched {
        key: Some(Secret::new(&format!("key of {}", service.id))),
        ..Watched::new(&service.id, service.kind, &service.url, service.origin)
    });
    Wanted { watched: watched.collect(), proposed: Vec::new() }
}

fn view(services: &[Service]) -> FleetView {
    FleetView { at_ms: 1, services: services.iter().cloned().map(Arc::new).collect() }
}

fn table(text: &str, services: &[Service]) -> Table {
    Table::make(&config(text), &wanted(services), &view(services), None)
}

/// Three servers as they stand on many a workstation.
fn three() -> Vec<Service> {
    vec![
        service("chat", ServiceKind::LlamaCpp, &["qwen3:4b"]),
        service("big", ServiceKind::Vllm, &["Qwen/Qwen3-32B", "qwen3:4b"]),
        service("notes", ServiceKind::Ollama, &["llama3.2:3b", "nomic-embed-text:latest"]),
    ]
}
