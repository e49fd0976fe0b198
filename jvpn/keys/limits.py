"""Every bound of signed documents: name, unit."""

from typing import Final

# --- Signed documents: two implementations must agree on these. -----------------------------------------------------
DOCUMENT_BYTES_MAX: Final = 1_048_576  # of a signed document's file
DOCUMENT_SIGNATURES_MAX: Final = 16  # of one document, and keys of one role
ROOT_THRESHOLD_MIN: Final = 2
REVOCATIONS_LIFE_S: Final = 24 * 3_600  # from created to expires, at most
CLOCK_TOLERANCE_S: Final = 300  # how far a document's times and this machine's clock may differ

# --- Warnings: free choice of this program; commands warn of a document that runs out soon. ------------------------
ROOT_SOON_S: Final = 30 * 24 * 3_600  # left of a root's time: keepers of keys have to be brought together
KEYSET_SOON_S: Final = 30 * 24 * 3_600  # left of a keyset's time
REVOCATIONS_SOON_PART: Final = 3  # when less than one part in so many of a list's time is left
