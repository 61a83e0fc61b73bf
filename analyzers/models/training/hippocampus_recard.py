"""Judges the stored hippocampus networks again and writes their cards, without training.

Run as a module, with the set's folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from analyzers.models import hippocampus_networks as networks
from analyzers.models import stored_model
from analyzers.models.training.hippocampus import RECIPES, Options, stored
from analyzers.models.training.hippocampus_data import read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=stored_model.SHIPPED)
    options = parser.parse_args()
    data = read(options.folder)
    for name in RECIPES:
        network = networks.restored(name, stored_model.load(name, options.out))
        print(stored(name, network, data, Options(options.out, options.out / name / "unused")))


if __name__ == "__main__":
    main()
