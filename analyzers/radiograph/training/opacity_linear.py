"""A linear judge of the whole chest: logistic regression on components of its edges and density."""

from __future__ import annotations

from typing import Any

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analyzers.models.learners import Linear

STRENGTH = 0.01
"""Inverse of the penalty on the weights of the components, each of spread 1."""


def linear() -> Any:
    """Logistic regression on components of spread 1; weak ones weigh as much as strong ones."""
    return make_pipeline(
        StandardScaler(),
        PCA(0.9, svd_solver="full"),
        StandardScaler(),
        LogisticRegression(C=STRENGTH),
    )


def stored_linear(fitted: Any) -> Linear:
    """A fitted ``linear`` as one weight a feature."""
    scaler, pca, spread, judge = (step for _, step in fitted.steps)
    weights = (judge.coef_[0] / spread.scale_) @ pca.components_ / scaler.scale_
    return Linear(scaler.mean_, weights, float(judge.intercept_[0]))
