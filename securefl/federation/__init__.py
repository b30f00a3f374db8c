"""Training over rounds: what is reported, what a client does with its rows, and how sums change the model."""
