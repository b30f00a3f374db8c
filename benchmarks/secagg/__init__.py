"""The two sides of `secagg_vs_flower.py`, what they are given and what is made of their times."""
