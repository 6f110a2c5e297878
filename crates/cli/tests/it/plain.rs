//! Help, completions, manual page, doctor, pipes, and what the program is linked with.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use crate::program::Place;

#[test]
fn help_has_examples_and_wrong_usage_is_exit_code_2() {
    let place = Place::new();
    let help = place.out(&["--help"]);
    assert!(help.contains("Examples:") && help.contains("plimsoll history query"), "{help}");
    assert!(place.out(&["config", "set", "--help"]).contains("plimsoll config set"));
    assert_eq!(place.fails(&["fly"]).0, 2);
    assert_eq!(place.fails(&["sample", "--ticks", "0"]).0, 2);
    assert_eq!(place.fails(&["completions", "cmd"]).0, 2);
}

#[test]
fn completions_and_manual_page_name_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.out(&["completions", shell]).contains("doctor"), "{shell}");
    }
    let man = place.out(&["man"]);
    assert!(man.starts_with(".ie") && man.contains(".TH"), "{}", &man[..80]);
    for name in [
        "UP",
        "SAMPLE",
        "HISTORY QUERY",
        "CONFIG ROLLBACK",
        "ALERTS SNOOZE",
        "SERVICES TEST",
        "LINK",
        "DOCTOR",
    ] {
        assert!(man.contains(&format!(".SH PLIMSOLL {name}")), "{name}");
    }
}

// AA10
#[test]
fn the_doctor_names_what_it_looked_at_and_how_to_check_it_by_hand() {
    let place = Place::new();
    let report = place.json(&["doctor", "--json"]);
    let checks = report["checks"].as_array().unwrap();
    for name in
        ["NVIDIA driver", "NVML", "WebKit", "Tray", "Ports", "Permissions", "Open files", "Disk"]
    {
        let check = checks.iter().find(|check| check["name"] == name);
        let check = check.unwrap_or_else(|| panic!("{name} is missing"));
        assert!(!check["by_hand"].as_str().unwrap().is_empty(), "{check}");
    }
    assert!(place.out(&["doctor"]).contains("  $ df -h"));
}

#[test]
fn a_bundle_is_redacted_with_and_without_a_running_up() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    let text = "# api_key = \"sk-abcdefghijklmnop\"\n[log]\nlevel = \"info\"\n";
    std::fs::write(place.data().join("plimsoll.toml"), text).unwrap();
    let bundle = |name: &str| {
        let path = place.path(name);
        let written = place.json(&["doctor", "--bundle", path.to_str().unwrap(), "--json"]);
        assert_eq!(written["bytes"], std::fs::metadata(&path).unwrap().len());
        let list = Command::new("tar").arg("-xOzf").arg(&path).output().unwrap();
        assert!(list.status.success());
        let all = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(all.contains("level = ") && all.contains("[secret]"), "{all}");
        assert!(!all.contains("sk-abcdefghijklmnop"), "{all}");
        all
    };
    bundle("without.tar.gz");
    let _up = place.up(&[]);
    let all = bundle("with.tar.gz");
    assert!(all.contains("\"protocol\""), "{all}");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_without_a_word() {
    let place = Place::new();
    for args in [vec!["config", "schema"], vec!["man"], vec!["sample", "--ticks", "3", "--json"]] {
        let mut child =
            place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut one = [0];
        out.read_exact(&mut one).unwrap();
        drop(out);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.is_empty(), "{args:?}: {err}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn no_desktop_library_is_linked() {
    let output = Command::new("ldd").arg(env!("CARGO_BIN_EXE_plimsoll")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(text.contains("libc.so"), "{text}");
    for library in ["webkit", "gtk", "gdk", "x11", "wayland", "appindicator", "soup", "nvidia"] {
        assert!(!text.contains(library), "{library}: {text}");
    }
}
