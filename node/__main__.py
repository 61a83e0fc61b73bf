"""``python -m node``: the ``wetread`` command."""

from node.cli import main

if __name__ == "__main__":
    main()
