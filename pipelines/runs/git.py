"""Git, for runs: worktrees at pinned commits, and one reference a run that only moves forward."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import BadRequest, NotThere, Unavailable
from pipelines.layout import RUN_REFS

NOBODY = "0" * 40
IDENTITY = {
    "GIT_AUTHOR_NAME": "clew",
    "GIT_AUTHOR_EMAIL": "clew@localhost",
    "GIT_COMMITTER_NAME": "clew",
    "GIT_COMMITTER_EMAIL": "clew@localhost",
}


@dataclass(frozen=True, slots=True)
class Git:
    """Git commands in one checkout. `remote` shares run references between machines."""

    root: Path
    remote: str | None = None

    def __call__(self, *words: str) -> str:
        """Run one git command and return what it printed. Raises Unavailable when it failed."""
        import os

        done = subprocess.run(  # noqa: S603
            ["git", *words],  # noqa: S607
            cwd=self.root,
            env=os.environ | IDENTITY,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(
                f"git {words[0]} failed",
                where=str(self.root),
                observed=done.stderr.strip()[-300:],
                hint="clew doctor",
            )
        return done.stdout.strip()

    def resolve(self, name: str) -> str:
        """Return the full commit id that `name` stands for. Raises NotThere."""
        try:
            return self("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        except Unavailable:
            raise NotThere("no such commit", observed=name, hint="git log --oneline") from None

    def tip(self, run_id: str) -> str | None:
        """Return the newest commit of a run, None when there is no such run."""
        if self.remote:
            self("fetch", "--quiet", self.remote, f"+{RUN_REFS}/*:{RUN_REFS}/*")
        return self("for-each-ref", "--format=%(objectname)", f"{RUN_REFS}/{run_id}") or None

    def runs(self) -> list[str]:
        """Return the id of every run that is here."""
        return self("for-each-ref", "--format=%(refname:lstrip=3)", f"{RUN_REFS}/").split()

    def uncommitted(self, *paths: str) -> list[str]:
        """Return what of some paths stands otherwise in this checkout than in its head commit."""
        changed = self("diff", "--name-only", "HEAD", "--", *paths)
        new = self("ls-files", "--others", "--exclude-standard", "--", *paths)
        return sorted({*changed.splitlines(), *new.splitlines()})

    def advance(self, run_id: str, new: str, old: str | None) -> None:
        """Move a run's reference from `old` to `new`; somebody else's move in between fails."""
        name = f"{RUN_REFS}/{run_id}"
        self("update-ref", name, new, old or NOBODY)
        if self.remote:
            expected = f"--force-with-lease={name}:{old or ''}"
            self("push", "--quiet", expected, self.remote, f"{new}:{name}")

    def commit(self, paths: list[str], message: str) -> str:
        """Commit `paths` as they stand and return the commit; the head's when nothing changed."""
        present = [path for path in paths if (self.root / path).exists()]
        self("add", "--force", "--", *present)
        if self("diff", "--cached", "--name-only"):
            self("commit", "--quiet", "--no-verify", "--message", message)
        return self("rev-parse", "HEAD")

    def step_after(self, commit: str, tip: str, step: str) -> str | None:
        """Return the child of `commit` on the way to `tip` that `step` made, if there is one."""
        lines = self("log", "--format=%H %P", "--grep", f"^Clew-Step: {step}$", f"{commit}..{tip}")
        for line in lines.splitlines():
            child, *parents = line.split()
            if commit in parents:
                return child
        return None

    def run_of(self, commit: str) -> str | None:
        """Return the id of the run that a commit belongs to; None when no run made it."""
        told = "--format=%(trailers:key=Clew-Run,valueonly,separator=)"
        return self("log", "-1", told, "--grep", "^Clew-Run: ", commit) or None

    def contains(self, commit: str, tip: str) -> bool:
        """Return whether `tip` is `commit` or comes after it."""
        try:
            self("merge-base", "--is-ancestor", commit, tip)
        except Unavailable:
            return False
        return True


def run_name(text: str) -> str:
    """Return `text` as a run id: what a git reference and a folder may be called."""
    kept = "".join(char if char.isalnum() or char in "-_" else "-" for char in text).strip("-")
    if not kept:
        raise BadRequest("not a run id", observed=text, expected="letters, digits, - and _")
    return kept[:100]
