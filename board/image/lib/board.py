"""board.py FILE: a board's TOML as assignments for a shell. Unknown and missing names are refused."""
import shlex
import sys
import tomllib

NEEDED = {"name", "title", "kernel", "starts_by"}
# What starts a board: U-Boot of ours, or the UEFI that it comes with.
NEEDED_BY = {
    "u-boot": {"u_boot", "device_tree", "kernel_load", "kernel_compression", "console"},
    "uefi": set(),
}
OPTIONAL = {"console", "modules_first", "modules", "boot_gap_kib", "kernel_mib", "overlay"}
DEFAULTS = {"kernel_mib": 24}

with open(sys.argv[1], "rb") as file:
    board = tomllib.load(file)
if board.get("starts_by") not in NEEDED_BY:
    sys.exit(f"image: {sys.argv[1]}: starts_by is one of {', '.join(NEEDED_BY)}")
needed = NEEDED | NEEDED_BY[board["starts_by"]]
for name in needed - board.keys():
    sys.exit(f"image: {sys.argv[1]}: {name} is missing")
for name in board.keys() - needed - OPTIONAL:
    sys.exit(f"image: {sys.argv[1]}: unknown setting {name}")
for name in sorted(NEEDED.union(OPTIONAL, *NEEDED_BY.values())):
    value = board.get(name, DEFAULTS.get(name, ""))
    if isinstance(value, list):
        value = " ".join(value)
    print(f"board_{name}={shlex.quote(str(value))}")
