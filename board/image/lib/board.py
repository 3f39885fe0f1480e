"""board.py FILE: a board's TOML as assignments for a shell. Unknown and missing names are refused."""
import shlex
import sys
import tomllib

NEEDED = {"name", "title", "kernel", "u_boot", "device_tree", "kernel_load", "kernel_compression",
          "console"}
OPTIONAL = {"modules_first", "modules", "boot_gap_kib", "overlay"}

with open(sys.argv[1], "rb") as file:
    board = tomllib.load(file)
for name in NEEDED - board.keys():
    sys.exit(f"image: {sys.argv[1]}: {name} is missing")
for name in board.keys() - NEEDED - OPTIONAL:
    sys.exit(f"image: {sys.argv[1]}: unknown setting {name}")
for name in sorted(NEEDED | OPTIONAL):
    value = board.get(name, "")
    if isinstance(value, list):
        value = " ".join(value)
    print(f"board_{name}={shlex.quote(str(value))}")
