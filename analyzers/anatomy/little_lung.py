"""What is said first where the images show little lung: an abdomen, a neck, a few slices."""

from __future__ import annotations

LITTLE_ML = 300.0
"""Both lungs of an adult hold ten times as much; gas in bowel, taken for lung, rarely as much."""


def little_lung(total_ml: float) -> tuple[str, ...]:
    """A sentence where so little was found that it may not be lung; () where there is enough."""
    if total_ml >= LITTLE_ML:
        return ()
    return (
        f"In doubt: only {total_ml:.0f} mL in the images look like lung. They may show no chest, "
        "and part of it may be gas in stomach or bowel.",
    )
