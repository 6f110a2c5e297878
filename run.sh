#!/usr/bin/env bash
# Installs what is missing, builds Plimsoll and opens its window.
#
#   ./run.sh              the window, with this machine's real numbers
#   ./run.sh --demo       the same on a simulated workstation
#   ./run.sh --no-window  records without a window, and shows the same pages in a browser on this machine
#   ./run.sh -- ARGS      passes ARGS to the program, e.g. ./run.sh -- --data-dir DIR --hidden
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. packaging/system.sh

window=yes
args=()
while [ $# -gt 0 ]; do
  case $1 in
    --demo) args+=(--demo) ;;
    --no-window) window=no ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) shift; args+=("$@"); break ;;
    *) echo "run.sh does not know '$1'. It takes --demo, --no-window, and -- ARGS for the program itself." >&2; exit 2 ;;
  esac
  shift
done

if [ $window = yes ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  say "There is no display here, so no window can be opened"
  note "Plimsoll can record without one, and show the same pages in a browser on this machine:"
  note "  ./run.sh --no-window    builds the program and runs: plimsoll up --ui 127.0.0.1:1877"
  [ -t 0 ] || exit 1
  read -r -p "   Do that now? [y/N] " answer
  case $answer in
    y | Y | yes) window=no ;;
    *) exit 1 ;;
  esac
fi

# What has to be installed by hand is said first, before anything is changed here.
need_rust
need_node
if [ $window = no ]; then
  # shellcheck disable=SC2086  # a list of names
  need_packages "the program" $PROGRAM_PACKAGES
  ui_dist
  say "Building Plimsoll (the first time takes some minutes)"
  cargo build --release --locked -p plimsoll
  case " ${args[*]}" in
    *" --ui"*) ;;
    *) args=(--ui 127.0.0.1:1877 "${args[@]}") ;;
  esac
  # Beside a target folder that lies elsewhere it would not be found.
  export PLIMSOLL_UI_DIR=${PLIMSOLL_UI_DIR:-$PWD/ui/dist}
  say "Recording, until Ctrl-C: plimsoll up ${args[*]}"
  exec "$(target_dir)/release/plimsoll" up "${args[@]}"
fi

# shellcheck disable=SC2086  # a list of names
need_packages "the window" $BUILD_PACKAGES
ui_dist
say "Building Plimsoll (the first time takes some minutes)"
cargo build --release --locked -p plimsoll-desktop -p plimsoll
say "Opening the window"
exec "$(target_dir)/release/plimsoll-desktop" "${args[@]}"
