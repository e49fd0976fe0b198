"""Recorded or invented datagrams, replayed against engines in every state: what is refused, and that nothing else happens.

A *way* brings a world into one state, a *place* is where a datagram comes from, a *finding* is what must not happen.
"""
