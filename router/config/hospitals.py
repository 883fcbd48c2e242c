"""The configuration as each hospital has it, made once, and that of exams whose hospital is not registered."""

from router.config.sections import Config, Hospital, HospitalConfig

UNREGISTERED = "?"
"""The hospital of an exam that nothing says for certain whose it is; no registered one has this name."""
NOBODY = Hospital.model_construct(
    name=UNREGISTERED, USCI="", HospitalCode="", HospitalName="", HospitalBranchCode=""
)  # fmt: skip


class HospitalConfigs:
    """By the hospital's name."""

    def __init__(self, config: Config) -> None:
        self.common = config
        self._known = {one.own.name: one for one in config.hospitals}
        common = {name: getattr(config, name) for name in Config.model_fields}
        self._nobodys = HospitalConfig.model_construct(**common | {"hospital": (NOBODY,)})

    def of(self, hospital: str) -> HospitalConfig:
        """The configuration of that hospital; of one that is not registered the common one, of nobody."""
        return self._known.get(hospital, self._nobodys)

    @property
    def several(self) -> bool:
        """Whether there is more than one hospital, whose numbers may be alike."""
        return len(self._known) > 1

    @property
    def of_shared(self) -> HospitalConfig:
        """The configuration for studies of no certain hospital: the common one, or that of the only hospital."""
        return next(iter(self._known.values())) if len(self._known) == 1 else self._nobodys


def registered(config: HospitalConfig) -> Hospital | None:
    """The hospital of the configuration; None where it is not registered."""
    return None if config.own is NOBODY else config.own


def the_only(config: Config) -> str | None:
    """The name of the only hospital; None where there are several."""
    return config.hospital[0].name if len(config.hospital) == 1 else None


def several_of(config: Config) -> tuple[str, ...]:
    """The names of several hospitals; none where the node serves one alone."""
    return tuple(one.name for one in config.hospital) if len(config.hospital) > 1 else ()
