"""Measuring the hidden states of a batch while the model runs."""

import numpy as np
import pytest
import torch

from matropy.evaluation import _measuring
from matropy.evaluation._measuring import SPECTRUM_LENGTH, BatchMeter, Meter
from matropy.metrics._representation_statistics import REPRESENTATION_METRICS, representation_statistics

SPANS = [(0, 90), (1, 90), (0, 70)]
FEW = ["matrix_entropy", "anisotropy"]
AT_LAYER = {0: FEW, 1: FEW, 2: [], 3: list(REPRESENTATION_METRICS)}


def hidden_states(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(3, 90, 100, generator=generator) * 0.99 ** torch.arange(100) + 0.2).to(dtype)


def measured(layers=AT_LAYER, spans=SPANS, dtype=torch.float32):
    with Meter(torch.device("cpu"), REPRESENTATION_METRICS, AT_LAYER) as meter:
        batch = BatchMeter(meter, spans)
        for layer in layers:
            states = hidden_states(layer, dtype)[: len(spans)]
            batch.add(layer, states)
            states.zero_()  # as a model may that works in place
        return batch.finish()


@pytest.mark.parametrize("waiting", [0, 2 * 3 * 90 * 100 * 4, 2**25])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_the_statistics_of_every_text_alone(monkeypatch, waiting, dtype):
    monkeypatch.setattr(_measuring, "_WAITING_BYTES", waiting)
    for (layer, metrics), found in zip(AT_LAYER.items(), measured(dtype=dtype), strict=True):
        for row, (start, stop) in enumerate(SPANS):
            text = hidden_states(layer, dtype)[row, start:stop].float()
            alone = representation_statistics(text.double())
            for column, name in enumerate(REPRESENTATION_METRICS):
                value = found.values[row, column]
                if name in metrics:
                    assert value == pytest.approx(float(alone.values[name]), rel=2e-5), (layer, row, name)
                else:
                    assert np.isnan(value)
            np.testing.assert_allclose(found.mean[row], text.mean(0), atol=1e-5)
            spectrum = alone.spectrum[:SPECTRUM_LENGTH] if "matrix_entropy" in metrics else np.zeros(64)
            np.testing.assert_allclose(found.spectrum[row], spectrum, atol=1e-6)
        assert found.finite.all()
        assert not found.degenerate.any()


def test_order_and_waiting_change_no_bit(monkeypatch):
    together = measured()
    monkeypatch.setattr(_measuring, "_WAITING_BYTES", 0)
    for one, other in zip(together, measured(), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.spectrum, other.spectrum)


def test_a_single_text_is_measured_too():
    (found,) = measured(layers=[3], spans=[(0, 90)])
    assert found.values.shape == (1, len(REPRESENTATION_METRICS))
    assert np.isfinite(found.values).all()


def test_bad_texts_are_flagged_and_leave_their_neighbors_alone():
    states = hidden_states(0)
    good = representation_statistics(states[0].double()).values["matrix_entropy"]
    states[1, 5, 7] = torch.nan
    states[2] = 1.0
    with Meter(torch.device("cpu"), FEW, {0: FEW}) as meter:
        batch = BatchMeter(meter, [(0, 90)] * 3)
        batch.add(0, states)
        (found,) = batch.finish()
    assert found.finite.tolist() == [True, False, True]
    assert found.degenerate.tolist() == [False, True, True]
    assert found.values[0, 0] == pytest.approx(float(good), rel=1e-5)


def test_seconds_are_those_of_measuring(monkeypatch):
    clock = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr(_measuring.time, "perf_counter", lambda: next(clock))
    with Meter(torch.device("cpu"), FEW, {0: FEW}) as meter:
        with meter.timed():
            pass
        assert meter.seconds == 2.5
        with pytest.raises(ValueError, match="counted too"), meter.timed():
            raise ValueError("counted too")
        assert meter.seconds == 3.5
        assert meter.map(str, [1, 2, 3]) == ["1", "2", "3"]
