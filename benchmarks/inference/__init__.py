"""What `inference_vs_peers.py` measures: the nets, and every engine as it is meant to be called."""
