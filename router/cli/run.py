"""`run`: the node in the foreground."""

import contextlib
import logging
import queue
import signal
from pathlib import Path

import click

from router.cli.options import config_option
from router.cli.speech import speech
from router.clock import SystemClock
from router.config.file import ConfigFile, load
from router.errors import hide_messages
from router.node.node import Node
from router.process.heap import share_one_heap
from router.process.logs import log_to_stderr
from router.text.language import SOURCE


@click.command("run")
@config_option
@click.option("--verbose", is_flag=True, help="Log every instance, too.")
def command(config_file: Path, verbose: bool) -> None:
    """The node in the foreground, until SIGTERM or Ctrl-C.

    Prints one line on stdout that begins with `ready ` once every listener is up; the log goes to stderr. SIGHUP reads
    the configuration and the series rules again, and says what it took up and what wants a restart.
    """
    share_one_heap()
    speech().use(SOURCE)  # the log is in English
    read, config = ConfigFile.of(config_file), load(config_file)
    log_to_stderr(zone=config.node.timezone.key)
    logging.getLogger("router").setLevel(logging.DEBUG if verbose else logging.INFO)
    hide_messages()
    if not config.destination:
        logging.getLogger("router").warning("no destination is configured: studies are kept and go nowhere")
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()  # a handler may fill it at any time
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.put(number))
    node = Node(config, SystemClock(), read)
    ports = node.start()
    try:
        own = "".join(f" hl7.{name}={port}" for name, port in ports.own.items())
        click.echo(f"ready dicom={ports.dicom} admin={ports.admin}" + (f" hl7={ports.hl7}" if ports.hl7 else "") + own)
        while _next(signals) == signal.SIGHUP:
            node.reload(config_file)
    finally:
        node.stop()


def _next(signals: "queue.SimpleQueue[int]") -> int:
    """The next signal, looked for every second: one that the system gives to another thread wakes nobody here."""
    while True:
        with contextlib.suppress(queue.Empty):
            return signals.get(timeout=1.0)
