"""`run`: the node in the foreground."""

import logging
import signal
import sys
import threading
from pathlib import Path

import click

from router.app import Node
from router.cli.options import config_option
from router.clock import SystemClock
from router.config import load


@click.command("run")
@config_option
@click.option("--verbose", is_flag=True, help="Log every instance, too.")
def command(config_file: Path, verbose: bool) -> None:
    """The node in the foreground, until SIGTERM or Ctrl-C.

    Prints one line on stdout that begins with `ready ` once every listener is up; the log goes to stderr. SIGHUP reads
    the configuration and the series rules again, and says what it took up and what wants a restart.
    """
    config = load(config_file)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("router").setLevel(logging.DEBUG if verbose else logging.INFO)
    if not config.destination:
        logging.getLogger("router").warning("no destination is configured: studies are kept and go nowhere")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    node = Node(config, SystemClock())
    ports = node.start()
    signal.signal(signal.SIGHUP, lambda *_: node.reload(config_file))
    try:
        click.echo(f"ready dicom={ports.dicom} admin={ports.admin}" + (f" hl7={ports.hl7}" if ports.hl7 else ""))
        ended.wait()
    finally:
        node.stop()
