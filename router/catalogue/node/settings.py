"""Settings of the data folder itself, whatever the configuration file says."""

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.node import BEGINS_WITH, CHECKS, Setting


class Settings(Rows):
    """Written when the database is made or converted, and read afterwards."""

    def checks(self) -> int:
        """The set of checks ([identity] checks) of a configuration that names none."""
        rows = self._engine.rows(Setting.select(Setting.value).where(Setting.name == CHECKS))
        return int(rows[0][0] if rows else BEGINS_WITH[CHECKS])
