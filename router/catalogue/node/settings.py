"""Settings of the data folder itself, whatever the configuration file says."""

from router.catalogue.db.engine import Engine
from router.catalogue.db.tables.node import BEGINS_WITH, CHECKS, Setting


class Settings:
    """Written when the database is made or converted, and read afterwards."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def checks(self) -> int:
        """The set of checks ([identity] checks) of a configuration that names none."""
        rows = self._engine.run(Setting.select(Setting.value).where(Setting.name == CHECKS).tuples())
        return int(rows[0][0] if rows else BEGINS_WITH[CHECKS])
