# Sourced by steps that take something from Debian: an apt of its own in the cache, so that neither root nor
# a line in the machine's own sources is needed. Signatures are checked with Debian's keys.
# shellcheck shell=bash
mirror=${SIALOSCOPE_DEBIAN_MIRROR:-http://deb.debian.org}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
suite=bookworm

# The sources of the image: for mmdebstrap and for the apt of the cache.
debian_sources() {
    local kind
    for kind in "$@"; do
        echo "$kind [signed-by=$keyring] $mirror/debian $suite main non-free-firmware"
        echo "$kind [signed-by=$keyring] $mirror/debian $suite-updates main non-free-firmware"
        echo "$kind [signed-by=$keyring] $mirror/debian-security $suite-security main non-free-firmware"
    done
}

apt_options() {
    local apt=$cache/apt
    mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,etc/preferences.d}
    [ -f "$apt/status" ] || : >"$apt/status"
    debian_sources deb deb-src >"$apt/sources.list"
    options=(
        -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
        -o "Dir::Etc=$apt/etc" -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=-
        -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -q
    )
}

# Lists of packages are fetched once a day at most.
apt_update() {
    apt_options
    if [ -z "$(find "$cache/apt/updated" -mtime -1 2>/dev/null)" ]; then
        apt-get "${options[@]}" update >&2 && touch "$cache/apt/updated"
    fi
}

# The version that Debian has now: part of every cache key.
candidate() {
    apt-cache "${options[@]}" policy "$1" | awk '/Candidate:/ { print $2 }'
}

# Fetches binary packages into the present folder.
fetch_debs() { apt-get "${options[@]}" download "$@" >&2; }

# Unpacks the source of a package into the present folder.
fetch_source() { apt-get "${options[@]}" source --only-source "$1" >&2; }
