#!/usr/bin/env bash
# Installs what is missing, builds Plimsoll and opens its window.
#
#   ./run.sh             the window, with this machine's real numbers
#   ./run.sh --demo      the same on a simulated workstation
#   ./run.sh -- ARGS     passes ARGS to the program, e.g. ./run.sh -- --data-dir DIR --hidden
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. packaging/system.sh

args=()
while [ $# -gt 0 ]; do
  case $1 in
    --demo) args+=(--demo) ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) shift; args+=("$@"); break ;;
    *) echo "run.sh does not know '$1'. It takes --demo, and -- ARGS for the program itself." >&2; exit 2 ;;
  esac
  shift
done

if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  say "There is no display here, so no window can be opened"
  note "Plimsoll can record without one, and show the same pages in a browser on this machine:"
  note "  plimsoll up                        records until you stop it"
  note "  plimsoll up --ui 127.0.0.1:1877    the same, with the pages"
  if [ -t 0 ]; then
    read -r -p "   Build it and run 'plimsoll up' now? [y/N] " answer
    case $answer in
      y | Y | yes)
        need_packages "the program" build-essential pkg-config
        need_rust
        need_node
        ui_dist
        cargo build --release --locked -p plimsoll
        exec "$(target_dir)/release/plimsoll" up "${args[@]}"
        ;;
    esac
  else
    note "Build it with: cargo build --release -p plimsoll   (then $(target_dir)/release/plimsoll up)"
  fi
  exit 1
fi

need_packages "the window" $BUILD_PACKAGES
need_rust
need_node
ui_dist
say "Building Plimsoll (the first time takes some minutes)"
cargo build --release --locked -p plimsoll-desktop -p plimsoll
say "Opening the window"
exec "$(target_dir)/release/plimsoll-desktop" "${args[@]}"
