"""What is said of a model on the set that it was fitted to."""

from __future__ import annotations

from analyzers.models.stored_model import StoredModel

FITTED = "This is the set that the model was fitted to, so it is judged on patients left out."
"""Said first; the answers of the model itself to these images would say nothing of others."""


def kept(stored: StoredModel, key: str, what: str, name: str) -> list[str]:
    """The cross-validated figure that the model was stored with."""
    low, high = (f"{float(one):.3f}" for one in stored.facts["figures"][f"{key}_95"])  # type: ignore
    return [
        FITTED,
        f"{what} when it was stored (95 %) {stored.number('figures', key):.3f} ({low}–{high}); "
        f"not fitted anew, `wetread train {name}` does that",
    ]
