"""``config.toml`` → ``load`` → ``settings.Settings``: one frozen table for each part of the node.

The tables stand at the ground: nothing here looks at the parts that take them.
"""
