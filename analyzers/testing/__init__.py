"""The contract as a test suite, for everyone who writes an analyzer.

``pytest --analyzer NAME`` runs it on an installed analyzer, with a synthetic series made from its
input contract. An analyzer that needs another input gets a test of its own::

    from analyzers.testing import AnalyzerSuite

    class TestAir(AnalyzerSuite):
        analyzers = ("air",)

        def example(self, name: str) -> Volume:
            return my_volume()
"""

from analyzers.testing.suite import AnalyzerSuite

__all__ = ["AnalyzerSuite"]
