"""What no machine knows of a system: the `documentation` section of `params.yaml`.

What is left empty is shown as MISSING in every document, and never made up.
"""

from __future__ import annotations

import msgspec


class ResidualRisk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A risk that remains, the named person who accepted it, and why."""

    risk: str
    accepted_by: str
    because: str


class Documentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What people have to say themselves, in plain text; Markdown and HTML in it mean nothing.

    After Annex IV and Article 13 of Regulation (EU) 2024/1689. `provider` and `contact`: who
    answers for the system. `purpose`: what it is for; `users`, `affected`: who works with it and
    whom it decides about; `misuse`: the foreseeable kinds. `oversight`: what people do to oversee
    it; `hardware`, `interaction`, `placed_on_market`, `interface`: where and with what it runs, in
    which form it is handed over, what its users see. `labelling` and `data_origin`: how the
    training data came about. `third_party`: trained elsewhere, or tools of others. `limitations`:
    known ones. `rationale`: why it was designed so; `metrics_because`: why these figures.
    `standards` applied, and the `declaration` of conformity. `monitoring`: who looks at the watch.
    """

    provider: str = ""
    contact: str = ""
    deployer: str = ""
    purpose: str = ""
    users: str = ""
    affected: str = ""
    misuse: str = ""
    oversight: str = ""
    interaction: str = ""
    hardware: str = ""
    placed_on_market: str = ""
    interface: str = ""
    data_origin: str = ""
    labelling: str = ""
    third_party: str = ""
    limitations: str = ""
    rationale: str = ""
    metrics_because: str = ""
    cybersecurity: str = ""
    standards: str = ""
    declaration: str = ""
    monitoring: str = ""
    residual_risks: tuple[ResidualRisk, ...] = ()
