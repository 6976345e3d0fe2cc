"""Pictures of the plots that `flow` describes, for where CSV is not drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines import flow

WIDTH, HEIGHT, DOTS = 7.0, 4.5, 110


def draw(folder: Path) -> tuple[Path, ...]:
    """Draw each described CSV of a folder as a PNG beside it; return the pictures."""
    described: Any = flow.dvc_stages()["plots"]
    made = []
    for plot in described:
        for name, how in plot.items():
            source = folder / Path(name).name
            if source.is_file():
                made.append(_picture(source, how))
    return tuple(made)


def _picture(source: Path, how: dict[str, str]) -> Path:
    import pandas as pd
    from matplotlib.figure import Figure

    table = pd.read_csv(source)
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    x, y = table[how["x"]], table[how["y"]]
    match how.get("template", "linear"):
        case "bar_horizontal":
            axes.barh(y.astype(str).map(_plain), x)
        case "scatter":
            axes.scatter(x, y)
        case _:
            axes.plot(x, y)
    axes.set(title=how["title"], xlabel=how["x"], ylabel=how["y"])
    target = source.with_suffix(".png")
    figure.savefig(target, dpi=DOTS, metadata={"Software": None})
    return target


def _plain(text: str) -> str:
    """Keep a group's name from being read as a formula."""
    return text.replace("$", r"\$")
