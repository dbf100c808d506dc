r"""The step that the proof leaves open: two properties of a sketch that do not bound a coefficient.

The proof uses that the sketch embeds the subspace and that it keeps inner products of *fixed* vectors. A row of
:math:`(A^\top S^\top SA)^{-1}` is not fixed: it depends on the sketch. With :math:`v` uniform on the unit sphere of
:math:`e_2\ldots e_d`, the sketch with

.. math:: S^\top S=\begin{pmatrix}I-\rho(e_1v^\top+ve_1^\top)&\alpha v\\\alpha v^\top&1\end{pmatrix}

has both properties, and the first coefficient of :math:`A=[I;0]`, :math:`b=e_{d+1}` is :math:`\alpha\rho/(1-\rho^2)`
always (Song and Zhang, 2026).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

from matropy.reporting import Column, Table
from matropy.studies._contract import Measured
from matropy.studies._run import Run

_D = {"smoke": 10_000, "quick": 100_000, "full": 1_000_000}
_DRAWS = {"smoke": 5, "quick": 100, "full": 100}
_RHO = _ALPHA = 1 / 20


def measure_counterexample(run: Run) -> Measured:
    """Beside the coefficient: the inner products of fixed vectors, over draws of ``v``."""
    d = _D[run.scale]
    found = run.step("counterexample", partial(_draw, d, _DRAWS[run.scale], run.seed))
    values = {
        "gap_coefficient": found["coefficient"],
        "gap_fixed_vectors": found["fixed"],
        "gap_distortion": found["distortion"],
    }
    table = Table(
        "What the two properties do not bound",
        (Column("Quantity"), Column("Value", digits=6)),
        (
            ("Error of the first coefficient, in every draw", found["coefficient"]),
            ("αρ/(1 − ρ²)", _ALPHA * _RHO / (1 - _RHO**2)),
            ("Largest error of an inner product of fixed vectors", found["fixed"]),
            ("Distortion of the subspace", found["distortion"]),
        ),
        caption=f"d = {d}; {_DRAWS[run.scale]} draws, two pairs of coordinate vectors in each.",
    )
    return Measured(values, (table,))


def _draw(d: int, draws: int, seed: int) -> dict[str, float]:
    coefficients, fixed = [], []
    rng = np.random.default_rng([seed, 3])
    for _ in range(draws):
        v = rng.normal(size=d)
        v[0] = 0
        v /= np.linalg.norm(v)

        def embedded(x: np.ndarray, v: np.ndarray = v) -> np.ndarray:
            change = v * x[0]
            change[0] += v @ x
            return np.asarray(x - _RHO * change)

        solution, failed = cg(LinearOperator((d, d), matvec=embedded), _ALPHA * v, rtol=1e-13)
        coefficients.append(float(solution[0]) if not failed else np.nan)
        fixed += [abs(_ALPHA * v[1]), abs(_RHO * v[2])]  # of (e_2, e_{d+1}), and of (e_1, e_3)
    return {
        "coefficient": float(np.mean(coefficients)),
        "fixed": float(max(fixed)),
        "distortion": float(np.hypot(_RHO, _ALPHA)),
    }
