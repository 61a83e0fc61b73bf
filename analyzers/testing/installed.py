"""What ``pytest --analyzer NAME`` collects."""

from analyzers.testing.suite import AnalyzerSuite


class TestInstalledAnalyzer(AnalyzerSuite):
    """The suite on the analyzers named on the command line."""
