from ._callback import EvaluationCallback as EvaluationCallback
from ._collapse import LayerCollapseWarning as LayerCollapseWarning
from ._compare import compare as compare
from ._comparison import Comparison as Comparison
from ._evaluate import evaluate as evaluate
from ._evaluation import Evaluation as Evaluation
from ._evaluation import load_evaluation as load_evaluation
from ._glossary import METRICS as METRICS
