"""Writes the statement where it stands."""

from node.conformance import main

main()
