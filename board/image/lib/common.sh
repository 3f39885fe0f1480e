# Sourced by every step: where things lie, how a step speaks, what a cache key is.
# shellcheck shell=bash
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC

image=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repository=$(cd "$image/../.." && pwd)
cache=${SIALOSCOPE_CACHE:-${HOME:?HOME is not set}/.cache/sialoscope}/image
mkdir -p "$cache"

# Every time stamp in the image is this one: the day of the commit that it is built from. A tree that is no
# checkout says it itself.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$repository" log -1 --format=%ct) ||
        { echo "image: no git history here: set SOURCE_DATE_EPOCH" >&2; exit 2; }
fi
export SOURCE_DATE_EPOCH

say() { printf '== %s (%ss)\n' "$*" "$SECONDS" >&2; }
fail() { printf 'image: %s\n' "$*" >&2; exit 1; }

# The commands that a step needs, or which Debian package brings the one that is missing.
needs() {
    local pair
    for pair; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null ||
            fail "${pair%%=*} is missing: apt-get install ${pair##*=}"
    done
}
export PATH=$PATH:/usr/sbin:/sbin

# A key of everything given: names of files and folders are replaced by their contents.
key() {
    local item
    for item; do
        if [ -d "$item" ]; then
            (cd "$item" && find . -type f -print0 | sort -z | xargs -0 sha256sum; find . -printf '%P %M %l\n' | sort)
        elif [ -f "$item" ]; then
            sha256sum <"$item"
        else
            printf '%s\n' "$item"
        fi
    done | sha256sum | cut -c1-16
}

# cached NAME KEY COMMAND…: the folder cache/NAME-KEY, which COMMAND has filled (its last argument is the
# folder) if it was not there. Filled under another name first, so that a build that was cut off leaves
# nothing that looks whole.
cached() {
    local folder=$cache/$1-$2
    shift 2
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.partial"
        mkdir -p "$folder.partial"
        "$@" "$folder.partial" >&2
        mv "$folder.partial" "$folder"
    fi
    printf '%s' "$folder"
}
