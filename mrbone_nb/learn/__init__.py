"""Learning from one's own masks: train a model on a few scans, and let it find the same bones in others.

>>> from mrbone_nb.learn import Case, train
>>> from mrbone_nb.phantom import knee
>>> cases = [Case(str(seed), *knee("t1", size=24, spacing=(8.0, 6.0, 6.0), seed=seed)) for seed in (1, 2)]
>>> train(cases, score=False, effort=0.1).model.numbers
(1, 2, 3, 4)
"""

from .cases import read_cases
from .model import Model, load_model
from .predicting import CLEAN, Prediction, predict, segment
from .training import Case, Trained, train

__all__ = ["CLEAN", "Case", "Model", "Prediction", "Trained", "load_model", "predict", "read_cases", "segment", "train"]
