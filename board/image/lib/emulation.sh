# Sourced by the step that runs programs of the box on this machine: says what is missing, in words.
# shellcheck shell=bash

# The kernel must hand arm64 programs to QEMU (binfmt_misc); inside containers nobody has told it to.
emulation() {
    arch-test arm64 >/dev/null 2>&1 && return
    local registry=/proc/sys/fs/binfmt_misc rule=/usr/lib/binfmt.d/qemu-aarch64.conf
    if [ "$(id -u)" = 0 ] && [ -f $rule ]; then
        [ -e $registry/register ] || mount -t binfmt_misc binfmt_misc $registry || true
        [ -e $registry/qemu-aarch64 ] || cat $rule >$registry/register || true
    fi
    arch-test arm64 >/dev/null 2>&1 ||
        fail "this machine does not run arm64 programs: sudo systemctl restart systemd-binfmt"
}
