"""One tester for every measure: an array function, a streaming metric, or both, against an independent reference.

A test module lists its cases and inherits the checks::

    cases = {"cosine": Case(inputs=(rows,), metric=VendiScore, metric_reference=vendi_by_eigenvalues)}


    class TestVendi(MetricTester, cases=cases): ...

The inputs are float64 NumPy arrays (and masks or codes of other types) whose first axis counts the samples. Each
precision sees the inputs rounded to it, and so does the reference, which computes in float64.
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics  # noqa: F401, so that the two processes have it before their first task

TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-5, "bfloat16": 1e-5}
LIBRARIES = {"numpy": ("float64", "float32", "float16"), "torch": ("float64", "float32", "bfloat16")}


@dataclass(frozen=True)
class Case:
    """What is measured on what, and what must come out.

    Attributes
    ----------
    inputs : tuple of arrays
        Arguments; the first axis of each counts the samples.
    function, function_reference : callable
        The array function and its reference, both from the inputs.
    metric, metric_reference : callable
        Makes a fresh metric (or is its class), and the reference from the inputs; numbers or a dict of numbers.
    differentiable : bool
        Whether the function is checked with ``gradcheck`` in its first input.
    tolerance : dict
        Relative, for each precision; absolute below one.
    """

    inputs: tuple[np.ndarray, ...]
    function: Callable[..., Any] | None = None
    function_reference: Callable[..., Any] | None = None
    metric: Callable[[], Any] | None = None
    metric_reference: Callable[..., Any] | None = None
    differentiable: bool = False
    tolerance: Mapping[str, float] = field(default_factory=lambda: TOLERANCE)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0])

    def batchings(self) -> dict[str, list[slice]]:
        """All at once, one by one, and in uneven pieces."""
        cuts = {"one batch": [0, self.samples], "one by one": list(range(self.samples + 1))}
        cuts["uneven"] = sorted({0, 1, self.samples // 2 + 1, self.samples})
        return {name: [slice(*pair) for pair in pairwise(at)] for name, at in cuts.items()}

    def rounded(self, library: str, dtype: str) -> tuple[list[Any], list[np.ndarray]]:
        """The inputs in one library and precision, and what the reference is given: their values in float64."""
        given, exact = [], []
        for array in self.inputs:
            tensor = torch.from_numpy(np.ascontiguousarray(array))
            if array.dtype.kind == "f":
                tensor = tensor.to(getattr(torch, dtype))
                exact.append(tensor.double().numpy())
            else:
                exact.append(array)
            given.append(tensor if library == "torch" else tensor.numpy())
        return given, exact

    def assert_close(self, actual: Any, expected: Any, dtype: str) -> None:
        """Compare numbers, arrays or dicts of them."""
        if isinstance(expected, Mapping):
            assert set(actual) == set(expected)
            for name in expected:
                self.assert_close(actual[name], expected[name], dtype)
            return
        actual = actual.detach().double().numpy() if isinstance(actual, torch.Tensor) else actual
        tolerance = self.tolerance[dtype]
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)

    def run(self, metric: Any, inputs: list[Any], batches: list[slice]) -> Any:
        """Update a metric batch by batch."""
        for batch in batches:
            metric.update(*(array[batch] for array in inputs))
        return metric


class MetricTester:
    """The checks; a subclass whose name starts with ``Test`` gives the cases."""

    cases: Mapping[str, Case]

    def __init_subclass__(cls, cases: Mapping[str, Case]) -> None:
        """Take the cases and drop the checks that none of them asks for."""
        cls.cases = cases
        for check in [name for name in dir(cls) if name.startswith("test_")]:
            if not cls._cases_of(check):
                setattr(cls, check, None)

    @classmethod
    def _cases_of(cls, check: str) -> dict[str, Case]:
        wanted = {"function": "function", "gradient": "differentiable", "metric": "metric"}[
            check.split("_")[1]
        ]
        return {name: case for name, case in cls.cases.items() if getattr(case, wanted)}

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Every check over its cases, libraries, precisions and batchings."""
        names = metafunc.fixturenames
        if "case" not in names:
            return
        cases = cls._cases_of(metafunc.function.__name__)
        metafunc.parametrize("case", cases.values(), ids=cases.keys())
        if "library" in names:
            pairs = [(library, dtype) for library, dtypes in LIBRARIES.items() for dtype in dtypes]
            metafunc.parametrize(("library", "dtype"), pairs)
        elif "dtype" in names:
            metafunc.parametrize("dtype", LIBRARIES["torch"])
        if "batching" in names:
            metafunc.parametrize("batching", ["one batch", "one by one", "uneven"])

    def test_function_equals_reference(self, case: Case, library: str, dtype: str) -> None:
        given, exact = case.rounded(library, dtype)
        actual = case.function(*given)
        case.assert_close(actual, case.function_reference(*exact), dtype)
        assert isinstance(actual, torch.Tensor) == (library == "torch")
        assert str(actual.dtype).removeprefix("torch.") == ("float64" if dtype == "float64" else "float32")

    def test_function_of_a_stack_is_that_of_each(self, case: Case) -> None:
        given, exact = case.rounded("numpy", "float64")
        doubled = [np.stack([array, array]) for array in given]
        expected = case.function_reference(*exact)
        case.assert_close(case.function(*doubled), [expected, expected], "float64")

    def test_gradient(self, case: Case) -> None:
        given, _ = case.rounded("torch", "float64")
        first = given[0].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: case.function(x, *given[1:]), (first,))

    def test_metric_equals_reference(self, case: Case, dtype: str, batching: str) -> None:
        given, exact = case.rounded("torch", dtype)
        metric = case.run(case.metric(), given, case.batchings()[batching])
        case.assert_close(metric.compute(), case.metric_reference(*exact), dtype)

    def test_metric_over_two_processes(self, case: Case, two_processes: TwoProcesses) -> None:
        given, exact = case.rounded("torch", "float64")
        batches = case.batchings()["uneven"]
        # The first process sees all batches but the last, so the two do unequal work.
        for result in two_processes.compute(case.metric(), given, [batches[:-1], batches[-1:]]):
            case.assert_close(result, case.metric_reference(*exact), "float64")

    def test_metric_merges(self, case: Case) -> None:
        given, exact = case.rounded("torch", "float64")
        *first, last = case.batchings()["uneven"]
        left, right = case.run(case.metric(), given, first), case.run(case.metric(), given, [last])
        left.merge_state(right)
        case.assert_close(left.compute(), case.metric_reference(*exact), "float64")

    def test_metric_survives_pickling(self, case: Case) -> None:
        given, exact = case.rounded("torch", "float64")
        *first, last = case.batchings()["uneven"]
        halfway = pickle.loads(pickle.dumps(case.run(case.metric(), given, first)))  # noqa: S301
        case.assert_close(
            case.run(halfway, given, [last]).compute(), case.metric_reference(*exact), "float64"
        )

    def test_metric_forgets_on_reset(self, case: Case) -> None:
        given, exact = case.rounded("torch", "float64")
        batches = case.batchings()
        metric = case.run(case.metric(), given, batches["uneven"][:1])
        metric.reset()
        case.assert_close(
            case.run(metric, given, batches["one batch"]).compute(), case.metric_reference(*exact), "float64"
        )


