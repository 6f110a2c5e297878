//! Whether a service runs on this machine. Elsewhere there is another GPU.

use plimsoll_services::{discovery::local_port, service::Service};

/// On this machine: a process of it was seen, or its address says so.
pub fn is_here(service: &Service) -> bool {
    service.holder.is_some() || local_port(&service.url).is_some()
}

#[cfg(test)]
mod tests {
    use plimsoll_services::{kind::ServiceKind, service::Holder};

    use super::*;
    use crate::services::hold::doubles::service;

    fn at(url: &str) -> Service {
        Service { url: url.into(), ..service("s", ServiceKind::Vllm, Vec::new()) }
    }

    #[test]
    fn only_an_address_that_means_this_machine_is_here() {
        for url in [
            "http://0.0.0.0:8000",
            "http://[::1]:8000",
            "http://[::]:8000",
            "http://127.0.0.2",
            "http://localhost:8000/v1",
            "redis://localhost",
        ] {
            assert!(is_here(&at(url)), "{url}");
        }
        for url in [
            "http://localhost.example:8000",
            "http://127.example:8000",
            "http://gpu-box:8000",
            "http://10.0.0.7:8000/?from=://localhost",
            "nonsense",
        ] {
            assert!(!is_here(&at(url)), "{url}");
        }
    }

    #[test]
    fn a_process_that_was_seen_is_here_whatever_the_address() {
        let seen = Service { holder: Some(Holder::default()), ..at("http://gpu-box:8000") };
        assert!(is_here(&seen));
    }
}
