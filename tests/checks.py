"""`scripts/check`: lint, format, types and import layers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELP = "Usage: scripts/check\n\nLint, format, types and import layers; 1 when one of them finds a fault.\n"
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "import layers": ["pytest", "tests/unit/repository/test_layers.py"],
}


def check() -> int:
    """Run every check, to the end; 1 when one of them found a fault."""
    failed = []
    for name, command in CHECKS.items():
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        if subprocess.call([sys.executable, "-m", *command], cwd=ROOT) != 0:
            failed.append(name)
    sys.stdout.write(f"== failed: {', '.join(failed)}\n" if failed else "== all checks pass\n")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] in (["--help"], ["-h"]):
        sys.stdout.write(HELP)
    else:
        sys.exit(check())
