"""The node's command on a machine of its own: `apart.py PROCESSOR NETWORK ARGUMENTS...`, NETWORK a namespace or "-"."""

import os
import sys


def main(processor: str, network: str, *arguments: str) -> None:
    os.sched_setaffinity(0, {int(processor)})
    command = [sys.executable, "-m", "router.cli", *arguments]
    if network != "-":
        command = ["nsenter", f"--net=/run/netns/{network}", *command]
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
