"""The gateway's session machine: authoritative, and the one that the evidence speaks about.

`states` and `table` are the machine with its facts and what is claimed of them; `session` holds real keys and paths behind the facts,
`reattach` and `timers` reduce what arrives, and time, to one input. No transition happens anywhere else.
"""
