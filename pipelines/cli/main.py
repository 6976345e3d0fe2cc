"""The group of commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from pipelines import quiet
from pipelines.cli import voice
from pipelines.errors import BadRequest, ClewError, Unavailable, did_you_mean

# Command: the module that has it, and what it does. Modules load only when they are asked for.
COMMANDS = {
    "up": ("stack", "start Airflow, MLflow and what belongs to them, until Ctrl-C"),
    "demo": ("stack", "run the main job on the default data through Airflow"),
    "ingest": ("run", "land data and take a snapshot of what the contract accepts"),
    "retrain": ("run", "train, evaluate, check and judge a candidate in a run of its own"),
    "gate": ("run", "show a run's verdict; exit 4 when it blocks"),
    "promote": ("release", "make a passed and approved version the champion"),
    "undo": ("release", "go back to the former champion"),
    "history": ("release", "which version was champion when, by whom, on which verdict"),
    "document": ("document", "write a version's model card or technical documentation"),
    "inventory": ("inventory", "list every version with its tier, validation, use and watch"),
    "serve": ("decide", "serve recorded decisions of the champion over HTTP"),
    "stop": ("decide", "refer everything to people, at once"),
    "resume": ("decide", "decide again after a stop"),
    "pages": ("pages", "serve the record as web pages and as JSON"),
    "apikey": ("decide", "make or revoke a key of the decision service"),
    "score": ("score", "decide about a file of applications, every one recorded"),
    "watch": ("watch", "compare a window of decisions with what the champion was made from"),
    "outcomes": ("watch", "record what became of people decided about"),
    "verify": ("prove", "verify the whole log, or one bundle"),
    "receipt": ("prove", "write a bundle of one decision that anybody can check"),
    "erase": ("erase", "erase what is recorded about a person"),
    "hold": ("keep", "put a person under a legal hold, lift it, or list the holds"),
    "keys": ("keep", "rotate the ledger's keys"),
    "witness": ("keep", "serve a witness of logs, or have a checkpoint cosigned"),
    "timestamp": ("timestamp", "have a checkpoint stamped by an authority (RFC 3161), or check it"),
    "export": ("prove", "write all that is recorded about a person"),
    "explain": ("explain", "write the letter about a decision, as text, page or PDF"),
    "contest": ("contest", "record a person's statement against a decision"),
    "override": ("contest", "record a named person's review of a decision"),
    "contests": ("contest", "list contests without an answer; exit 4 when one is overdue"),
    "trace": ("answer", "show the whole thread of one decision"),
    "replay": ("replay", "decide recorded decisions again and compare bit by bit"),
    "keep": ("replay", "keep the wheels that a model version's replay needs"),
    "what-if": ("what_if", "ask a decision's model about changed values"),
    "counterfactual": ("what_if", "the nearest changes that would have flipped a decision"),
    "incident": ("incident", "a bad model or snapshot: whom it touched, roll back, decide again"),
    "audit": ("audit", "hand a third party what it needs to check a period, and no more"),
    "lineage": ("look", "follow the thread both ways from any id"),
    "flow": ("look", "show the map of the steps"),
    "doctor": ("look", "test this machine and its services"),
    "init": ("look", "prepare the state folder and this checkout"),
    "service": ("production", "become one service of a production stack"),
    "secrets": ("production", "write the files of secrets of a production stack"),
    "task": ("task", "one task of a run, as Airflow calls it"),
}


class Commands(click.Group):
    """Commands by name, each from its module, with the closest name for a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipelines.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            hint = did_you_mean(args[0], COMMANDS) or "clew --help"
            raise BadRequest("no such command", observed=args[0], hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def clew() -> None:
    """Retrain, block, decide, record, watch and answer for models that decide about people."""


def main(words: list[str] | None = None) -> Any:  # noqa: ANN401
    """Run the command line and leave with the error tree's exit code."""
    os.environ.update(quiet.TELEMETRY_OFF | quiet.ONE_THREAD)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # its notes are not the result
    try:
        clew.main(args=words, prog_name="clew", standalone_mode=False)
    except ClewError as error:
        sys.exit(voice.fail(error))
    except click.Abort:
        voice.note("clew: stopped")
        sys.exit(BadRequest.exit_code)
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        command = where.command_path if where else "clew"
        voice.note(f"clew: {error.format_message()}\n  next: {command} --help")
        sys.exit(BadRequest.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on
        sys.exit(0)
    except OSError as error:
        sys.exit(voice.fail(refused_by_system(error)))


def refused_by_system(error: OSError) -> ClewError:
    """Return what to say of a file or a disk that the system did not let through."""
    return Unavailable(
        "the system refused",
        where=str(error.filename or ""),
        observed=error.strerror or type(error).__name__,
        expected="a file and a disk that can be read and written",
        hint="clew doctor",
    )
