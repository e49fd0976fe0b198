"""Cryptography of JVP/1: library adapters, the Noise handshakes, the key chain and the anti-replay window."""
