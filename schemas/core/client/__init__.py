"""The client's machine: it decides when to probe, when to attempt, and over which carrier."""
