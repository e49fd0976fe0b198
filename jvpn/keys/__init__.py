"""What is said about keys: signed documents, verified before they are parsed, and the life of one key. Pure, as the core is; trusted, too.

Words: *role key*: an Ed25519 key that signs documents; *static key*: the X25519 key of a device or gateway; *fingerprint*: SHA-256 of the
32 bytes of a public key; *digest*: SHA-256 of a document's payload; *floor*: the highest version of a role that was ever accepted, with its
digest; *trust*: the documents that are accepted now, and the floors. The engine is told the verdicts alone (the order Admission).
"""
