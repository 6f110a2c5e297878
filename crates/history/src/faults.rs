//! Places at which a test may end the process as `kill -9` does. Without the
//! feature `failpoints` of the crate `fail`, which only tests switch on, they
//! are nothing.

macro_rules! may_be_killed {
    ($name:literal) => {
        fail::fail_point!($name, |_| crate::faults::die())
    };
}
pub(crate) use may_be_killed;

#[allow(dead_code, reason = "used where failpoints are compiled in")]
pub(crate) fn die<T>() -> T {
    loop {
        // Fails for no reason that matters here; the loop ends with the process.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
