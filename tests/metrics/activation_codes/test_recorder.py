"""The recorder on networks whose codes are known."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from matropy.metrics import ActivationRecorder


def identity_network():
    """One hidden layer, W = I, b = 0."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
        model[0].bias.zero_()
    return model


def record(model, *batches, **options):
    with ActivationRecorder(model, **options) as recorder, torch.no_grad():
        for batch in batches:
            model(batch)
    return recorder


def hooks_of(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.modules()
    )


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


def inputs(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


QUADRANTS = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [-1.0, -2.0], [1.0, -2.0]])


def test_four_quadrants_have_four_codes():
    book = record(identity_network(), QUADRANTS).codes
    assert book.to_bits().astype(int).tolist() == [[1, 1], [0, 1], [0, 0], [1, 0]]
    assert book.redundancy() == 0


def test_two_inputs_a_quadrant_give_one_half():
    book = record(identity_network(), QUADRANTS, 3 * QUADRANTS).codes
    assert len(book) == 8
    assert book.redundancy() == 0.5
    assert book.collision_share() == 1


@pytest.mark.parametrize("site", ["pre", "post"])
def test_exactly_zero_is_off_and_the_threshold_is_strict(site):
    model = identity_network()
    points = torch.tensor([[0.0, -0.0], [1.0, 0.5], [1.5, 0.5]])
    assert record(model, points, site=site).codes.to_bits().astype(int).tolist() == [[0, 0], [1, 1], [1, 1]]
    above_one = record(model, points, site=site, threshold=1.0).codes
    assert above_one.to_bits().astype(int).tolist() == [[0, 0], [0, 0], [1, 0]]


@pytest.mark.parametrize(
    "activation", [nn.ReLU(inplace=True), nn.GELU(), nn.SiLU(), nn.LeakyReLU(), nn.Tanh()]
)
def test_the_sign_of_what_goes_in_even_if_it_is_overwritten(activation):
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 70), copy.deepcopy(activation)))
    x = inputs(20, 5)
    np.testing.assert_array_equal(record(model, x).codes.to_bits(), (model[0](x) > 0).numpy())


def test_what_comes_out_is_read_at_the_other_site():
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 70), nn.Sigmoid()))
    x = inputs(20, 5)
    np.testing.assert_array_equal(
        record(model, x, site="post", threshold=0.6).codes.to_bits(), (model(x) > 0.6).numpy()
    )
    assert record(model, x, site="post").codes.always_on().all()


