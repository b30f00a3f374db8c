"""Tables and figures of the papers, computed again. One script each; docs/results.md shows what they wrote."""
