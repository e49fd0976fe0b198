"""How fast the core is and how much memory it takes, as ratios of things that are measured in the same run on the same processor."""
