"""The viewer OHIF as a package: which build, how it is installed, and what of it is there."""
