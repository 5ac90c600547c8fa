"""Logistic regression on a few features: small enough to be own code, and the same numbers with any number of threads.

Sums run over rows in one order (no BLAS), so that the weights do not depend on how a library splits its work.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize


@dataclass(frozen=True)
class LogisticRegression:
    """p = 1 / (1 + exp(-(bias + sum of weight x (feature - mean) / spread))).

    Attributes:
        weights: float64 [F], of standardised features, so that they can be compared.
        bias: of a picture whose features are all at their means.
        means: float64 [F].
        spreads: float64 [F], standard deviations; 1 where a feature never varies.
    """

    weights: NDArray[np.float64]
    bias: float
    means: NDArray[np.float64]
    spreads: NDArray[np.float64]

    def probability(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of rows [N, F], float64 [N]."""
        return _sigmoid(_times((features - self.means) / self.spreads, self.weights) + self.bias)

    @staticmethod
    def fit(
        features: NDArray[np.float64], right: NDArray[np.bool_], regularisation: float = 0.01
    ) -> "LogisticRegression":
        """Learn from rows.

        Args:
            features: [N, F], N at least 1.
            right: bool [N].
            regularisation: of the squared weights, beside the mean log loss. Above 0 the weights stay finite where
                the two kinds can be told apart perfectly.
        """
        means, spreads = features.mean(axis=0), features.std(axis=0)
        spreads = np.where(spreads > 1e-12, spreads, 1.0)
        rows, truth = (features - means) / spreads, right.astype(np.float64)

        def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            weights, bias = parameters[:-1], parameters[-1]
            logits = _times(rows, weights) + bias
            value = np.mean(np.logaddexp(0, logits) - truth * logits) + regularisation / 2 * np.sum(weights**2)
            error = (_sigmoid(logits) - truth) / len(rows)
            slope = (rows * error[:, None]).sum(axis=0) + regularisation * weights
            return float(value), np.append(slope, error.sum())

        found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
        return LogisticRegression(found.x[:-1], float(found.x[-1]), means, spreads)


def _times(rows: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rows * weights).sum(axis=1)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0, -logits))
