"""What the vectors are about, a module for each file. All of it is computed by the reference."""
