"""Actions on many deliveries: preview and question before, on stderr, and progress meanwhile."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from router.catalogue.queue.queue import Delivery
from router.cli.speech import confirm, echo, say, tongue
from router.cli.tables import raw

_EXAMPLES = 5
_WORTH_A_BAR = 500


def preview(action: str, chosen: Sequence[Delivery], *, asks: bool = False) -> bool:
    """Print what will be done to what, and ask; False for a no. Without a terminal: UsageError if `asks`, else True."""
    counts = Counter((one.destination, one.channel, one.state) for one in chosen)
    echo(f"{action}: {len(chosen)} delivery(s)", err=True)
    for (destination, channel, state), count in sorted(counts.items()):
        place = tongue().say("{channel} to {destination}", channel=f"{say(channel):7}", destination=destination)
        click.echo(f"  {count:>7} {say(state):9} {place}", err=True)
    if not chosen:
        return True
    first = ", ".join(f"d{one.id}" for one in chosen[:_EXAMPLES])
    echo(f"  the first by due time: {first}{', ...' if len(chosen) > _EXAMPLES else ''}", err=True)
    if asks:
        _require_terminal()
    return not sys.stdin.isatty() or confirm(f"{action} these {len(chosen)}?", err=True)


def agreed(what: str, lines: Sequence[str], *, yes: bool) -> None:
    """Print what will be done, and ask unless `yes`: click.Abort for a no, UsageError without a terminal."""
    echo(what, err=True)
    for line in lines:
        echo(line, err=True)
    if not yes:
        _require_terminal()
        confirm("Do it?", abort=True, err=True)


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is here to be asked: say --yes")


@contextmanager
def progress(action: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that takes the number done since its last call; a bar on a terminal if they are many."""
    quiet = total < _WORTH_A_BAR or not sys.stderr.isatty()
    with Progress(console=Console(file=raw(sys.stderr)), transient=True, disable=quiet) as bar:
        task = bar.add_task(action, total=total)
        yield lambda more: bar.advance(task, more)
