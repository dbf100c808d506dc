from ._error_law import rows_needed as rows_needed
from ._regression import SketchedLinearRegression as SketchedLinearRegression
from ._sketch import Sketch as Sketch
from ._tensor_sketch import TensorSketch as TensorSketch
