from ._show_versions import show_versions as show_versions
from ._version import __version__ as __version__
from .evaluation import EvaluationCallback as EvaluationCallback
from .evaluation import compare as compare
from .evaluation import evaluate as evaluate
from .evaluation import load_evaluation as load_evaluation
from .lm import load_model as load_model
from .studies import study as study
