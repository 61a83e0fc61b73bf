"""Who may use the node, who is logged in, and what people write on studies."""
