"""What `core.py` measures: a module for each family of kernels, and how contestants take turns."""
