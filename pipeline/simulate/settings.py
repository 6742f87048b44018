"""What a simulator plays. Checked here, so that the command and the embedded server refuse the same things."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import ConfigError
from pipeline.simulate import catalogue
from pipeline.simulate.faults import MISHAPS, Latency
from pipeline.simulate.script import Script

_AT_ONCE = Latency()


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """The endpoint to be played.

    `script` is played first; of the other requests the share `faults` meets one of `fault_names`. `wrong` is the share of
    questions answered wrongly on purpose.
    `requests_per_minute` is kept in windows of `window` seconds (shorter ones let in their share of it). With `log`, a JSON
    line is written to that file for each reply served.
    """

    latency: Latency = _AT_ONCE
    faults: float = 0.0
    fault_names: tuple[str, ...] = MISHAPS
    script: Script | None = None
    requests_per_minute: float | None = None
    seed: int = 0
    require_key: str | None = field(default=None, repr=False)
    log: Path | None = None
    wrong: float = 0.15
    window: float = 60.0

    def __post_init__(self) -> None:
        for name, share in (("faults", self.faults), ("wrong", self.wrong)):
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{name} {share}: give a share from 0 to 1")
        for name in self.fault_names:
            fault = catalogue.find(name)
            if fault is None:
                raise ConfigError(f"faults: {catalogue.unknown(name)}")
            if fault.needs:
                raise ConfigError(f"faults: {name} needs {', '.join(fault.needs)}, which only a script can give")
        if not 0.0 < self.window <= 3600.0:
            raise ConfigError(f"window {self.window}: give seconds, more than 0 and at most 3600")
        if self.requests_per_minute is not None and not self.requests_per_minute > 0:
            raise ConfigError(f"requests_per_minute {self.requests_per_minute}: give a number above 0, or none for no limit")
        if self.require_key is not None and not self.require_key:
            raise ConfigError("require_key is empty: give the key that clients must send, or none to take any")

    @property
    def requests_per_window(self) -> int | None:
        if self.requests_per_minute is None:
            return None
        return max(1, round(self.requests_per_minute * self.window / 60.0))
