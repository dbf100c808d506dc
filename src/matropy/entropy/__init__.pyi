from ._density_matrices import von_neumann_entropy as von_neumann_entropy
from ._distributions import hill_number as hill_number
from ._distributions import renyi_entropy as renyi_entropy
from ._distributions import shannon_entropy as shannon_entropy
from ._distributions import softmax_entropy as softmax_entropy