class TwoLayers(nn.Module):
    """Batch normalization, dropout, one activation used twice, one functional activation."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 9), nn.Linear(9, 7), nn.Linear(7, 3)
        self.norm, self.drop = nn.BatchNorm1d(9), nn.Dropout(0.5)
        self.act = nn.ReLU()
        self.out = nn.SiLU()
        self.fails = False

    def forward(self, x):
        x = self.drop(self.act(self.norm(self.first(x))))
        if self.fails:
            raise RuntimeError("in the middle")
        x = self.act(self.second(x))
        return self.out(functional.relu(self.last(x)) - 0.1)


def test_a_module_that_is_used_twice_gives_both_parts():
    model = seeded(TwoLayers).eval()
    x = inputs(30, 6)
    recorder = record(model, x[:10], x[10:])
    before = model.norm(model.first(x))
    between = model.second(before.relu())
    last = functional.relu(model.last(between.relu())) - 0.1
    expected = {"act": torch.cat([before, between], 1) > 0, "out": last > 0}
    assert list(recorder.layer_codes) == ["act", "out"]
    for name, bits in expected.items():
        np.testing.assert_array_equal(recorder.layer_codes[name].to_bits(), bits.numpy())
    np.testing.assert_array_equal(recorder.codes.to_bits(), torch.cat(list(expected.values()), 1).numpy())


def test_layers_can_be_named_in_any_order():
    model = seeded(TwoLayers).eval()
    recorder = record(model, inputs(8, 6), layers=["last", "norm"], site="post")
    assert [(name, book.n_bits) for name, book in recorder.layer_codes.items()] == [("last", 3), ("norm", 9)]
    assert recorder.codes.n_bits == 12


def test_outputs_are_the_same_to_the_bit_and_nothing_is_left():
    model = seeded(TwoLayers).train()
    model.drop.eval()  # a part that was in evaluation mode stays so
    modes = [module.training for module in model.modules()]
    statistics = model.norm.running_mean.clone()
    x = inputs(30, 6)
    expected = copy.deepcopy(model).eval()(x)
    with ActivationRecorder(model) as recorder:
        assert not any(module.training for module in model.modules())
        assert torch.equal(model(x), expected)
    assert hooks_of(model) == 0
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model.norm.running_mean, statistics)
    assert len(recorder.codes) == 30


def test_gradients_pass_through():
    model = identity_network()
    with ActivationRecorder(model):
        model(QUADRANTS).sum().backward()
    assert model[0].weight.grad is not None


def test_a_call_that_fails_leaves_no_code_and_no_hook():
    model = seeded(TwoLayers).train()
    x = inputs(10, 6)
    recorder = ActivationRecorder(model)

    def run():
        with recorder:
            model(x)
            model.fails = True
            model(x)

    with pytest.raises(RuntimeError, match="in the middle"):
        run()
    assert hooks_of(model) == 0
    assert all(module.training for module in model.modules())
    assert len(recorder.codes) == 10
    model.fails = False
    with recorder:
        model(x)
    assert [len(book) for book in recorder.layer_codes.values()] == [20, 20]


def test_hooks_of_others_stay():
    model = identity_network()
    model[1].register_forward_hook(lambda *_: None)
    record(model, QUADRANTS)
    assert hooks_of(model) == 1


def test_codes_of_convolutions_are_flattened_or_taken_by_position():
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()))
    x = inputs(5, 1, 6, 8)
    bits = (model[0](x) > 0).numpy()
    np.testing.assert_array_equal(record(model, x).codes.to_bits(), bits.reshape(5, 3 * 4 * 6))
    np.testing.assert_array_equal(
        record(model, x, rows="position").codes.to_bits(), bits.reshape(5 * 3 * 4, 6)
    )


def test_tokens_are_positions():
    model = seeded(lambda: nn.Sequential(nn.Linear(4, 66), nn.GELU()))
    x = inputs(3, 7, 4)
    book = record(model, x, x[:1, :2], rows="position").codes
    assert (len(book), book.n_bits) == (23, 66)
    np.testing.assert_array_equal(book.to_bits()[:21], (model[0](x) > 0).numpy().reshape(21, 66))


def test_the_model_itself_may_be_the_activation():
    recorder = record(nn.ReLU(), QUADRANTS)
    assert list(recorder.layer_codes) == [""]
    assert recorder.codes.redundancy() == 0


@pytest.mark.parametrize("rows", ["example", "position"])
def test_one_axis(rows):
    book = record(nn.ReLU(), torch.tensor([1.0, -1.0, 2.0]), rows=rows).codes
    assert book.to_bits().shape == ((3, 1) if rows == "example" else (1, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions(dtype):
    x = inputs(9, 70).to(dtype)
    np.testing.assert_array_equal(record(nn.ReLU(), x).codes.to_bits(), (x > 0).numpy())


def test_parts_called_alone_are_not_recorded():
    model = identity_network()
    with ActivationRecorder(model) as recorder:
        model[1](QUADRANTS)
        model(QUADRANTS)
        model[1](QUADRANTS)
    assert len(recorder.codes) == 4


def test_inputs_by_keyword():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(input=x)

    assert len(record(Keyword(), QUADRANTS).codes) == 4


def test_activations_of_transformers_are_found():
    """By the module that their classes come from, which is not imported for that."""

    class NewGELUActivation(nn.GELU):
        __module__ = "transformers.activations"

    model = nn.Sequential(nn.Linear(2, 3), NewGELUActivation(), nn.Softmax(-1))
    assert list(record(model, QUADRANTS).layer_codes) == ["1"]


def test_an_empty_loader_is_an_error():
    for batches in ((), (torch.zeros(0, 2),)):
        recorder = record(identity_network(), *batches)
        with pytest.raises(ValueError, match=r"nothing was recorded.*an empty loader"):
            recorder.codes  # noqa: B018
        with pytest.raises(ValueError, match="nothing was recorded"):
            recorder.layer_codes  # noqa: B018


def test_without_an_activation_module_the_error_lists_what_was_tried():
    model = nn.Sequential(nn.Linear(2, 2), nn.Softmax(-1))
    with pytest.raises(
        ValueError, match=r"no activation module; tried '\(the model\) \(Sequential\)', '0 \(Linear\)'"
    ):
        ActivationRecorder(model)
    deep = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    with pytest.raises(ValueError, match=r"'8 \(Linear\)', \.\.\. 30 more \.\.\., '39 \(Linear\)'"):
        ActivationRecorder(deep)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": ["3"]}, ValueError, "layers not in the model: '3'; it has '', '0', '1', '2'"),
        ({"layers": []}, ValueError, "layers is empty"),
        ({"layers": "1"}, TypeError, "layers must be a sequence of module names, got '1'"),
        ({"layers": [1]}, TypeError, "layers must be a sequence of module names"),
        ({"threshold": float("nan")}, ValueError, "threshold must be a finite number, got nan"),
        ({"threshold": "0"}, ValueError, "threshold must be a finite number, got '0'"),
        ({"site": "both"}, ValueError, "site must be one of 'pre', 'post'; got 'both'"),
        ({"rows": "token"}, ValueError, "rows must be one of 'example', 'position'; got 'token'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_hooked(options, error, message):
    model = identity_network().train()
    with pytest.raises(error, match=message):
        ActivationRecorder(model, **options)
    assert hooks_of(model) == 0
    assert model.training


def test_only_modules_are_taken():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got function"):
        ActivationRecorder(lambda x: x)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_names_the_module_and_infinity_has_a_sign(value):
    x = QUADRANTS.clone()
    model = nn.Sequential(nn.Identity(), nn.ReLU())
    x[2, 1] = value
    if value == float("inf"):
        assert record(model, x).codes.to_bits()[2].tolist() == [False, True]
        return
    recorder = ActivationRecorder(model)

    def run():
        with recorder:
            model(QUADRANTS)
            model(x)

    with pytest.raises(ValueError, match="the pre-activations of module '1' hold NaN"):
        run()
    assert hooks_of(model) == 0
    assert len(recorder.codes) == 4


def test_a_width_that_changes_adds_nothing_of_its_batch():
    model = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Tanh())
    with ActivationRecorder(model) as recorder:
        model(inputs(2, 1, 6))
        with pytest.raises(ValueError, match="module '0' gives codes of 8 bits, and gave 6 before"):
            model(inputs(2, 1, 8))
        model(inputs(2, 1, 6))
    assert [len(book) for book in recorder.layer_codes.values()] == [4, 4]


class Sometimes(nn.Module):
    def __init__(self):
        super().__init__()
        self.always, self.sometimes, self.never = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x, branch=False):
        return self.sometimes(self.always(x)) if branch else self.always(x)


def test_modules_run_in_every_pass_or_in_none():
    model = Sometimes()
    with ActivationRecorder(model) as recorder:
        model(QUADRANTS)
        with pytest.raises(ValueError, match="modules must run in every pass or in none: 'sometimes'"):
            model(QUADRANTS, branch=True)
    assert list(recorder.layer_codes) == ["always"]
    with (
        ActivationRecorder(model, ["always", "never"]),
        pytest.raises(ValueError, match="modules must run in every pass or in none: 'never'"),
    ):
        model(QUADRANTS)
    with (
        ActivationRecorder(model, ["never"]),
        pytest.raises(ValueError, match="none of the modules ran: 'never'"),
    ):
        model(QUADRANTS)
    assert hooks_of(model) == 0


def test_layers_of_different_row_counts_have_no_common_code():
    model = nn.Sequential(nn.ReLU(), nn.Flatten(1), nn.ReLU())
    recorder = record(model, inputs(2, 3, 4), rows="position")
    assert [len(book) for book in recorder.layer_codes.values()] == [6, 2]
    with pytest.raises(
        ValueError, match=r"different numbers of rows have no common codes: \{'0': 6, '2': 2\}"
    ):
        recorder.codes  # noqa: B018


def test_a_module_used_on_different_rows_in_one_pass_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.act(x)[:1])

    with pytest.raises(
        ValueError, match="module 'act' runs several times in a pass, on different numbers of rows"
    ):
        record(Twice(), QUADRANTS)


@pytest.mark.parametrize(
    "given", [(QUADRANTS, QUADRANTS), torch.zeros(2, 2, dtype=torch.complex64), torch.tensor(1.0)]
)
def test_what_is_no_real_tensor_is_refused(given):
    class Passes(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x):
            return self.layer(x)

    with pytest.raises(TypeError, match="module 'layer' must give a real tensor with rows"):
        record(Passes(), given, layers=["layer"])


def test_it_records_once_at_a_time():
    recorder = ActivationRecorder(identity_network())
    with recorder, pytest.raises(RuntimeError, match="recording already"):
        recorder.__enter__()
    assert hooks_of(recorder._model) == 0


def test_books_that_were_read_do_not_grow():
    model = identity_network()
    with ActivationRecorder(model) as recorder:
        model(QUADRANTS)
        book = recorder.codes
        recorder.layer_codes["1"].append(book)
        model(QUADRANTS)
    assert len(book) == 4
    assert len(recorder.codes) == 8


def test_without_torch_the_recorder_names_the_extra(run_python):
    script = """
