"""The processor and threads of the training environment, set again as far as this machine can."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pipelines.errors import NotThere
from pipelines.model.environment import UNSET
from pipelines.records import Environment

CORE: Final = "OPENBLAS_CORETYPE"
FEATURES: Final = "NPY_DISABLE_CPU_FEATURES"
BLAS: Final = "openblas"
KERNEL: Final = 2  # the word of a BLAS line that names its kernel


@dataclass(frozen=True, slots=True)
class Pins:
    """Variables that the sandbox is given, and the processor features that are missing here."""

    variables: dict[str, str]
    missing: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Say whether this processor can do all that the recorded one did."""
        return not self.missing


def pins(recorded: Environment, here: Collection[str]) -> Pins:
    """Return what brings this machine's arithmetic near the recorded: threads, kernel, features.

    `here` are the features that the same environment finds on this machine without pins. A kernel
    is only asked for on a processor that has the recorded one's: on another it would crash.
    """
    chosen = {name: text for name, text in recorded.threads.items() if text != UNSET}
    then, now = set(recorded.cpu_features), set(here)
    missing, extra = sorted(then - now), sorted(now - then)
    kernels = {line.split()[KERNEL] for line in recorded.blas if BLAS in line}
    if not missing and len(kernels) == 1:
        chosen.setdefault(CORE, kernels.pop())
    if extra:
        chosen.setdefault(FEATURES, " ".join(extra))
    return Pins(chosen, tuple(missing))


def refuse_other_interpreter(recorded: Environment, here: Environment, *, allow: bool) -> bool:
    """Return whether the interpreter is another build than the recorded; refuse it unless allowed.

    A lock pins every package by hash and cannot pin the interpreter, so its file is compared.
    """
    for name in ("python", "python_build", "executable_sha256", "libpython_sha256"):
        observed, expected = getattr(here, name), getattr(recorded, name)
        if observed == expected:
            continue
        if allow:
            return True
        raise NotThere(
            "this machine has another build of Python than the one that trained the model",
            where=name,
            observed=observed,
            expected=expected,
            hint="replay on a machine with that build, or add --other-interpreter",
        )
    return False