class TwoProcesses:
    """Two processes of one gloo group, started once and used by all tests."""

    def __enter__(self) -> TwoProcesses:
        self._folder = tempfile.TemporaryDirectory()
        context = multiprocessing.get_context("spawn")
        self._ranks = context.Queue()
        self._ranks.put(0)
        self._ranks.put(1)
        self._pool = ProcessPoolExecutor(2, context, _join_group, (self._ranks, self._folder.name))
        # Starting takes seconds, which belong to no test.
        list(self._pool.map(_meet, range(2)))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._folder.cleanup()

    def compute(self, metric: Any, inputs: list[torch.Tensor], shares: list[list[slice]]) -> Iterator[Any]:
        """What each process computes after it updated a copy of ``metric`` with its share of the batches."""
        # A process that has its task waits for the other in the first collective call, so each gets one.
        arrays = [array.numpy() for array in inputs]
        return iter(self.run(_share_of_group, metric, arrays, shares))

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What a function of an importable module, which calls a collective, returns in each process."""
        return list(self._pool.map(function, *([argument] * 2 for argument in arguments)))


def _join_group(ranks: Any, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=ranks.get(), world_size=2
    )


def _meet(_: int) -> None:
    torch.distributed.barrier()


def _share_of_group(metric: Any, arrays: list[np.ndarray], shares: list[list[slice]]) -> Any:
    metric = copy.deepcopy(metric)  # torch lets both processes have one memory
    for batch in shares[torch.distributed.get_rank()]:
        metric.update(*(torch.from_numpy(array[batch]) for array in arrays))
    result = metric.compute()
    return (
        {name: value.numpy() for name, value in result.items()}
        if isinstance(result, dict)
        else result.numpy()
    )
