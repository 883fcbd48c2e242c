"""A node that does nothing but claim: `claimer.py URL NAME`. Ready once it says so; goes when it reads a line."""

import sys
from datetime import timedelta
from pathlib import Path

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.events import EventBus
from router.model import Channel
from router.policy.states import State

LEASE = timedelta(seconds=60)


def main(url: str, name: str) -> None:
    """Claims and settles until nothing is ready; says how many that were."""
    queue, clock, count = open_catalogue(url, Path(), EventBus()).queue, SystemClock(), 0
    _say("ready")
    sys.stdin.readline()
    while (delivery := queue.claim("cloud", Channel.IMAGES, name, clock.now(), LEASE)) is not None:
        queue.move(delivery, State.DELIVERED, clock.now(), "claimed by the bench", changes={"lease_owner": ""})
        count += 1
    _say(str(count))


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
