# Sourced: the slots as boot loader and updates see them. What is remembered of them lies in $state:
#   intended   "SLOT VERSION" that should be running: the last one that was installed or found good
#   tries      one line for each start of it since, until it is found good
#   failure    what the last self-test of it said, if it came to one
#   good       "SLOT VERSION" that passed its self-test last
#   rollback   why another one is running: key=value lines, until the next update is found good
# shellcheck shell=sh
state=/var/lib/sialoscope-update
mkdir -p "$state"

slot() { sed -n 's/.*rauc\.slot=\([AB]\).*/\1/p' /proc/cmdline; }
version() { sed -n 's/^IMAGE_VERSION=//p' /usr/lib/os-release; }
board() { sed -n 's/^IMAGE_ID=sialoscope-//p' /usr/lib/os-release; }
remembered() { cat "$state/$1" 2>/dev/null || true; }

# remember NAME TEXT: whole or not at all, also when the power is cut or the partition is full.
remember() {
    printf '%s\n' "$2" >"$state/.$1" && sync "$state/.$1" && mv "$state/.$1" "$state/$1" && sync "$state"
}
forget() {
    for one; do rm -f "$state/$one"; done
    sync "$state"
}
