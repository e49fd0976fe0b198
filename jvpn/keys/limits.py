"""Every bound of signed documents: name, unit."""

from typing import Final

# --- Signed documents: two implementations must agree on these. -----------------------------------------------------
DOCUMENT_BYTES_MAX: Final = 1_048_576  # of a signed document's file
DOCUMENT_SIGNATURES_MAX: Final = 16  # of one document, and keys of one role
ROOT_THRESHOLD_MIN: Final = 2
REVOCATIONS_LIFE_S: Final = 24 * 3_600  # from created to expires, at most
CLOCK_TOLERANCE_S: Final = 300  # how far a document's times and this machine's clock may differ
