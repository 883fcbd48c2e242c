"""`scripts/torture [fuzz]`: the misfortunes of torture.py, or the broken input of fuzz.py."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    fuzz = sys.argv[1:2] == ["fuzz"]
    program = Path(__file__).with_name("fuzz.py" if fuzz else "torture.py")
    os.execv(sys.executable, [sys.executable, str(program), *sys.argv[1 + fuzz :]])
