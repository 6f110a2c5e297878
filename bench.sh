#!/usr/bin/env bash
# Measures Plimsoll beside its peers, in the same run. Each figure of the README comes from here.
#   ./bench.sh history   ingest, size a sample, queries; against one row a sample
#   ./bench.sh cpu       `plimsoll up` against btm, 300 sleeping processes beside them
#   ./bench.sh services  watching twenty engines every second, one of them hanging
#   ./bench.sh gateway   requests and streams through the gateway, beside nginx as a plain proxy
#   ./bench.sh window    first painted value, CPU seen and hidden, under Xvfb
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. packaging/system.sh

target=$(target_dir)

bench_history() {
  say "history: ingest, size, queries"
  cargo bench -p plimsoll-history
}

bench_services() {
  say "services: the watch over twenty engines"
  cargo bench -p plimsoll-services
}

bench_cpu() {
  say "building plimsoll and the measuring tool"
  cargo build --release -p plimsoll
  cargo build -p plimsoll-tests --bin measure
  if ! command -v btm >/dev/null && ! [ -x "$target/peers/bin/btm" ]; then
    say "installing btm (the crate bottom) into $target/peers"
    cargo install bottom --locked --root "$target/peers"
  fi
  BTM_BIN=$(command -v btm || echo "$PWD/$target/peers/bin/btm") \
    PLIMSOLL_BIN=$target/release/plimsoll "$target/debug/measure" cpu "$@"
}

bench_gateway() {
  say "building plimsoll and the measuring tool"
  need_packages "a proxy to compare with" nginx-light
  cargo build --release -p plimsoll
  PLIMSOLL_BIN=$(realpath "$target/release/plimsoll") cargo bench -p plimsoll-gateway --bench beside_nginx
}

bench_window() {
  say "building the window and the measuring tool"
  # shellcheck disable=SC2086  # a list of names
  need_packages "the window" $BUILD_PACKAGES
  need_packages "a display without a screen" xvfb dbus
  need_node
  ui_dist
  cargo build --release -p plimsoll-desktop -p plimsoll
  cargo build -p plimsoll-tests --bin measure
  PLIMSOLL_DESKTOP_BIN=$target/release/plimsoll-desktop "$target/debug/measure" window "$@"
}

case "${1:-}" in
  history | services | cpu | gateway | window)
    what=$1
    shift
    "bench_$what" "$@"
    ;;
  *)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
