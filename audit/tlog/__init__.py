"""The log as a transparency log (clauses A-60 and on): what a stranger checks offline, after RFC 6962 and the C2SP specifications.

Words used throughout:

* *entry*: the hash of an event, 32 bytes, at the event's number; the tree's *leaf* is RFC 6962's hash of it.
* *checkpoint*: origin, size and root of the tree, as a *note*: text with signatures.
* *cosignature*: a witness's statement that a checkpoint extends all that it has seen of this log.
* *policy*: the log's key and which witnesses must have cosigned; all that an offline verifier trusts.
* *epoch*: the time of one signing key; its *seal* is the checkpoint that covers the event which names the next key.
"""
