"""The program: `shell` is everything that touches the machine, `cli` is what people type.

The trusted part is `core`, which touches nothing; this package moves bytes, time and effects between it and the kernel.
"""
