#!/usr/bin/env bash
# Builds the Debian package of the window and the terminal program. The last line it prints is the package's path.
#
#   packaging/deb.sh                          builds in release and packs that
#   packaging/deb.sh --from DIR [--to DIR]    packs the programs that lie in DIR already
#
# Plain dpkg-deb, because the package holds two programs with completions, a man page and a unit, and
# because its dependencies should be read off the programs rather than written down.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. packaging/system.sh

from='' to=$(target_dir)/deb compression=-Zxz
while [ $# -gt 0 ]; do
  case $1 in
    # A package for the tests: built quickly rather than small.
    --from) from=$2 compression=-Zgzip; shift ;;
    --to) to=$2; shift ;;
    *) echo "packaging/deb.sh does not know '$1'." >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$from" ]; then
  # shellcheck disable=SC2086  # a list of names
  need_packages "the window" $BUILD_PACKAGES
  need_rust
  need_node
  ui_dist
  say "Building both programs in release"
  cargo build --release --locked -p plimsoll -p plimsoll-desktop
  from=$(target_dir)/release
fi
for program in plimsoll plimsoll-desktop; do
  [ -x "$from/$program" ] || fail "$from/$program does not exist."
done

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
architecture=$(dpkg --print-architecture)
mkdir -p "$to"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
root=$tree/root

for program in plimsoll plimsoll-desktop; do
  install -D -m 755 "$from/$program" "$root/usr/bin/$program"
  # What is left serves backtraces; the rest of a test build is larger than the program.
  strip --strip-debug "$root/usr/bin/$program"
done
for size in 16 22 24 32 48 64 128 256 512; do
  install -D -m 644 "icons/$size.png" "$root/usr/share/icons/hicolor/${size}x$size/apps/plimsoll.png"
done
install -D -m 644 icons/plimsoll.svg "$root/usr/share/icons/hicolor/scalable/apps/plimsoll.svg"
install -D -m 644 packaging/plimsoll.desktop "$root/usr/share/applications/plimsoll.desktop"
install -D -m 644 packaging/plimsoll.service "$root/usr/lib/systemd/user/plimsoll.service"
# The page that `plimsoll up --ui` serves; the desktop program carries its own copy.
mkdir -p "$root/usr/share/plimsoll"
cp -r ui/dist "$root/usr/share/plimsoll/ui"
find "$root/usr/share/plimsoll" -type f -exec chmod 644 {} +
install -D -m 644 packaging/copyright "$root/usr/share/doc/plimsoll/copyright"

plimsoll=$from/plimsoll
made() { mkdir -p "$(dirname "$1")" && cat >"$1" && [ -s "$1" ]; }
"$plimsoll" completions bash | made "$root/usr/share/bash-completion/completions/plimsoll"
"$plimsoll" completions zsh | made "$root/usr/share/zsh/vendor-completions/_plimsoll"
"$plimsoll" completions fish | made "$root/usr/share/fish/vendor_completions.d/plimsoll.fish"
"$plimsoll" man | made "$tree/plimsoll.1"
mkdir -p "$root/usr/share/man/man1"
gzip -9n <"$tree/plimsoll.1" >"$root/usr/share/man/man1/plimsoll.1.gz"
printf 'plimsoll (%s) stable; urgency=medium\n\n  * See the history of the sources.\n\n -- The Plimsoll authors <plimsoll@localhost>  %s\n' \
  "$version" "$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")" |
  gzip -9n | made "$root/usr/share/doc/plimsoll/changelog.gz"

# The libraries that the programs are linked with, by the packages they come from on this system.
mkdir -p "$tree/debian"
printf 'Source: plimsoll\n\nPackage: plimsoll\nArchitecture: any\n' >"$tree/debian/control"
linked=$(cd "$tree" && dpkg-shlibdeps -O "root/usr/bin/plimsoll" "root/usr/bin/plimsoll-desktop" 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$linked" ] || fail "dpkg-shlibdeps found no libraries (package dpkg-dev)."

mkdir -p "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: plimsoll
Version: $version
Architecture: $architecture
Maintainer: The Plimsoll authors <plimsoll@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Section: utils
Priority: optional
Depends: $linked
Recommends: libayatana-appindicator3-1, dbus-user-session | dbus-x11
Description: control center for a GPU workstation that runs AI
 Plimsoll shows what model servers and everything else on one workstation use of
 its GPU, memory, CPU and disks, keeps the history of it, and warns before
 something is full. This package holds the window (plimsoll-desktop), the
 terminal program (plimsoll), and a systemd user unit that records without a
 window; it is off until you switch it on.
CONTROL
# Everything belongs to root and is dated by the sources: the same sources make the same package.
find "$root" -type d -exec chmod 755 {} +
package=$to/plimsoll_${version}_$architecture.deb
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)} \
  dpkg-deb --root-owner-group "$compression" --build "$root" "$package" >/dev/null
printf '%s\n' "$package"
