"""How sparse the gradient by the logits is on a real head, which tiles stay alive, and what skipping the others costs."""

from __future__ import annotations

from functools import partial
from typing import cast

import numpy as np
import torch

from matropy.nn import linear_cross_entropy
from matropy.reporting import Column, Figure, Series, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_EPS = 2.0**-12
_TILE = 128
_TEMPERATURES = (1.0, 0.6, 0.4, 0.2)
_ORDERS = ("natural", "sorted", "random")
_MASSES = (3e-4, 1e-3)


def measure_sparsity(run: Run) -> Measured:
    """Look at the shipped head at four temperatures, or at a random one at the smoke scale."""
    head = _head(run)
    if head is None:
        return Measured({})
    rows = {
        temperature: run.step(f"sparsity-{temperature}", partial(_measure, head, temperature, run.seed))
        for temperature in _TEMPERATURES
    }
    filtered = run.step("filter-mass", partial(_filter_by_mass, head))
    values = {
        f"{name}_{temperature:g}": value for temperature, row in rows.items() for name, value in row.items()
    }
    prefix = "random" if run.scale == "smoke" else "docs"
    named = {f"{prefix}_{name}": value for name, value in (values | filtered).items()}
    return Measured(named, (_table(rows),), (_figure(rows),))


_Head = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _head(run: Run) -> _Head | None:
    if run.scale == "smoke":
        generator = torch.Generator().manual_seed(run.seed)
        states = 2.5 * torch.randn(256, 16, generator=generator)
        classifier = torch.randn(512, 16, generator=generator) / 4
        return states, classifier, torch.randint(0, 512, (256,), generator=generator)
    path = run.data("cut-cross-entropy", "docs_lm_head.npz")
    if path is None:
        return None
    with np.load(path) as shipped:
        arrays = (torch.from_numpy(shipped[name]) for name in ("E", "C", "targets"))
        states, classifier, targets = arrays
    return states.float(), classifier.float(), targets.long()


def _measure(head: _Head, temperature: float, seed: int) -> dict[str, float]:
    states, classifier, targets = head
    p = (states @ classifier.T / temperature).softmax(1)
    density = float((p >= _EPS).float().mean())
    mean_logit = states.mean(0) @ classifier.T
    p[torch.arange(len(p)), targets] -= 1
    generator = torch.Generator().manual_seed(seed)
    orders = {
        "natural": torch.arange(len(classifier)),
        "sorted": mean_logit.argsort(),
        "random": torch.randperm(len(classifier), generator=generator),
    }
    row = {"density": density}
    for name, order in orders.items():
        row[f"live_{name}"] = float(_live(p[:, order]).float().mean())
    order = orders["sorted"]
    tiles = _live(p[:, order]).repeat_interleave(_TILE, 0).repeat_interleave(_TILE, 1)
    kept = p[:, order] * tiles[: p.shape[0], : p.shape[1]]
    row["error_input"] = _relative(kept @ classifier[order], p @ classifier)
    row["error_weight"] = _relative(kept.T @ states, p[:, order].T @ states)
    return row


def _live(gradient: torch.Tensor) -> torch.Tensor:
    """Tiles in which an entry reaches epsilon."""
    n, v = gradient.shape
    padded = torch.nn.functional.pad(gradient, (0, -v % _TILE, 0, -n % _TILE)).abs()
    return padded.view(-(-n // _TILE), _TILE, -(-v // _TILE), _TILE).amax((1, 3)) >= _EPS


def _relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _filter_by_mass(head: _Head) -> dict[str, float]:
    """Error of the chunked path's filter, through the public function."""
    states, classifier, targets = head

    def gradients(mass: float | None) -> tuple[torch.Tensor, ...]:
        leaves = states.clone().requires_grad_(), classifier.clone().requires_grad_()
        loss = cast(torch.Tensor, linear_cross_entropy(*leaves, targets, filter_mass=mass))
        return torch.autograd.grad(loss, leaves)

    exact, found = gradients(None), {}
    for mass in _MASSES:
        by_input, by_weight = gradients(mass)
        found[f"mass_error_input_{mass:g}"] = _relative(by_input, exact[0])
        found[f"mass_error_weight_{mass:g}"] = _relative(by_weight, exact[1])
    return found


def _table(rows: dict[float, dict[str, float]]) -> Table:
    return Table(
        "Sparsity of the gradient by the logits",
        (
            Column("Temperature"),
            Column("Entries above 2⁻¹²", digits=3),
            Column("Live tiles, natural order", digits=3),
            Column("Sorted by mean logit", digits=3),
            Column("Random order", digits=3),
            Column("Error of ∇E", help="Relative, tiles skipped in sorted order.", digits=2),
            Column("Error of ∇C", digits=2),
        ),
        tuple(
            (
                temperature,
                row["density"],
                *(row[f"live_{order}"] for order in _ORDERS),
                row["error_input"],
                row["error_weight"],
            )
            for temperature, row in rows.items()
        ),
        caption="The head of a small language model: 4,096 held-out positions, 8,192 classes in order of frequency. Tiles have 128"
        " tokens and 128 classes. A temperature below one makes the model more confident.",
    )


def _figure(rows: dict[float, dict[str, float]]) -> Figure:
    temperatures = list(rows)
    return Figure(
        "A confident model leaves tiles dead; the best order depends",
        "temperature",
        "share of tiles alive",
        tuple(
            Series(f"{order} order", temperatures, [row[f"live_{order}"] for row in rows.values()])
            for order in _ORDERS
        ),
        caption="What can be skipped depends on how sure the model is, not on how many classes it has.",
    )
