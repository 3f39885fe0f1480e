# Sourced: how the disk is laid out, on every board. The first start adds kernel_B, root_B and data behind
# (root/usr/lib/sialoscope/repart.d, same numbers), so that the file that is flashed holds one slot only.
# shellcheck shell=bash disable=SC2034
boot_mib=32
environment_mib=1
root_mib=192
disk_uuid=51a105c0-9e00-4d00-8000-000000000000
kernel_type=51a105c0-9e00-4d00-8001-000000000000
root_type=51a105c0-9e00-4d00-8002-000000000000
environment_type=51a105c0-9e00-4d00-8003-000000000000
# What every computer mounts; UEFI looks for a type of its own (UEFI 2.10, 5.3.3).
boot_type=ebd0a0a2-b9e5-4433-87c0-68b6b72699c7
efi_type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
