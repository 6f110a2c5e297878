//! The limit of open files.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lifts the soft limit of open files to the hard one, as far as that makes sense:
/// each connection takes a file, and 1024 of them are soon used up.
pub fn raise_open_files_limit() {
    const ENOUGH: u64 = 65_536;
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let Some(current) = limit.current.filter(|&current| current < wanted) else { return };
    limit.current = Some(wanted);
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => tracing::debug!(from = current, to = wanted, "limit of open files raised"),
        Err(error) => tracing::warn!(%error, limit = current, "the limit of open files stays"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_to_what_is_allowed() {
        raise_open_files_limit();
        let limit = getrlimit(Resource::Nofile);
        let allowed = limit.maximum.unwrap_or(u64::MAX).min(65_536);
        assert!(limit.current.is_none_or(|current| current >= allowed));
    }
}
