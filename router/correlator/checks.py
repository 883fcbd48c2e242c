"""The set of checks that the node uses: the configuration's, else the data folder's."""

from router.catalogue.node.settings import Settings
from router.config.sections import Config


def resolved(config: Config, settings: Settings) -> Config:
    """The configuration with `identity.checks` set to 1 or 2, for everything that uses the opened database.

    A data folder that an earlier version began stays with the first set until a person writes `[identity] checks = 2`.
    """
    if config.identity.checks is not None:
        return config
    identity = config.identity.model_copy(update={"checks": settings.checks()})
    return config.model_copy(update={"identity": identity})
