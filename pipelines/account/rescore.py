"""What runs inside the sandbox: decide again about recorded requests, with a version's own code.

Nothing but the standard library, the packages of the model's lock and `pipelines` is imported. The
two sides talk in frames over stdin and stdout: eight bytes of length, then MessagePack. The first
frame out tells the environment; then each frame in is a block of requests, and each frame out
their decisions; or it asks for the version's plan. This form is kept from one release to the
next: the side that asks may be newer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NoReturn

import msgspec

from pipelines.decisions.records import Stop

if TYPE_CHECKING:
    from pipelines.decisions.load import LoadedModel
    from pipelines.records import Environment

LENGTH: Final = 8
PLAN: Final = b"plan"  # asks for the version's plan instead of decisions


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One recorded request: its bytes, its id, and what chance and people added to it then."""

    request: bytes
    request_id: str
    holdout_share: float
    draw: float
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A holdout whose draw is the one on record: its key is no part of a replay."""

    share: float
    drawn: float

    def draw(self, _: str) -> float:
        """Return the number that was drawn."""
        return self.drawn


def read_frame(stream: IO[bytes], most: int | None = None) -> bytes | None:
    """Return the next frame; None at the end, or where it says to be longer than `most` bytes."""
    head = stream.read(LENGTH)
    length = int.from_bytes(head)
    if len(head) < LENGTH or (most is not None and length > most):
        return None
    return stream.read(length)


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write one frame."""
    stream.write(len(data).to_bytes(LENGTH) + data)
    stream.flush()


def serve(model: LoadedModel, told: Environment, given: IO[bytes], out: IO[bytes]) -> NoReturn:
    """Tell the environment, answer blocks of requests until the end, and end the process.

    At once: taking large libraries apart again costs a third of a second, and nothing is left to
    be written.
    """
    from pipelines.account import plan_file
    from pipelines.decisions.decide import decide
    from pipelines.decisions.load import Standing

    encode = msgspec.json.Encoder(order="sorted").encode
    decoder = msgspec.msgpack.Decoder(list[Asked])
    write_frame(out, told.canonical())

    def again(asked: Asked) -> bytes:
        holdout = Drawn(asked.holdout_share, asked.draw)
        standing = Standing(model, None, asked.stop)
        return encode(decide(standing, asked.request, asked.request_id, holdout))  # type: ignore[arg-type]

    while (block := read_frame(given)) is not None:
        if block == PLAN:
            write_frame(out, plan_file.dumps(model.plan))
            continue
        write_frame(out, msgspec.msgpack.encode([again(each) for each in decoder.decode(block)]))
    os._exit(0)


def answers() -> IO[bytes]:
    """Return where answers go; what a library prints from now on is none."""
    out, sys.stdout = sys.stdout.buffer, sys.stderr
    return out


def main(words: Sequence[str]) -> None:
    """Serve the version given as three words: its files' folder, its record, the parameters."""
    from pipelines import params
    from pipelines.decisions.load import load
    from pipelines.model import environment
    from pipelines.records import ModelVersion
    from pipelines.release.version_files import VersionFiles

    folder, version, settings = words
    out, files = answers(), VersionFiles(Path(folder))
    record = msgspec.json.decode(version, type=ModelVersion)
    model = load(files, record, params.read(Path(settings)).decide)
    serve(model, environment.describe(files.lock), sys.stdin.buffer, out)


if __name__ == "__main__":
    main(sys.argv[1:])
