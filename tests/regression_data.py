"""A regression with heavy tails, and what its tests compare: shared by several modules."""

import numpy as np

from matropy.recovery import SketchedLinearRegression

rng = np.random.default_rng(0)
N, D = 20_011, 5
X = rng.standard_t(3, size=(N, D)) * [1, 10, 0.1, 1, 1] + [0, 3, 0, 0, 50]
y = X @ [1.0, 0.2, -3.0, 0.0, 2.0] + 7 + rng.normal(size=N)
Y = np.column_stack([y, rng.normal(size=N), X[:, 0] - y])
A = np.column_stack([np.ones(N), X])


def sketched():
    return SketchedLinearRegression(400, method="sketch", random_state=3)


def full_solution(a, b):
    q, r = np.linalg.qr(a)
    return np.linalg.solve(r, q.T @ b)


def cut(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def pairs(size, x=X, target=y):
    return list(zip(cut(x, size), cut(target, size), strict=True))


def same(model, other, tolerance=0.0):
    for name in (
        "coef_",
        "intercept_",
        "coef_stderr_",
        "intercept_stderr_",
        "sampling_stderr_",
        "linf_bound_",
    ):
        np.testing.assert_allclose(
            getattr(model, name), getattr(other, name), rtol=tolerance, atol=tolerance, err_msg=name
        )
    assert model.method_ == other.method_
    assert model.n_sketch_rows_ == other.n_sketch_rows_
