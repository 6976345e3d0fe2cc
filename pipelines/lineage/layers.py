"""Where things stand in the picture: a layered drawing of a directed graph, top to bottom.

After Sugiyama, Tagawa and Toda (1981): ranks by longest path, long edges cut at each rank they
pass, order within a rank by the mean place of the neighbours (barycentre), swept to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

Node = str
Edge = tuple[Node, Node]
Point = tuple[float, float]
BEND = "\0bend"
SWEEPS = 8


def place(
    nodes: Sequence[Node], edges: Sequence[Edge], *, wide: float, bend: float, tall: float
) -> tuple[dict[Node, Point], dict[Edge, list[Point]]]:
    """Return the middle of each node, and the points that each edge runs through.

    `wide` is a node's width with its margin, `bend` that of a passing edge, `tall` a rank's height.
    """
    rank = ranks(nodes, edges)
    chains = {edge: _chain(edge, rank) for edge in edges}
    ordered = _ordered(nodes, rank, chains)
    at: dict[Node, Point] = {}
    for number, row in ordered.items():
        widths = [bend if name.startswith(BEND) else wide for name in row]
        left = -sum(widths) / 2
        for name, width in zip(row, widths, strict=True):
            at[name] = (left + width / 2, number * tall)
            left += width
    lines = {edge: [at[name] for name in chain] for edge, chain in chains.items()}
    return {name: at[name] for name in nodes}, lines


def ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[Node, int]:
    """Return each node's rank: below all that lead to it, but for edges that close a circle.

    Each stands as low as what it leads to allows, so that lines are short.
    """
    after: dict[Node, list[Node]] = {name: [] for name in nodes}
    waits_for = dict.fromkeys(nodes, 0)
    for source, target in edges:
        after[source].append(target)
        waits_for[target] += 1
    rank, open_, done = dict.fromkeys(nodes, 0), dict.fromkeys(nodes), list[Node]()
    ready = [name for name in nodes if not waits_for[name]]
    while open_:
        name = ready.pop() if ready else next(iter(open_))
        del open_[name]
        done.append(name)
        for target in after[name]:
            if target in open_:
                rank[target] = max(rank[target], rank[name] + 1)
                waits_for[target] -= 1
                if not waits_for[target]:
                    ready.append(target)
    for name in reversed(done):
        nearest = min((rank[each] for each in after[name]), default=0) - 1
        rank[name] = max(rank[name], nearest)
    return rank


def _chain(edge: Edge, rank: Mapping[Node, int]) -> list[Node]:
    """Return an edge as the nodes it runs through: its ends, and a bend on each rank between."""
    source, target = edge
    step = 1 if rank[target] >= rank[source] else -1
    between = range(rank[source] + step, rank[target], step)
    return [source, *(f"{BEND}\0{number}\0{source}\0{target}" for number in between), target]


def _ordered(
    nodes: Sequence[Node], rank: Mapping[Node, int], chains: Mapping[Edge, Sequence[Node]]
) -> dict[int, list[Node]]:
    rows: dict[int, list[Node]] = {}
    for name in nodes:
        rows.setdefault(rank[name], []).append(name)
    beside: dict[Node, dict[int, list[Node]]] = {}
    row_of = dict(rank)
    for chain in chains.values():
        for name in chain[1:-1]:
            row_of[name] = int(name.split("\0")[2])
            rows.setdefault(row_of[name], []).append(name)
        for one, other in pairwise(chain):
            beside.setdefault(one, {}).setdefault(row_of[other], []).append(other)
            beside.setdefault(other, {}).setdefault(row_of[one], []).append(one)
    for sweep in range(SWEEPS):
        downward = sweep % 2 == 0
        numbers = sorted(rows, reverse=not downward)
        for former, number in pairwise(numbers):
            _sort(rows[number], rows[former], beside, former)
    return rows


def _sort(
    row: list[Node],
    fixed: Sequence[Node],
    beside: Mapping[Node, Mapping[int, Sequence[Node]]],
    fixed_rank: int,
) -> None:
    """Order a row by the mean place of its neighbours in the row that stays."""
    at = {name: number / max(1, len(fixed) - 1) for number, name in enumerate(fixed)}
    now = {name: number / max(1, len(row) - 1) for number, name in enumerate(row)}

    def middle(name: Node) -> float:
        places = [at[each] for each in beside.get(name, {}).get(fixed_rank, ()) if each in at]
        return sum(places) / len(places) if places else now[name]

    row.sort(key=middle)
