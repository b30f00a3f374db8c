"""Who can run operators: `numpy` (the reference), `native` (our kernels), `onnxruntime` and `mnn` (extras)."""
