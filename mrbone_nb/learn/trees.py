"""Boosted trees as plain arrays: grown by scikit-learn, kept as numbers, asked without any pickle."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

BINS = 64  # gray values and distances need no finer cuts
RATE = 0.15
LEAVES = 31
SMALLEST_LEAF = 40
NONE = 1e-6  # weight of a row that only makes a class known
CHUNK = 20_000  # rows that are asked together, always in the same order of trees


@dataclass(frozen=True, eq=False)
class Trees:
    """Hold several boostings, each of which has learned without one part of the rows.

    Parameters
    ----------
    feature
        Column that a node asks for, (nodes,); -1 in a leaf.
    threshold
        Rows whose value is not above it go left, (nodes,).
    left, right
        Places of the children within the tree, (nodes,).
    value
        What a leaf adds to its score, (nodes,).
    starts
        Where each tree begins, and where the last ends, (trees + 1,).
    part
        The part that each tree has not seen, (trees,); trees of one part lie together, scores in turn.
    baseline
        Scores before the first tree, (parts, scores).
    columns
        Number of columns of a row.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    starts: np.ndarray
    part: np.ndarray
    baseline: np.ndarray
    columns: int

    def __post_init__(self) -> None:
        """Refuse arrays that are no trees: compiled loops will run along them."""
        nodes = len(self.feature)
        same = all(a.shape == (nodes,) for a in (self.threshold, self.left, self.right, self.value))
        good = same and nodes > 0 and self.baseline.ndim == 2 and self.baseline.size > 0
        good = good and self.part.shape == (len(self.starts) - 1,) and len(self.part) > 0
        good = good and self.starts[0] == 0 and self.starts[-1] == nodes and bool((np.diff(self.starts) > 0).all())
        if good:
            sizes = np.diff(self.starts)
            place, size = np.arange(nodes) - np.repeat(self.starts[:-1], sizes), np.repeat(sizes, sizes)
            inner = self.feature >= 0  # a child comes after its parent, so every way down ends
            good = all(bool(((child > place) & (child < size))[inner].all()) for child in (self.left, self.right))
            good = good and int(self.feature.max()) < self.columns and bool(np.isfinite(self.value).all())
            good = good and set(self.part) == set(range(len(self.baseline))) and bool(np.isfinite(self.baseline).all())
        if not good:
            raise InputError("the model's trees are damaged; train it again or fetch the file once more")

    @property
    def classes(self) -> int:
        """How many classes they tell apart."""
        return max(2, self.baseline.shape[1])

    def probability(self, rows: np.ndarray, part: int | None = None) -> np.ndarray:
        """Give the probability of every class, (n, classes) float32, of rows, (n, columns): the mean of the boostings.

        With ``part``, only that one speaks which has not seen that part. Pieces run side by side; the bits do not
        depend on it.
        """
        if rows.ndim != 2 or rows.shape[1] != self.columns:
            raise InputError(f"rows of shape {rows.shape}: expected {self.columns} columns")
        chosen = range(len(self.baseline)) if part is None else [part]
        boostings = [(self.baseline[one], self._compiled(one)) for one in chosen]
        pieces = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]

        def ask(piece: np.ndarray) -> np.ndarray:
            piece = np.ascontiguousarray(piece, np.float32)
            return (sum(_asked(piece, *boosting) for boosting in boostings) / len(boostings)).astype(np.float32)

        with ThreadPoolExecutor(2) as workers:
            return np.concatenate([np.empty((0, self.classes), np.float32), *workers.map(ask, pieces)])

    def _compiled(self, part: int) -> list:
        """The trees of a part as objects of scikit-learn, whose loops are compiled."""
        from sklearn.tree import DecisionTreeRegressor
        from sklearn.tree._tree import Tree

        kind = DecisionTreeRegressor(max_depth=1).fit([[0.0], [1.0]], [0.0, 1.0]).tree_.__getstate__()["nodes"].dtype
        found = []
        for number in np.flatnonzero(self.part == part):
            mine = slice(self.starts[number], self.starts[number + 1])
            leaf = self.feature[mine] < 0
            nodes = np.zeros(len(leaf), kind)
            nodes["left_child"] = np.where(leaf, -1, self.left[mine])
            nodes["right_child"] = np.where(leaf, -1, self.right[mine])
            nodes["feature"] = np.where(leaf, -2, self.feature[mine])
            nodes["threshold"] = self.threshold[mine]
            tree = Tree(self.columns, np.ones(1, np.intp), 1)
            values = self.value[mine].astype(np.float64).reshape(-1, 1, 1)
            tree.__setstate__({"max_depth": 1, "node_count": len(nodes), "nodes": nodes, "values": values})
            found.append(tree)
        return found


