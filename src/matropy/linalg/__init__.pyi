from ._gram import Gram as Gram
from ._norms import l12_norm as l12_norm
from ._norms import nuclear_norm as nuclear_norm
from ._norms import schatten_norm as schatten_norm
from ._norms import singular_values as singular_values
