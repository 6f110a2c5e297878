#!/bin/sh
# Makes the PNG sizes from the one drawing. Run it after changing plimsoll.svg and commit what it
# writes: the build takes the files as they lie here and needs no converter.
#   icons/make.sh          write them
#   icons/make.sh --check  fail when one of them does not come from the drawing
set -eu
cd "$(dirname "$0")"
command -v rsvg-convert >/dev/null || { echo "icons/make.sh needs rsvg-convert (package librsvg2-bin)" >&2; exit 1; }
to=.
if [ "${1:-}" = --check ]; then
  to=$(mktemp -d)
  trap 'rm -rf "$to"' EXIT
fi
for size in 16 22 24 32 48 64 128 256 512; do
  rsvg-convert --width "$size" --height "$size" --output "$to/$size.png" plimsoll.svg
  if [ "$to" != . ] && ! cmp -s "$to/$size.png" "$size.png"; then
    echo "icons/$size.png does not come from plimsoll.svg: run icons/make.sh" >&2
    exit 1
  fi
done
