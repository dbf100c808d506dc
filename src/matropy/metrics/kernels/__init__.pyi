from ._fingerprints import tanimoto as tanimoto
from ._texts import ngram as ngram
from ._vectors import cosine as cosine
from ._vectors import rbf as rbf
