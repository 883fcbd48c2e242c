"""A command on a machine of its own: `apart.py PROCESSOR NETWORK COMMAND...`, NETWORK a namespace or "-"."""

import os
import sys


def main(processor: str, network: str, *command: str) -> None:
    os.sched_setaffinity(0, {int(processor)})
    entered = () if network == "-" else ("nsenter", f"--net=/run/netns/{network}")
    os.execvp((*entered, *command)[0], (*entered, *command))


if __name__ == "__main__":
    main(*sys.argv[1:])
