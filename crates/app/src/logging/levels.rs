//! Levels by module.

use plimsoll_core::{config, log::LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Our own modules get the general level. Those of libraries get at most
/// warnings, unless one of them is named: at `debug` they would drown the rest.
pub fn targets(settings: &config::Log) -> Targets {
    let foreign = filter(settings.level).min(LevelFilter::WARN);
    let mut targets =
        Targets::new().with_default(foreign).with_target("plimsoll", filter(settings.level));
    for (module, level) in settings.module_levels() {
        targets = targets.with_target(module, filter(level));
    }
    targets
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::config::Config;
    use tracing::Level;

    #[test]
    fn the_most_exact_module_wins_and_libraries_are_kept_quiet() {
        let mut log = Config::default().log;
        log.modules = vec!["plimsoll_history=trace".into(), "hyper=debug".into()];
        let targets = targets(&log);
        let on = |module, level| targets.would_enable(module, &level);
        assert!(on("plimsoll_app::door", Level::INFO) && !on("plimsoll_app::door", Level::DEBUG));
        assert!(on("plimsoll_history::seal", Level::TRACE));
        assert!(on("sqlx::query", Level::WARN) && !on("sqlx::query", Level::INFO));
        assert!(on("hyper::proto", Level::DEBUG));
    }
}
