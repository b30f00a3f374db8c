"""The protocol as slow, readable Python: a second implementation that follows docs/spec and shares no code.

Read in this order: `transcript`, `wire`, `messages`, `boxes`, `shamir`, `masks`, `params`, `setup`, `client`, `server`,
`rounds`, `union`. Every random value is an argument, so a run can be repeated and its frames compared byte by byte. Of
libraries it needs `cryptography` (Ed25519, X25519, ML-KEM, AES, AES-GCM) and `pycryptodome` (TupleHash). It is an
oracle: not constant-time, keeps no journal, wipes nothing. Never run it with real secrets.
"""
