"""Give the log another signing key: what the former one signed holds, what it signs later does not.

The first entry under the new key ends the old one at exactly that size, for both writers take the
same lock: a process that still has the old key cannot follow and ends. Cut short at any step,
`rotate` is called again and finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pipelines.ledger import trust
from pipelines.ledger.entry import Body, Draft
from pipelines.ledger.log import Ledger
from pipelines.ledger.note import Signer, Verifier
from pipelines.ledger.secret_files import create_signer, read_signer, replace_secret
from pipelines.whole_file import sync_folder

KIND: Final = "vkey"
Open = Callable[[Signer, Sequence[Verifier]], Ledger]


def rotate(signer_file: Path, trust_file: Path, open_ledger: Open, told: Body) -> Verifier:
    """Make a signing key, record the change under it, end the former one; return the new key.

    `told` is kept, encrypted, in the entry of the change: who did it, why. The former key's bytes
    are overwritten. Every other process must open the log anew.
    """
    fresh_file = next_file(signer_file)
    own_file = trust.former_file(signer_file)
    former = read_signer(signer_file)
    if not fresh_file.exists():
        create_signer(fresh_file, former.name, former.algorithm)
    fresh = read_signer(fresh_file)
    own = trust.read(own_file)
    if former.verifier != fresh.verifier:
        own = trust.with_key(own, former.verifier)
    public = trust.with_key(trust_file.read_text(), fresh.verifier)
    trust.write(own_file, own)
    trust.write(trust_file, public)
    size = _recorded(open_ledger(fresh, trust.log_keys(own)), fresh, told)
    trust.write(own_file, trust.ended(own, fresh.verifier, size))
    replace_secret(signer_file, fresh.secret() + "\n")
    trust.write(trust_file, trust.ended(public, fresh.verifier, size))
    fresh_file.unlink()
    sync_folder(fresh_file.parent)
    return fresh.verifier


def next_file(signer_file: Path) -> Path:
    """Return where the key to be stands: as long as it is there, a rotation is under way."""
    return signer_file.with_name(f"{signer_file.name}.next")


def _recorded(ledger: Ledger, fresh: Signer, told: Body) -> int:
    """Record the new key in the first entry that it signs; return the size before it."""
    try:
        return ledger.record(Draft(KIND, {"vkey": fresh.verifier.vkey()}, (told,))).index
    finally:
        ledger.close()
        ledger.store.close()
