from ._evaluate import evaluate as evaluate
from ._evaluation import Evaluation as Evaluation
from ._evaluation import load_evaluation as load_evaluation
from ._glossary import METRICS as METRICS
