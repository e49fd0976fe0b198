"""The demonstration: a real session jumps under real traffic, an attacker tries, and the evidence is verified offline."""
