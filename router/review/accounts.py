"""Accounts by which deliveries go: each has a breaker and a pace of its own."""

from router.catalogue.queue.queue import Delivery
from router.config.sections import Config
from router.model import Channel


def account_of(config: Config, delivery: Delivery) -> str:
    """The account of a delivery's hospital: images, and what goes by the shared one, have none, ""."""
    destination = config.destination_named(delivery.destination)
    if destination is None or delivery.channel != Channel.REPORT:
        return ""
    return destination.account_of(delivery.hospital)


def served_by(config: Config) -> set[tuple[str, Channel, str]]:
    """Every destination, channel and account that is configured."""
    reports = {
        (one.name, Channel.REPORT, account)
        for one in config.destination
        if one.http is not None
        for account in config.accounts(one)
    }
    return reports | {(one.name, Channel.IMAGES, "") for one in config.destination if one.dicom is not None}
