"""What a training costs: CPU time, and energy, measured where the machine tells it.

Linux tells the energy of whole processor packages (RAPL, through powercap) to whoever may read
it, which is often root alone. It counts whatever else runs meanwhile. Elsewhere energy is
estimated: CPU time of this process times a wattage that `params.yaml` states. Memory, disks,
cooling and the making of the machine are in neither.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipelines.records import Record

POWERCAP = Path("/sys/class/powercap")
PACKAGES = "intel-rapl:?"  # one for each package; what is inside one has a second colon
JOULES_A_KWH = 3.6e6
MICRO = 1e-6
Counters = dict[str, tuple[int, int]]  # by package: micro-joules, and where the counter wraps


class Energy(Record, frozen=True):
    """The cost of one training. It differs from run to run, so nothing is bound to it.

    `watts` is the power of one busy core that an estimate rests on; none where it was measured.
    """

    cpu_seconds: float
    wall_seconds: float
    kwh: float
    method: Literal["measured (RAPL, whole packages)", "estimated (CPU time)"]
    watts: float | None


@dataclass(frozen=True)
class Meter:
    """Clocks and counters, read when the meter is made and again by `read`."""

    watts: float
    powercap: Path = POWERCAP
    cpu: float = field(default_factory=time.process_time)
    wall: float = field(default_factory=time.perf_counter)
    counters: Counters = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counters", packages(self.powercap))

    def read(self) -> Energy:
        """Return what was used since the meter was made."""
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        used = joules(self.counters, packages(self.powercap))
        if used is not None:
            return Energy(
                cpu_seconds=cpu,
                wall_seconds=wall,
                kwh=used / JOULES_A_KWH,
                method="measured (RAPL, whole packages)",
                watts=None,
            )
        return Energy(
            cpu_seconds=cpu,
            wall_seconds=wall,
            kwh=cpu * self.watts / JOULES_A_KWH,
            method="estimated (CPU time)",
            watts=self.watts,
        )


def packages(powercap: Path) -> Counters:
    """Return the energy counters of all packages; none where one of them cannot be read."""
    found: Counters = {}
    try:
        for folder in sorted(powercap.glob(PACKAGES)):
            used, wraps = (
                int((folder / name).read_text()) for name in ("energy_uj", "max_energy_range_uj")
            )
            found[folder.name] = (used, wraps)
    except (OSError, ValueError):
        return {}
    return found


def joules(before: Counters, after: Counters) -> float | None:
    """Return the energy between two readings, or None without the same counters in both.

    A counter that wrapped is read as having wrapped once.
    """
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for name, (then, wraps) in before.items():
        now = after[name][0]
        used += now - then if now >= then else now + wraps - then
    return used * MICRO