try:
    from matropy.metrics import ActivationRecorder
except ImportError as error:
    print(error)
"""
    said = run_python(script, without=("torch",))
    assert said.startswith("ActivationRecorder needs torch")
    assert "pip install 'matropy[torch]'" in said


@pytest.mark.model
def test_gates_of_a_language_model(smollm2):
    """All gates together are 30 x 1536 bits; a gate that is zeroed is dead in every unit."""
    model, tokenizer = smollm2.model, smollm2.tokenizer
    ids = tokenizer(
        "The code of a token is which of the gated units it turns on.", return_tensors="pt"
    ).input_ids
    gates = [name for name, module in model.named_modules() if name.endswith("mlp.gate_proj")]
    weight = model.get_submodule(gates[3]).weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.zero_()
            recorder = record(model, ids, layers=gates, site="post", rows="position")
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert recorder.codes.n_bits == 30 * 1536
    assert len(recorder.codes) == ids.shape[1]
    dead = [book.dead().mean() for book in recorder.layer_codes.values()]
    assert dead[3] == 1
    assert recorder.layer_codes[gates[3]].redundancy() == (ids.shape[1] - 1) / ids.shape[1]
    assert max(dead[:3] + dead[4:]) < 1
    by_activation = record(model, ids, rows="position").codes
    assert by_activation.n_bits == 30 * 1536
