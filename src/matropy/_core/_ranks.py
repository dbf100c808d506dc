"""The processes that share a job: one, or the ranks of an initialized torch.distributed group."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matropy._core._errors import InputError

__all__ = ["Ranks", "current_ranks", "join_launched_group"]


@dataclass(frozen=True)
class Ranks:
    """One process among those that work together.

    Attributes
    ----------
    rank, size : int
        Which of how many; rank 0 gathers and writes.
    group : object
        The group that passes Python objects; None for a lone process.
    """

    rank: int = 0
    size: int = 1
    group: Any = None

    def gather(self, item: Any) -> list[Any]:
        """Everybody's item at rank 0, in the order of ranks; elsewhere an empty list."""
        if self.size == 1:
            return [item]
        import torch.distributed as dist

        items: list[Any] | None = [None] * self.size if self.rank == 0 else None
        dist.gather_object(item, items, dst=0, group=self.group)
        return items or []

    def broadcast(self, item: Any) -> Any:
        """Rank 0's item, everywhere."""
        if self.size == 1:
            return item
        import torch.distributed as dist

        items = [item]
        dist.broadcast_object_list(items, src=0, group=self.group)
        return items[0]

    def go_on_together(self, problem: Exception | None) -> None:
        """Stop every process when rank 0 has a problem."""
        told = self.broadcast(None if problem is None else str(problem))
        if problem is not None:
            raise problem
        if told is not None:
            raise InputError(told)


def current_ranks() -> Ranks:
    """The ranks of the initialized group, or a lone process."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return Ranks()
    return Ranks(dist.get_rank(), dist.get_world_size(), _object_group(dist.group.WORLD))


@lru_cache(maxsize=1)
def _object_group(world: Any) -> Any:
    """A group over the CPU, where objects travel, whatever the group of the model uses."""
    import torch.distributed as dist

    return world if dist.get_backend(world) == "gloo" else dist.new_group(backend="gloo")


def join_launched_group() -> Ranks:
    """Join the processes that ``torchrun`` or ``accelerate launch`` started with this one, if they did.

    On a machine with accelerators each process takes the one of its local rank.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch
        import torch.distributed as dist

        if not dist.is_initialized():
            dist.init_process_group("gloo")
        if torch.accelerator.is_available():
            torch.accelerator.set_device_index(int(os.environ.get("LOCAL_RANK", "0")))
    return current_ranks()
