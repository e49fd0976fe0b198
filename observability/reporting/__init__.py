"""The sections of the audit report: each module makes some from the same material.

*Material* is what was verified and counted once; a *section* is an anchor, a heading and HTML. A *reference* such as ``L1:37`` names event
37 of the first log; it leads to the event's *proof id*, where there is room for one: number, leaf and hash.
"""
