"""The laboratory: simulator, generators, demo and services for tests. Not shipped in the wheel."""
