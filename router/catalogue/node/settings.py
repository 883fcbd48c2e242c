"""Settings of the data folder itself, whatever the configuration file says."""

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.node import BEGINS_WITH, CHECKS, Setting


class Settings(Rows):
    """Written when the database is made or converted, and read afterwards."""

    def checks(self) -> int:
        """The set of checks ([identity] checks) of a configuration that names none."""
        kept = self._engine.value(Setting.select(Setting.value).where(Setting.name == CHECKS))
        return int(BEGINS_WITH[CHECKS] if kept is None else kept)
