"""By which set of checks a data folder goes that says nothing of it in its configuration."""

import pytest

import first_schema
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db import schema
from router.config.file import parse
from router.config.sections import Config
from router.correlator.checks import resolved
from router.events import EventBus
from support.catalogue_rows import Database

HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""


def configured(database: Database, text: str = "") -> Config:
    return parse(HOSPITAL + text, base=database.data)


@pytest.fixture
def old(bare_database: Database) -> Catalogue:
    """A database of the first release, brought up to date."""
    first_schema.make(bare_database.url, bare_database.data)

    def convert(opened: schema.Database) -> None:
        opened.convert("node")

    return open_catalogue(bare_database.url, bare_database.data, EventBus(), convert)


def test_a_new_data_folder_goes_by_the_second_set(bare_database: Database) -> None:
    catalogue = bare_database.open()
    assert resolved(configured(bare_database), catalogue.settings).identity.checks == 2
    catalogue.engine.close_thread()
    again = bare_database.open()
    assert again.settings.checks() == 2
    again.engine.close_thread()


def test_a_data_folder_of_before_keeps_the_first_set_until_a_person_says_otherwise(
    old: Catalogue, bare_database: Database
) -> None:
    config = configured(bare_database)
    assert resolved(config, old.settings).identity.checks == 1
    asked = configured(bare_database, "[identity]\nchecks = 2\n")
    assert resolved(asked, old.settings) is asked
    old.engine.close_thread()


def test_a_person_may_keep_a_new_data_folder_at_the_first_set(bare_database: Database) -> None:
    catalogue = bare_database.open()
    asked = configured(bare_database, "[identity]\nchecks = 1\n")
    assert resolved(asked, catalogue.settings).identity.checks == 1
    catalogue.engine.close_thread()
