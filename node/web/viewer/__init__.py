"""The viewer OHIF: installed on demand, served from the node's own origin, opened at a finding."""
