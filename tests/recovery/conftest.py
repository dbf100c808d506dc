import numpy as np
import pytest
from regression_data import X, sketched, y


@pytest.fixture(scope="session")
def model():
    """A fit on the sketch route, which no test changes."""
    return sketched().fit(X, y)


@pytest.fixture
def rng():
    """The same numbers for every test, in whatever order they run."""
    return np.random.default_rng(1)
