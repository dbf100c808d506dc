"""Which rows of the input meet which target."""

from __future__ import annotations

from typing import NamedTuple

import torch

from matropy._core._errors import InputError

__all__ = ["KeptRows", "all_rows", "check_targets", "kept_rows", "local_rows", "shifted"]


class KeptRows(NamedTuple):
    """Rows of the flattened input that are worked on, and their targets; ``rows`` is None where all are."""

    rows: torch.Tensor | None
    target: torch.Tensor

    def scatter(self, values: torch.Tensor, shape: tuple[int, ...], shift: int) -> torch.Tensor:
        """Values of these rows in the shape of the target less the shift, zero elsewhere."""
        if self.rows is None:
            return values.reshape(shape)
        whole = values.new_zeros(shape)
        whole.view(-1)[self.rows] = values
        return whole[..., : shape[-1] - shift].contiguous() if shift else whole

    def gather(self, values: torch.Tensor, shift: int) -> torch.Tensor:
        """Of values in the shape of the target less the shift, those of these rows."""
        padded = torch.nn.functional.pad(values, (0, shift)) if shift else values
        flat = padded.reshape(-1)
        return flat if self.rows is None else flat[self.rows]


def shifted(target: torch.Tensor, shift: int) -> torch.Tensor:
    """What each row predicts: the target ``shift`` places on in its own sequence."""
    return target[..., shift:] if shift else target


def kept_rows(target: torch.Tensor, *, shift: int, ignore_index: int, num_classes: int) -> KeptRows:
    """List the rows whose shifted target is not ignored, after :func:`check_targets`."""
    target = target.long()
    check_targets(target, ignore_index=ignore_index, num_classes=num_classes)
    return _ahead(target, shifted(target, shift) != ignore_index, shift)


def local_rows(
    target: torch.Tensor, *, shift: int, ignore_index: int, num_classes: int, first_class: int, here: int
) -> KeptRows:
    """Kept rows whose targets are counted from ``first_class``, and -1 where they are none of the classes ``here``."""
    kept = kept_rows(target, shift=shift, ignore_index=ignore_index, num_classes=num_classes)
    if here == num_classes:
        return kept
    local = kept.target - first_class
    return KeptRows(kept.rows, local.masked_fill((local < 0) | (local >= here), -1))


def check_targets(target: torch.Tensor, *, ignore_index: int, num_classes: int) -> None:
    """Raise ``ValueError`` if a target is no class; the first one is named."""
    bad = ((target < 0) | (target >= num_classes)) & (target != ignore_index)
    if not bool(bad.any()):
        return
    first = tuple(int(index) for index in bad.nonzero()[0])
    place = f"[{', '.join(map(str, first))}]" if first else ""
    raise InputError(
        f"target{place} is {int(target[first])}; it must be a class, 0 to {num_classes - 1}, or ignore_index"
        f" ({ignore_index})"
    )


def all_rows(target: torch.Tensor, shift: int) -> KeptRows:
    """List the rows that have a target ``shift`` places on, whatever it is."""
    return _ahead(target, torch.ones_like(shifted(target, shift), dtype=torch.bool), shift)


def _ahead(target: torch.Tensor, kept: torch.Tensor, shift: int) -> KeptRows:
    if not shift and bool(kept.all()):
        return KeptRows(None, target.reshape(-1))
    padded = torch.nn.functional.pad(kept, (0, shift)) if shift else kept
    rows = padded.reshape(-1).nonzero()[:, 0]
    return KeptRows(rows, target.reshape(-1)[rows + shift])
