//! `./run.sh` where something is missing, and where nothing is: a copy of the script with stand-ins
//! for apt, Rust, Node and the programs, and nothing else in PATH.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What the scripts use of any system.
const TOOLS: &[&str] = &[
    "bash", "cat", "cut", "dirname", "env", "find", "grep", "head", "mkdir", "sed", "sort",
    "touch", "true",
];

/// A system on which nothing is installed yet but what [`System::new`] says.
struct System {
    root: tempfile::TempDir,
    display: bool,
    skip_packages: bool,
}

// === impl System ===

impl System {
    /// Debian for a person who has sudo, with Rust, Node and a display, and without the packages.
    fn new() -> Self {
        let system =
            Self { root: tempfile::tempdir().unwrap(), display: true, skip_packages: false };
        for folder in ["bin", "home", "checkout/packaging", "checkout/ui/src", "target/release"] {
            fs::create_dir_all(system.path(folder)).unwrap();
        }
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for script in ["run.sh", "packaging/system.sh"] {
            let to = system.path("checkout").join(script);
            fs::copy(sources.join(script), &to).unwrap();
        }
        for file in ["index.html", "package-lock.json", "vite.config.ts", "svelte.config.js"] {
            fs::write(system.path("checkout/ui").join(file), "").unwrap();
        }
        for tool in TOOLS {
            let path = std::env::var_os("PATH").unwrap();
            let found = std::env::split_paths(&path).map(|dir| dir.join(tool)).find(|p| p.exists());
            symlink(found.unwrap(), system.path("bin").join(tool)).unwrap();
        }
        system.stands_in("id", "echo 1000");
        system.stands_in("sudo", r#"said sudo; exec "$@""#);
        // A package is installed once apt-get was asked for it.
        system.stands_in("dpkg-query", r#"grep -qx "$3" "$ROOT/installed" && printf installed"#);
        system.stands_in(
            "apt-get",
            r#"said "apt-get $*"
            [ "$1" != install ] || for word in "$@"; do
              case $word in install | -*) ;; *) echo "$word" >>"$ROOT/installed" ;; esac
            done"#,
        );
        system.stands_in("cargo", r#"said "cargo $*""#);
        system.stands_in("rustc", "echo 'rustc 1.95.0 (0123456 2026-04-16)'");
        system.stands_in("node", "echo v22.21.0");
        system.stands_in(
            "npm",
            r#"said "npm $*"
            case $* in
              *" ci "*) mkdir -p ui/node_modules && touch ui/node_modules/.package-lock.json ;;
              *build) mkdir -p ui/dist && touch ui/dist/index.html ;;
            esac"#,
        );
        for program in ["plimsoll", "plimsoll-desktop"] {
            let path = system.path("target/release").join(program);
            system.script(&path, &format!(r#"said "{program} $*""#));
        }
        fs::write(system.path("installed"), "").unwrap();
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn stands_in(&self, name: &str, body: &str) {
        self.script(&self.path("bin").join(name), body);
    }

    fn script(&self, path: &Path, body: &str) {
        let root = self.root.path().display();
        let text = format!(
            "#!/usr/bin/env bash\nROOT={root}\nsaid() {{ echo \"$*\" >>\"$ROOT/calls\"; }}\n{body}\n"
        );
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn lacks(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    fn output(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.path("checkout/run.sh"));
        self.dress(command.args(args).stdin(Stdio::null()));
        let _ = fs::remove_file(self.path("calls"));
        command.output().unwrap()
    }

    /// What a person sees who types `answer` where they are asked.
    fn asked(&self, args: &str, answer: &str) -> String {
        let run = format!("{} {args}", self.path("checkout/run.sh").display());
        // A terminal of its own, as a person has one.
        let mut command = Command::new("/usr/bin/script");
        self.dress(command.args(["-q", "-e", "-c", &run, "/dev/null"]).stdin(Stdio::piped()));
        let _ = fs::remove_file(self.path("calls"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{answer}").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    fn dress(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("CARGO_TARGET_DIR", self.path("target"));
        if self.display {
            command.env("DISPLAY", ":0");
        }
        if self.skip_packages {
            command.env("PLIMSOLL_SKIP_PACKAGES", "1");
        }
    }

    /// What was called by a run that succeeds, a line each.
    fn runs(&self, args: &[&str]) -> Vec<String> {
        let output = self.output(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.calls()
    }

    /// What a run says that ends with that code and opens no window.
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.output(args);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        let calls = self.calls();
        assert!(!calls.iter().any(|call| call.starts_with("plimsoll")), "{calls:?}");
        text
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

const PACKAGES: &str = "build-essential pkg-config ca-certificates libwebkit2gtk-4.1-dev \
                        libayatana-appindicator3-1";
/// The call that installs what follows. An apt that updates the system just now is waited for.
const INSTALL: &str = "apt-get install -y -q --no-install-recommends -oDPkg::Lock::Timeout=300";

#[test]
fn a_first_run_installs_builds_and_opens_and_a_second_one_only_opens() {
    let system = System::new();
    assert_eq!(
        system.runs(&["--demo", "--", "--data-dir", "/some where", "--hidden"]),
        [
            // Asked for once, before it is used.
            "sudo",
            "sudo",
            "apt-get update -q",
            "sudo",
            &format!("{INSTALL} {PACKAGES}"),
            "npm --prefix ui ci --no-audit --no-fund",
            "npm --prefix ui run --silent build",
            "cargo build --release --locked -p plimsoll-desktop -p plimsoll",
            "plimsoll-desktop --demo --data-dir /some where --hidden",
        ]
    );
    let again =
        ["cargo build --release --locked -p plimsoll-desktop -p plimsoll", "plimsoll-desktop "];
    assert_eq!(system.runs(&[]), again, "cargo itself sees that nothing is to be done");

    // The page is made again where something of it is newer.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let source = fs::File::create(system.path("checkout/ui/src/App.svelte")).unwrap();
    source.set_modified(later).unwrap();
    assert_eq!(system.runs(&[])[0], "npm --prefix ui run --silent build");
}

#[test]
fn only_missing_packages_are_installed_and_root_needs_no_sudo() {
    let system = System::new();
    system.stands_in("id", "echo 0");
    system.lacks("sudo");
    fs::write(system.path("installed"), "build-essential\npkg-config\nca-certificates\n").unwrap();
    let install = format!("{INSTALL} libwebkit2gtk-4.1-dev libayatana-appindicator3-1");
    assert_eq!(system.runs(&[])[..2], ["apt-get update -q", &install]);
}

#[test]
fn without_root_and_without_sudo_the_command_for_root_is_said() {
    let system = System::new();
    system.lacks("sudo");
    let words = system.ends(1, &[]);
    assert!(
        words.contains(&format!("As root: apt-get update && apt-get install {PACKAGES}")),
        "{words}"
    );
    assert!(system.calls().is_empty(), "nothing was begun: {:?}", system.calls());
}

#[test]
fn a_sudo_that_refuses_is_said_and_asked_no_second_time() {
    let system = System::new();
    system.stands_in("sudo", r#"said "sudo $*"; exit 1"#);
    let words = system.ends(1, &[]);
    assert!(words.contains("sudo does not let you install packages"), "{words}");
    assert!(
        words.contains(&format!("As root: apt-get update && apt-get install {PACKAGES}")),
        "{words}"
    );
    assert_eq!(system.calls(), ["sudo true"]);
}

#[test]
fn an_apt_that_is_interrupted_and_calls_that_a_success_is_not_believed() {
    let system = System::new();
    system.stands_in("apt-get", r#"said "apt-get $1""#);
    let words = system.ends(1, &[]);
    assert!(words.contains("Run this again: it goes on where it stopped"), "{words}");
    assert_eq!(system.calls().last().unwrap(), "apt-get install", "nothing was built");
}

#[test]
fn packages_that_apt_does_not_have_are_named_with_the_systems_that_do() {
    let system = System::new();
    system.stands_in("apt-get", r#"[ "$1" = update ]"#);
    let words = system.ends(1, &[]);
    assert!(words.contains("apt could not install: build-essential"), "{words}");
    assert!(words.contains("Debian 12 and Ubuntu 22.04 or newer"), "{words}");
}

#[test]
fn another_system_is_told_the_names_of_its_packages_and_how_to_go_on() {
    let mut system = System::new();
    system.lacks("apt-get");
    let words = system.ends(1, &[]);
    for part in ["Fedora: webkit2gtk4.1-devel", "Arch:", "PLIMSOLL_SKIP_PACKAGES=1"] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    system.skip_packages = true;
    assert_eq!(system.runs(&[]).last().unwrap(), "plimsoll-desktop ");
}

#[test]
fn rust_that_is_missing_too_old_or_without_a_toolchain_is_said_before_anything_is_installed() {
    let ends = |change: fn(&System), parts: [&str; 2]| {
        let system = System::new();
        change(&system);
        let words = system.ends(1, &[]);
        for part in parts {
            assert!(words.contains(part), "{part} is missing in {words}");
        }
        assert_eq!(system.calls(), Vec::<String>::new());
    };
    ends(|system| system.lacks("cargo"), ["Rust is not installed", "https://rustup.rs"]);
    let old = |system: &System| system.stands_in("rustc", "echo 'rustc 1.94.1 (abc 2026-01-01)'");
    ends(old, ["Rust 1.94.1 is too old: 1.95 or newer", "rustup update stable"]);
    let none =
        |system: &System| system.stands_in("rustc", "echo 'no default toolchain' >&2; exit 1");
    ends(none, ["rustc does not answer", "rustup default stable"]);
}

#[test]
fn rust_that_only_a_new_shell_would_find_is_found() {
    let system = System::new();
    system.lacks("cargo");
    fs::create_dir_all(system.path("home/.cargo/bin")).unwrap();
    system.script(&system.path("home/.cargo/bin/cargo"), r#"said "own cargo $1""#);
    assert!(system.runs(&[]).contains(&"own cargo build".to_owned()));
}

#[test]
fn node_that_is_missing_or_does_not_do_is_said_with_the_versions_that_do() {
    let system = System::new();
    for (version, does) in [
        ("v18.19.0", false),
        ("v20.18.3", false),
        ("v20.19.0", true),
        ("v21.7.3", false),
        ("v22.11.0", false),
        ("v22.12.0", true),
        ("v24.1.0", true),
    ] {
        system.stands_in("node", &format!("echo {version}"));
        if does {
            assert_eq!(system.runs(&[]).last().unwrap(), "plimsoll-desktop ", "{version}");
        } else {
            let words = system.ends(1, &[]);
            assert!(words.contains(&version[1..]) && words.contains("20.19"), "{words}");
        }
    }
    system.lacks("npm");
    assert!(system.ends(1, &[]).contains("Node.js with npm is not installed"));
}

#[test]
fn without_a_display_it_says_so_and_offers_to_record_without_a_window() {
    let mut system = System::new();
    system.display = false;
    let words = system.ends(1, &[]);
    for part in ["no display", "./run.sh --no-window", "plimsoll up --ui 127.0.0.1:"] {
        assert!(words.contains(part), "{part} is missing in {words}");
    }
    assert!(system.calls().is_empty(), "nothing is installed unasked: {:?}", system.calls());
}

#[test]
fn without_a_display_a_person_is_asked_and_yes_records_without_a_window() {
    let mut system = System::new();
    system.display = false;
    let words = system.asked("--demo -- --ui 127.0.0.1:0", "y");
    assert!(words.contains("Do that now?"), "{words}");
    let calls = system.calls();
    assert_eq!(calls.last().unwrap(), "plimsoll up --demo --ui 127.0.0.1:0");
    assert!(calls.contains(&"cargo build --release --locked -p plimsoll".to_owned()), "{calls:?}");
    assert!(!calls.iter().any(|call| call.contains("webkit")), "what no window needs: {calls:?}");

    system.asked("", "n");
    assert_eq!(system.calls(), Vec::<String>::new());
}

#[test]
fn with_no_window_it_records_unasked_and_shows_the_page() {
    let mut system = System::new();
    for display in [false, true] {
        system.display = display;
        let calls = system.runs(&["--no-window", "--", "--data-dir", "/some where"]);
        let last = "plimsoll up --ui 127.0.0.1:1877 --data-dir /some where";
        assert_eq!(calls.last().unwrap(), last, "with a display: {display}");
        assert!(!calls.iter().any(|call| call.contains("webkit")), "{calls:?}");
    }
}

#[test]
fn an_argument_that_it_does_not_know_is_named_and_help_is_help() {
    let system = System::new();
    let words = system.ends(2, &["--hidden"]);
    assert!(words.contains("'--hidden'") && words.contains("-- ARGS"), "{words}");
    let help = system.ends(0, &["--help"]);
    assert!(help.contains("./run.sh --demo"), "{help}");
}
