"""What runs inside the sandbox: decide again about recorded requests, with a version's own code.

Nothing but the standard library, the packages of the model's lock and `pipelines` is imported. The
two sides talk in frames over stdin and stdout: eight bytes of length, then MessagePack. The first
frame out tells the environment; then each frame in is a block of requests, and each frame out
their decisions; or it asks for the version's plan. This form is kept from one release to the
next: the side that asks may be newer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from pipelines.decisions.records import Stop

LENGTH: Final = 8
PLAN: Final = b"plan"  # asks for the version's plan instead of decisions


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """One recorded request: its bytes, its id, and what chance and people added to it then."""

    request: bytes
    request_id: str
    holdout_share: float
    draw: float
    stop: Stop | None = None


class Job(msgspec.Struct, frozen=True):
    """Where a version's files are, its record as JSON, and where the parameters stand."""

    files: str
    version: bytes
    params: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A holdout whose draw is the one on record: its key is no part of a replay."""

    share: float
    drawn: float

    def draw(self, _: str) -> float:
        """Return the number that was drawn."""
        return self.drawn


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame; None at the end."""
    head = stream.read(LENGTH)
    if len(head) < LENGTH:
        return None
    return stream.read(int.from_bytes(head))


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write one frame."""
    stream.write(len(data).to_bytes(LENGTH) + data)
    stream.flush()


def serve(job: Job, given: IO[bytes], answers: IO[bytes]) -> None:
    """Load the version, tell the environment, and answer blocks of requests until the end."""
    from pipelines import params
    from pipelines.account import plan_file
    from pipelines.decisions.decide import decide
    from pipelines.decisions.load import Standing, load
    from pipelines.model import environment
    from pipelines.records import ModelVersion
    from pipelines.release.version_files import VersionFiles

    files = VersionFiles(Path(job.files))
    record = msgspec.json.decode(job.version, type=ModelVersion)
    model = load(files, record, params.read(Path(job.params)).decide)
    encode = msgspec.json.Encoder(order="sorted").encode
    decoder = msgspec.msgpack.Decoder(list[Asked])
    write_frame(answers, environment.describe(files.lock).canonical())

    def again(asked: Asked) -> bytes:
        holdout = Drawn(asked.holdout_share, asked.draw)
        standing = Standing(model, None, asked.stop)
        return encode(decide(standing, asked.request, asked.request_id, holdout))  # type: ignore[arg-type]

    while (block := read_frame(given)) is not None:
        if block == PLAN:
            write_frame(answers, plan_file.dumps(model.plan))
            continue
        write_frame(
            answers, msgspec.msgpack.encode([again(each) for each in decoder.decode(block)])
        )


def main(words: Sequence[str]) -> None:
    """Serve the job given as three words: the files' folder, the version, the parameters."""
    files, version, params = words
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # what a library prints is no answer
    serve(Job(files, version.encode(), params), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
