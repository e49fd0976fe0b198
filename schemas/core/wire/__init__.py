"""The bytes of JVP/1: a *frame* is one *message*; a DATA message seals an *inner frame* of a *kind*, a *body* and zero padding.

A *super-packet* is what TCP segmentation offload hands over: a *template* (its description and headers), and a payload cut into *chunks*.
Bytes of the peer that are none of these raise `layout.Malformed`, never anything else; impossible values of our own, `errors.Invariant`.
"""