def _asked(rows: np.ndarray, baseline: np.ndarray, trees: list) -> np.ndarray:
    """Probabilities by one boosting: one score gives two classes (logistic), several as many (softmax)."""
    score = np.tile(baseline, (len(rows), 1))
    for number, tree in enumerate(trees):
        score[:, number % len(baseline)] += tree.predict(rows).ravel()
    if len(baseline) == 1:
        score = np.concatenate([np.zeros_like(score), score], axis=1)
    odds = np.exp(score - score.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def grow(
    rows: np.ndarray, answers: np.ndarray, parts: np.ndarray, classes: int, *, rounds: int, balance: float, seed: int
) -> Trees:
    """Boost trees on rows, (n, columns), whose class is known; one boosting for each part, without it.

    Parameters
    ----------
    rows
        One voxel a row, (n, columns).
    answers
        Classes, (n,), from 0 up.
    parts
        The part that a row belongs to, (n,), from 0 up; a single part is learned from itself.
    classes
        How many there are.
    rounds
        Trees of each score.
    balance
        0 lets every row count alike, 1 every class.
    seed
        Of what is random.

    Returns
    -------
    Trees
        As arrays.

    References
    ----------
    Friedman (2001), doi:10.1214/aos/1013203451
    """
    left_out = range(int(parts.max()) + 1)

    def boosted(part: int) -> tuple[list[np.ndarray], np.ndarray]:
        kept = parts != part if len(left_out) > 1 else np.full(len(parts), True)
        return _boosted(rows[kept], answers[kept], classes, rounds, balance, seed)

    with warnings.catch_warnings(), ThreadPoolExecutor(2) as workers:
        warnings.filterwarnings("ignore", "`sklearn.utils.parallel.delayed`")  # it misses settings that we do not use
        grown = list(workers.map(boosted, left_out))
    trees = [tree for found, _ in grown for tree in found]
    nodes = np.concatenate(trees)
    leaf = nodes["is_leaf"].astype(bool)
    return Trees(
        feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0, nodes["num_threshold"]).astype(np.float64),
        left=np.where(leaf, 0, nodes["left"]).astype(np.int32),
        right=np.where(leaf, 0, nodes["right"]).astype(np.int32),
        value=np.where(leaf, nodes["value"], 0).astype(np.float32),
        starts=np.cumsum([0, *(len(tree) for tree in trees)]),
        part=np.concatenate([np.full(len(found), part, np.int32) for part, (found, _) in enumerate(grown)]),
        baseline=np.stack([baseline for _, baseline in grown]),
        columns=rows.shape[1],
    )


def _boosted(
    rows: np.ndarray, answers: np.ndarray, classes: int, rounds: int, balance: float, seed: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """One boosting: the nodes of its trees, and its first scores."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    boosting = HistGradientBoostingClassifier(
        max_iter=rounds, learning_rate=RATE, max_leaf_nodes=LEAVES, max_bins=BINS, min_samples_leaf=SMALLEST_LEAF,
        l2_regularization=1.0, early_stopping=False, random_state=seed,
    )  # fmt: skip
    count = np.maximum(np.bincount(answers, minlength=classes), 1)
    weights = (len(answers) / (classes * count)) ** balance
    missing = np.setdiff1d(np.arange(classes), answers)
    weights = np.concatenate([weights[answers], np.full(len(missing), NONE)])
    rows, answers = np.concatenate([rows, rows[: len(missing)]]), np.concatenate([answers, missing])
    with threadpool_limits(1, user_api="openmp"):  # idle OpenMP threads wait busily and slow everything down
        boosting.fit(rows, answers, sample_weight=weights)
    nodes = [tree.nodes for round_ in boosting._predictors for tree in round_]
    return nodes, np.ravel(boosting._baseline_prediction).astype(np.float64)
