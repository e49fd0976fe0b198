"""The corpus of tampering: sound logs by the real journal, what somebody could do to them, and what a verification must find then.

A *class* is one way to tamper; a *case* is one class at one random position of one *base*, a log of several segments, epochs, restarts and
crashes. *Look* is what an auditor brings: nothing, a policy, a kept checkpoint. *Blind* is the look that sees nothing, as is documented.
"""
