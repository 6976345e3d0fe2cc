"""Principal reasons in the contract's words: what moved a person's margin away from approval."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.contract import Column, Contract
from pipelines.decisions.records import Outcome, Reason
from pipelines.model.contributions import Explainer, principal
from pipelines.model.plan import Row


@dataclass(frozen=True)
class Reasons:
    """The reasons that one model version gives."""

    explainer: Explainer
    columns: dict[str, Column]
    barred: frozenset[str]
    most: int

    def of(self, row: Row, outcome: Outcome) -> tuple[Reason, ...]:
        """Return up to `most` reasons, the strongest first.

        For a decline or a referral, what lowered the margin below the reference's; for an
        approval, what raised it.
        """
        found = self.explainer.contributions(row)
        lowering = outcome != "approve"
        named = principal(found, self.barred, self.most, lowering=lowering)
        return tuple(self._reason(name, share) for name, share in named)

    def _reason(self, name: str, share: float) -> Reason:
        column = self.columns[name]
        return Reason(
            column=name,
            words=column.words or column.description or name,
            reg_b_code=column.reg_b_code,
            contribution=share.hex(),
        )


def barred(contract: Contract) -> frozenset[str]:
    """Return the columns that can be no reason: the protected ones, whatever reads them."""
    return frozenset(column.name for column in contract.by_role("protected"))


def reasons(explainer: Explainer, contract: Contract, most: int) -> Reasons:
    """Return the reasons of a model whose inputs are columns of the contract."""
    columns = {column.name: column for column in contract.columns}
    return Reasons(explainer, columns, barred(contract), most)
