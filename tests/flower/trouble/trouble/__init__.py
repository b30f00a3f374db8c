"""Plain sums over nodes that are wrong on purpose."""
