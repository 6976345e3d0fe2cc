"""Which model decides: the champion, loaded once by content id and swapped whole on promotion.

The registry is asked in a thread of its own, never for a request. A request takes the model that
stands when it comes in and is decided by that one to its end.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.decisions.load import LoadedModel, fetch, load
from pipelines.decisions.record import Origin
from pipelines.errors import ClewError, IntegrityBroken, NotThere, Unavailable
from pipelines.params import DecideParams
from pipelines.ports import Registry
from pipelines.records import Candidate, ModelVersion, Promotion
from pipelines.release import champion, history
from pipelines.release.policy import Policy
from pipelines.release.version_files import VersionFiles, fetched
from pipelines.typed import read_json

LOG = logging.getLogger("clew.service")
UNTIL_FIRST = 1.0  # seconds between two looks while no model decides


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that can decide, and where it came from, as every record names it."""

    model: LoadedModel
    origin: Origin


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen last: a model, or none yet, and what is wrong with the registry.

    With `broken` the registry contradicts itself, and people decide until it is put right.
    """

    loaded: Loaded | None = None
    challenger: LoadedModel | None = None
    trouble: str = ""
    broken: bool = False


def origin_of(version: ModelVersion, files: VersionFiles, promotion: Promotion) -> Origin:
    """Return what every record of a decision by this version names."""
    candidate, policy = read_json(files.record, Candidate), read_json(files.policy, Policy)
    return Origin(
        version=version.version,
        files_sha256=version.files_sha256,
        model_sha256=version.model_sha256,
        commit=version.commit,
        environment_id=candidate.environment_id,
        snapshot_id=candidate.snapshot_id,
        policy=policy.name,
        policy_sha256=policy.sha256,
        promotion_id=promotion.id,
    )


def load_promoted(
    registry: Registry, promotion: Promotion, settings: DecideParams, into: Path
) -> Loaded:
    """Fetch a promoted version, check every digest, and load it.

    Raises IntegrityBroken for a file that was swapped, Unavailable, NotThere, GateRefused.
    """
    version = registry.version(promotion.version)
    files = fetched(registry, version, into)
    return Loaded(load(files, version, settings), origin_of(version, files, promotion))


class InForce:
    """The model that decides, kept up to date with the registry's trail of promotions."""

    def __init__(
        self,
        open_registry: Callable[[], Registry],
        settings: DecideParams,
        temporary: Path,
        challenger: str | None = None,
    ) -> None:
        """`challenger` is a version that runs in shadow."""
        self._open, self._settings, self._temporary = open_registry, settings, temporary
        self._wanted = challenger
        self._registry: Registry | None = None
        self._seen = Seen(trouble="the registry was not asked yet")
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def seen(self) -> Seen:
        """What was seen last: one reference, replaced whole."""
        return self._seen

    def refresh(self) -> None:
        """Ask the registry once, and swap the model where another was promoted."""
        try:
            self._seen = Seen(self._found(), self._challenger())
        except IntegrityBroken as error:
            self._say(error, broken=True)
        except ClewError as error:
            self._say(error, broken=self._seen.broken)
        except Exception as error:  # noqa: BLE001 - a registry may fail in any way it likes
            self._say(Unavailable(f"the registry failed: {type(error).__name__}"), broken=False)

    def _found(self) -> Loaded:
        if self._registry is None:
            self._registry = self._open()
        registry, known = self._registry, self._seen.loaded
        trail = history.checked(registry.promotions())
        if not trail:
            raise NotThere(
                "no version was promoted", where=registry.model_name, hint="clew promote"
            )
        if known is None or known.origin.promotion_id != trail[-1].id:
            with registry.lock():
                trail = champion.settle(registry)
        champion.refuse_moved_alias(registry, trail)
        if known is not None and known.origin.promotion_id == trail[-1].id:
            return known
        self._temporary.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._temporary) as folder:
            into = Path(folder) / "version"
            found = load_promoted(registry, trail[-1], self._settings, into)
        LOG.info("in force: %s version %s", registry.model_name, found.origin.version)
        return found

    def _challenger(self) -> LoadedModel | None:
        if self._wanted is None or self._seen.challenger is not None or self._registry is None:
            return self._seen.challenger
        return fetch(self._registry, self._registry.version(self._wanted), self._settings)

    def _say(self, error: ClewError, *, broken: bool) -> None:
        """Keep the model, and say what is wrong; once, not at every look."""
        if error.what != self._seen.trouble:
            LOG.warning("%s", error.what)
        self._seen = replace(self._seen, trouble=error.what, broken=broken)

    def start(self, seconds: float) -> None:
        """Ask now, and go on asking in a thread; every second at least while no model decides."""
        self.refresh()
        self._thread = threading.Thread(
            target=self._watch, args=(seconds,), name="registry watch", daemon=True
        )
        self._thread.start()

    def _watch(self, seconds: float) -> None:
        while not self._end.wait(seconds if self._seen.loaded else min(seconds, UNTIL_FIRST)):
            self.refresh()

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
