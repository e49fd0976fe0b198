"""The gateway's session machine: authoritative, and the one that the evidence speaks about.

`states` and `table` are the machine, `facts` and `invariants` what is claimed of it, `session` and `epoch` hold real keys and paths
behind the facts, `classify` reduces what arrives to one input. No transition happens anywhere else.
"""
