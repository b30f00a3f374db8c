"""Engines carry messages: between objects in this process, between processes, or over a network."""
