"""The regression is a scikit-learn estimator, on every route."""

import numpy as np
from estimator_tester import EstimatorCase, EstimatorTester

from matropy.recovery import SketchedLinearRegression

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X @ [1.0, -2.0, 0.5, 3.0] + 4 + 0.1 * rng.normal(size=60)
ONCE = "refine=True reads the rows many times, which partial_fit cannot"

cases = {
    "auto": EstimatorCase(SketchedLinearRegression(random_state=0), X, y, table=True),
    "sketch": EstimatorCase(
        SketchedLinearRegression(method="sketch", kind="pooled", random_state=1), X, y, table=True
    ),
    "refine": EstimatorCase(
        SketchedLinearRegression(refine=True, random_state=2),
        X,
        y,
        table=True,
        expected_failures={
            "check_fit_score_takes_y": ONCE,
            "check_n_features_in_after_fitting": ONCE,
            "check_estimators_partial_fit_n_features": ONCE,
        },
    ),
    "normal, two targets": EstimatorCase(
        SketchedLinearRegression(method="normal", fit_intercept=False),
        X,
        np.column_stack([y, -y]),
        table=True,
    ),
}


class TestSketchedLinearRegression(EstimatorTester, cases=cases): ...
