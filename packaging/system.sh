# What run.sh and test.sh need of the system, and how they get it. Sourced, not run.
# Every function says what it does; nothing is fetched here but through the system's package
# manager, cargo and npm.

RUST_MIN=1.95
# What the programs are built with. Cargo fetches nothing without the certificates, and a small system has none.
PROGRAM_PACKAGES="build-essential pkg-config ca-certificates"
# And the window. The tray's library is loaded by name when the program starts.
# shellcheck disable=SC2034  # for those that source this
BUILD_PACKAGES="$PROGRAM_PACKAGES libwebkit2gtk-4.1-dev libayatana-appindicator3-1"
# A newer npm is no business of this build.
export npm_config_update_notifier=false

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() {
  printf '\033[1mCannot go on:\033[0m %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '   %s\n' "$line" >&2; done
  exit 1
}

# version_at_least HAVE WANT
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s ' "$package"
  done
}

# need_packages WHY PACKAGE...: installs what is missing, on Debian and its kin.
need_packages() {
  local why=$1 missing as_root=()
  shift
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    if [ -z "${PLIMSOLL_SKIP_PACKAGES:-}" ]; then
      fail "this system has no apt: the packages must be installed by hand." \
        "$why needs what Debian calls: $*" \
        "Fedora: webkit2gtk4.1-devel libayatana-appindicator-gtk3 gcc pkgconf-pkg-config" \
        "Arch:   webkit2gtk-4.1 libayatana-appindicator base-devel" \
        "Then run this again with PLIMSOLL_SKIP_PACKAGES=1."
    fi
    return
  fi
  missing=$(missing_packages "$@")
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing for $why, and there is no sudo here." \
      "As root: apt-get update && apt-get install $missing" "Then run this again."
    as_root=(sudo)
  fi
  say "Installing packages for $why: $missing"
  # Asked for once and apart, so that a refusal is not taken for a failure of apt.
  if [ ${#as_root[@]} -gt 0 ]; then
    note "as root, by sudo"
    sudo true || fail "sudo does not let you install packages." \
      "As root: apt-get update && apt-get install $missing" "Then run this again."
  fi
  "${as_root[@]}" apt-get update -q || note "the package lists could not be renewed; trying with the old ones"
  # A fresh system often updates itself just now, and holds the lock for a while.
  # shellcheck disable=SC2086  # a list of names
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
    -oDPkg::Lock::Timeout=300 $missing ||
    fail "apt could not install: $missing" "Why stands above, in apt's own words." \
      "On Debian 12 and Ubuntu 22.04 or newer these packages exist."
  # An apt that is interrupted between two packages calls that a success.
  [ -z "$(missing_packages "$@")" ] ||
    fail "apt ended before everything was installed." "Run this again: it goes on where it stopped."
}

need_rust() {
  local have
  # rustup puts it there, and a shell that was open before does not know.
  command -v cargo >/dev/null || PATH="${HOME:-/root}/.cargo/bin:$PATH"
  command -v cargo >/dev/null || fail "Rust is not installed." \
    "Install rustup (https://rustup.rs), then run this again. Rust $RUST_MIN or newer is needed;" \
    "the one in Debian's packages is older."
  # rustup without a toolchain has commands that only say so.
  have=$(rustc --version 2>/dev/null | cut -d' ' -f2) || have=''
  [ -n "$have" ] || fail "Rust is not whole: rustc does not answer." "With rustup: rustup default stable"
  version_at_least "$have" "$RUST_MIN" || fail "Rust $have is too old: $RUST_MIN or newer is needed." \
    "With rustup: rustup update stable"
}

need_node() {
  local have
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail "Node.js with npm is not installed: the window is built with it." \
      "Install Node.js 20.19 or newer (https://nodejs.org); the one in Debian 12's packages is older."
  fi
  have=$(node --version)
  have=${have#v}
  version_at_least "$have" 20.19 ||
    fail "Node.js $have is too old: 20.19 or newer is needed (https://nodejs.org)."
  # What the window is built with leaves these out: they were never meant to last.
  if version_at_least "$have" 21 && ! version_at_least "$have" 22.12; then
    fail "Node.js $have does not do: 20.19 or newer, or 22.12 or newer is needed (https://nodejs.org)."
  fi
}

# need_cargo_tool COMMAND CRATE [ARGS]: a tool of the tests, built by cargo where it is missing.
need_cargo_tool() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return 0
  say "Building $command, once (cargo install $*)"
  # The profile of the checkout's settings does not apply to tools.
  CARGO_INCREMENTAL='' cargo install --locked "$@"
}

target_dir() { printf '%s\n' "${CARGO_TARGET_DIR:-target}"; }

# The window's packages, as package-lock.json names them; nothing is done where they lie there already.
ui_modules() {
  if [ ui/node_modules/.package-lock.json -nt ui/package-lock.json ]; then return 0; fi
  say "Fetching the window's packages"
  npm --prefix ui ci --no-audit --no-fund
  touch ui/node_modules/.package-lock.json
}

# ui/dist, made anew only where something it is made from is newer.
ui_dist() {
  ui_modules
  if [ -e ui/dist/index.html ] &&
    [ -z "$(find ui/src ui/index.html ui/package-lock.json ui/vite.config.ts ui/svelte.config.js -newer ui/dist/index.html -print -quit)" ]; then
    return 0
  fi
  say "Building the window's page"
  npm --prefix ui run --silent build
  # The bundler keeps the times of copied files: this one is the sign that all is built.
  touch ui/dist/index.html
}
