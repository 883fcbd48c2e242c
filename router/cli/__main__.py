"""`python -m router.cli COMMAND ...`, as the launcher in scripts/ calls it."""

import sys

from router.cli import launched

if __name__ == "__main__":
    launched(sys.argv[1:])
