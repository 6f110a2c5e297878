#!/usr/bin/env bash
# Every check. Installs what is missing, says what it does, and ends with each runner's own closing lines.
#
#   ./test.sh                every group, in this order
#   ./test.sh GROUP...       only these: fmt clippy rust ui window package bench-check, and real
#
#   fmt          formatting of Rust and of the window's sources
#   clippy       lints, warnings are errors
#   rust         unit and integration tests, among them migrations and the drift of the window's types
#   ui           types and unit tests of the window's page, and its build
#   window       the real window and the loopback page, driven from outside under Xvfb
#   package      the Debian package: built, installed, both programs started, removed
#   bench-check  the benches compile (they are run by bench.sh)
#   real         against a real llama.cpp server, built once, a real Redis, and both in real Docker
#                containers; only when it is named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. packaging/system.sh
. tests/real/peers.sh

ALL=(fmt clippy rust ui window package bench-check)
# Only when they are named.
MORE=(real)
# What runs needs no second compilation later: nobody edits between two groups.
export CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

WINDOW_PACKAGES="xvfb dbus webkit2gtk-driver chromium chromium-driver"
PACKAGE_PACKAGES="xvfb dbus desktop-file-utils man-db"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# The programs as the tests start them. A separate test crate does not know where they lie, so it is told.
programs() {
  need_node
  ui_dist
  say "Building the programs, the fake NVML library and the tests"
  cargo build --workspace --locked
  local built
  built=$(cd "$(target_dir)" && pwd)/debug
  export PLIMSOLL_BIN=$built/plimsoll
  export PLIMSOLL_DESKTOP_BIN=$built/plimsoll-desktop
  export PLIMSOLL_FAKE_NVML=$built/libnvidia_ml_fake.so
  local path
  for path in "$PLIMSOLL_BIN" "$PLIMSOLL_DESKTOP_BIN" "$PLIMSOLL_FAKE_NVML"; do
    [ -e "$path" ] || fail "the build did not make $path"
  done
}

rust_tools() {
  # shellcheck disable=SC2086  # a list of names
  need_packages "the window" $BUILD_PACKAGES
  need_rust
}

nextest() {
  need_cargo_tool cargo-nextest cargo-nextest --version ^0.9
  cargo nextest run --workspace --locked --no-fail-fast "$@"
}

group_fmt() {
  need_rust
  say "rustfmt"
  cargo fmt --all --check
  need_node
  ui_modules
  say "prettier"
  npm --prefix ui run --silent format:check
}

group_clippy() {
  rust_tools
  need_node
  # The desktop program embeds the page: without it the macro that does so cannot be expanded.
  ui_dist
  say "clippy, warnings denied"
  cargo clippy --workspace --all-targets --locked -- -D warnings
}

group_rust() {
  rust_tools
  programs
  say "Rust tests"
  nextest -E 'not (package(plimsoll-tests) and (binary(window) or binary(package) or binary(real)))'
}

group_ui() {
  need_node
  ui_modules
  say "Types of the window's page"
  npm --prefix ui run --silent check
  ui_dist
  say "Unit tests of the window's page"
  npm --prefix ui run --silent test
}

window_tools() {
  # shellcheck disable=SC2086  # a list of names
  need_packages "the window's tests" $WINDOW_PACKAGES
  need_cargo_tool tauri-driver tauri-driver --version ^2
}

group_window() {
  rust_tools
  window_tools
  programs
  say "End-to-end tests of the window${PLIMSOLL_SHOTS:+, with pictures in $PLIMSOLL_SHOTS}"
  nextest -E 'package(plimsoll-tests) and binary(window)'
}

group_package() {
  rust_tools
  # shellcheck disable=SC2086  # a list of names
  need_packages "the package's test" $PACKAGE_PACKAGES
  programs
  say "Building the package"
  # From the same build that the other tests use: a release build would double the time.
  PLIMSOLL_DEB=$(realpath "$(packaging/deb.sh --from "$(target_dir)/debug" --to "$(target_dir)/deb" | tail -n 1)")
  export PLIMSOLL_DEB
  say "Installing it, starting both programs, removing it"
  nextest -E 'package(plimsoll-tests) and binary(package)'
}

group_bench_check() {
  rust_tools
  need_node
  ui_dist
  say "The benches compile"
  cargo check --workspace --benches --locked
}

group_real() {
  rust_tools
  peers
  window_tools
  programs
  say "Against the real servers"
  # What they measure is worth reading where it went well, too.
  nextest --test real --run-ignored only --success-output final
}

# What a runner says at its end: how many of what.
closing_lines() {
  grep -aE '^ *(Summary \[|Test Files |Tests  )|^svelte-check found|^ +(FAIL|TIMEOUT|SIGN?[A-Z]*) \[|^All matched files' "$1" | sort -u || true
}

groups=("$@")
case ${1:-} in
  -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
  '') groups=("${ALL[@]}") ;;
esac
for group in "${groups[@]}"; do
  case " ${ALL[*]} ${MORE[*]} " in
    *" $group "*) ;;
    *) echo "test.sh knows no group '$group'. There are: ${ALL[*]} ${MORE[*]}" >&2; exit 2 ;;
  esac
done

started=$SECONDS
results=()
failed=()
for group in "${groups[@]}"; do
  say "$group"
  at=$SECONDS
  # Run apart from any condition, because `set -e` sleeps inside one; a failing group does not hide the others.
  set +e
  (set -e; "group_${group//-/_}") 2>&1 | tee "$logs/$group"
  status=${PIPESTATUS[0]}
  set -e
  if [ "$status" = 0 ]; then
    outcome=passed
  else
    outcome=FAILED
    failed+=("$group")
  fi
  results+=("$group $outcome in $((SECONDS - at)) s")
done

say "Closing lines"
for result in "${results[@]}"; do
  printf '%s\n' "$result"
  closing_lines "$logs/${result%% *}"
done
printf 'All in all %d s.\n' "$((SECONDS - started))"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[*]}"
  exit 1
fi
