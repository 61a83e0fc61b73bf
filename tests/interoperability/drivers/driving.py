"""What the Python drivers share: reading the target, telling what came back. Standard library."""

import json
import sys
import traceback
from types import SimpleNamespace


def target() -> SimpleNamespace:
    return SimpleNamespace(**json.loads(sys.argv[1]))


def tell(**actions) -> None:
    """Run each action; print what it returns, or how it failed."""
    told = {}
    for name, action in actions.items():
        try:
            told[name] = action()
        except Exception as error:  # noqa: BLE001 - told, whatever it is
            traceback.print_exc()
            told[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(told))
