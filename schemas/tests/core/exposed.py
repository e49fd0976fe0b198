"""Secrets as bytes, for the comparisons that only tests make."""

from collections.abc import Iterable

from core.crypto.secret import Secret


def laid_open(secrets: Iterable[Secret] | None) -> tuple[bytes, ...]:
    """Return the bytes of secrets; of None, which stands for secrets that are gone, nothing."""
    return tuple(secret.expose() for secret in secrets or ())
