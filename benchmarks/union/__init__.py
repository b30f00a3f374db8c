"""What `union.py` measures: filters beside rbloom, the test of a universe, and the bytes of a round."""
