# Sourced: what RAUC says, in the codes that the appliance has words for (docs/field-guide.md, "Updates").
# shellcheck shell=sh

# coded TEXT: "code: TEXT"
coded() {
    case $1 in
        update_*:* | no_space:*) printf '%s\n' "$1" ;;
        *ompatible\ mismatch*) printf 'update_board: %s\n' "$1" ;;
        *"older than"*) printf 'update_old: %s\n' "$1" ;;
        *"bundle format"* | *"exceeds bundle"* | *"too small"*) printf 'update_damaged: %s\n' "$1" ;;
        *ignature* | *ertificate* | *"erify error"*) printf 'update_signature: %s\n' "$1" ;;
        *) printf 'update_failed: %s\n' "$1" ;;
    esac
}

# is_older A B
is_older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
