"""Noise handshakes (Noise Protocol Framework, revision 34; KEM tokens after the hybrid forward secrecy extension, revision 1).

A pattern is a row of tokens; `Handshake` interprets it, in one loop for writing and one for reading, over one `SymmetricState`.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, cast

from core.crypto.primitives import HASH_LENGTH, KEY_LENGTH, TAG_LENGTH, Kem, KemKey, PrivateKey, hkdf, new_cipher, nonce, sha256
from core.crypto.secret import Holder, Secret
from core.errors import require

Token = Literal["e", "s", "psk", "ee", "es", "se", "ss", "e1", "ekem1"]


class Pattern(NamedTuple):
    """A handshake: its name, whose static keys are known before it (`i`nitiator, `r`esponder), and the tokens of its two messages."""

    name: bytes
    known: Literal["r", "ir"]
    request: tuple[Token, ...]
    reply: tuple[Token, ...]


# fmt: off
IKHFS  = Pattern(b"Noise_IKhfs_25519+MLKEM768_ChaChaPoly_SHA256", "r",  ("e", "es", "e1", "s", "ss"), ("e", "ee", "ekem1", "se"))  # [H-1]
KKPSK0 = Pattern(b"Noise_KKpsk0_25519_ChaChaPoly_SHA256",         "ir", ("psk", "e", "es", "ss"),     ("e", "ee", "se"))
# fmt: on

_STATIC, _KEM_PUBLIC, _KEM_CIPHERTEXT = KEY_LENGTH + TAG_LENGTH, 1184 + TAG_LENGTH, 1088 + TAG_LENGTH  # as sealed
_KEM_SEED_LENGTH = 64
_MIXING = frozenset({"e", "psk", "ee", "es", "se", "ss"})  # tokens that seal nothing
_FINISHED = 4  # turns: two to a message, odd within one
NO_KEY = Secret(b"")  # is refused by `new_cipher`: nothing but an `e` is ever sent in the clear [H-5]


class SymmetricState(Holder):
    """Chaining key, transcript hash, key and counter (Noise 5.1 and 5.2); its method names are Noise's."""

    __slots__ = ("chaining_key", "hash", "key", "n")

    def __init__(self, name: bytes) -> None:
        self.hash = name.ljust(HASH_LENGTH, b"\0") if len(name) <= HASH_LENGTH else sha256(name)
        self.chaining_key, self.key, self.n = Secret(self.hash), NO_KEY, 0

    def copy(self) -> "SymmetricState":
        """Return an independent twin."""
        twin = object.__new__(SymmetricState)
        twin.chaining_key, twin.hash, twin.key, twin.n = self.chaining_key, self.hash, self.key, self.n
        return twin

    def mix_hash(self, data: bytes) -> None:
        """Add `data` to the transcript."""
        self.hash = sha256(self.hash + data)

    def mix_key(self, material: Secret, *, keyed: bool = True) -> None:
        """Add `material` to the chaining key and replace the key, by none unless `keyed`. Leaks: nothing but lengths."""
        self.chaining_key, *key = hkdf(self.chaining_key, material, 1 + keyed)
        self.key, self.n = key[0] if keyed else NO_KEY, 0

    def mix_key_and_hash(self, material: Secret, *, keyed: bool = True) -> None:
        """Add a pre-shared key to both; replace the key, by none unless `keyed`. Leaks: nothing but lengths."""
        self.chaining_key, data, *key = hkdf(self.chaining_key, material, 2 + keyed)
        self.mix_hash(data.expose())
        self.key, self.n = key[0] if keyed else NO_KEY, 0

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        """Return `plaintext` sealed under the key with the transcript as associated data. Leaks: its length."""
        sealed = new_cipher(self.key).encrypt(nonce(self.n), plaintext, self.hash)
        self.n += 1
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytes:
        """Return the plaintext of `sealed`; raise TagMismatch. Leaks: its length and whether it opened."""
        plaintext = new_cipher(self.key).decrypt(nonce(self.n), sealed, self.hash)
        self.n += 1
        self.mix_hash(sealed)
        return plaintext


class Handshake(Holder):
    """One side of one handshake (Noise 5.3): `write` and `read` once each, then `split`.

    `static` is this side's key, `remote` the other's public key or None where the pattern sends it; `psk` has 32 bytes; `entropy(n)`
    is asked for exactly 32 bytes for each `e` and 64 for `e1` [H-8]. A refused message spoils the object: whoever has to stay pending
    reads on a `copy` and keeps that on success [H-9].
    """

    _ephemeral: PrivateKey
    _kem_key: KemKey

    def __init__(self, pattern: Pattern, *, initiator: bool, prologue: bytes, static: PrivateKey, remote: bytes | None,  # noqa: PLR0913 - Noise's inputs
                 psk: Secret | None = None, kem: Kem | None = None, entropy: Callable[[int], bytes]) -> None:  # fmt: skip
        tokens = pattern.request + pattern.reply
        require((remote is None) == ("s" in pattern.request and not initiator), "the remote key is given exactly where it is not sent")
        require(remote is None or len(remote) == KEY_LENGTH, "an X25519 public key has 32 bytes")
        require((psk is not None and len(psk) == KEY_LENGTH) == ("psk" in tokens), "a psk of 32 bytes for the psk patterns only")
        require((kem is not None) == ("e1" in tokens), "a KEM for the hfs patterns only")
        self.initiator, self.remote = initiator, remote or b""
        self._pattern, self._static, self._psk, self._kem, self._entropy = pattern, static, psk, cast("Kem", kem), entropy
        self._turn, self._remote_ephemeral, self._remote_kem, self.symmetric = 0, b"", b"", SymmetricState(pattern.name)
        self.symmetric.mix_hash(prologue)
        for role in pattern.known:
            self.symmetric.mix_hash(static.public if (role == "i") == initiator else self.remote)

    def write(self, payload: bytes) -> bytes:
        """Return the next message, which carries `payload`; raise BadPublicKey when the peer's keys are unusable.

        Leaks: lengths, and a refusal of a public value.
        """
        tokens, state, message = self._take_turn(writes=True), self.symmetric, b""
        for token, keyed in tokens:
            match token:
                case "e":
                    self._ephemeral = PrivateKey(self._entropy(KEY_LENGTH))
                    message += self._mix_ephemeral(self._ephemeral.public, keyed=keyed)
                case "s":
                    message += state.encrypt_and_hash(self._static.public)
                case "e1":
                    self._kem_key = self._kem.generate(self._entropy(_KEM_SEED_LENGTH))
                    message += state.encrypt_and_hash(self._kem_key.public)
                case "ekem1":
                    secret, ciphertext = self._kem.encapsulate(self._remote_kem)
                    message += state.encrypt_and_hash(ciphertext)
                    state.mix_key(secret, keyed=keyed)
                case _:
                    self._mix(token, keyed=keyed)
        message += state.encrypt_and_hash(payload)
        self._turn += 1
        return message

    def read(self, message: bytes, admit: Callable[[bytes], None] | None = None) -> bytes:
        """Return the payload of the peer's message; raise TagMismatch or BadPublicKey, for wrong lengths too.

        `admit` is called with the peer's static public key once it is decrypted and before it is used; it refuses by raising [H-4].
        Leaks: lengths, which token failed, and whatever `admit` leaks.
        """
        tokens, state = self._take_turn(writes=False), self.symmetric
        for token, keyed in tokens:
            match token:
                case "e":
                    self._remote_ephemeral, message = message[:KEY_LENGTH], message[KEY_LENGTH:]
                    self._mix_ephemeral(self._remote_ephemeral, keyed=keyed)
                case "s":
                    sealed, message = message[:_STATIC], message[_STATIC:]
                    self.remote = state.decrypt_and_hash(sealed)
                    if admit is not None:
                        admit(self.remote)
                case "e1":
                    sealed, message = message[:_KEM_PUBLIC], message[_KEM_PUBLIC:]
                    self._remote_kem = state.decrypt_and_hash(sealed)
                case "ekem1":
                    sealed, message = message[:_KEM_CIPHERTEXT], message[_KEM_CIPHERTEXT:]
                    state.mix_key(self._kem_key.decapsulate(state.decrypt_and_hash(sealed)), keyed=keyed)
                case _:
                    self._mix(token, keyed=keyed)
        payload = state.decrypt_and_hash(message)
        self._turn += 1
        return payload

    def copy(self) -> "Handshake":
        """Return an independent twin in the same position; its keys are the same objects."""
        twin = object.__new__(Handshake)
        twin.__dict__.update(self.__dict__)
        twin.symmetric = self.symmetric.copy()
        return twin

    @property
    def hash(self) -> bytes:
        """Return h, the hash of the transcript so far, 32 bytes; not secret."""
        return self.symmetric.hash

    def split(self, n: int = 2) -> tuple[Secret, ...]:
        """Return HKDF(ck, "", n): the keys (initiator to responder, responder to initiator) of the finished handshake, 32 bytes each [R-2].

        A third starts a chain [H-10]. Leaks: nothing.
        """
        require(self._turn == _FINISHED, "only a finished handshake has keys")
        return hkdf(self.symmetric.chaining_key, Secret(b""), n)

    def _take_turn(self, *, writes: bool) -> Iterator[tuple[Token, bool]]:
        """Return the next message's tokens, each with whether anything is sealed under its key, and so whether there has to be one."""
        first = self._turn == 0
        require(self._turn in {0, 2} and writes == (self.initiator == first), "each message once, in order, and none after a refusal")
        self._turn += 1  # odd, and the object of no use, until that message is complete
        tokens = self._pattern.request if first else self._pattern.reply
        return zip(tokens, [after not in _MIXING for after in (*tokens[1:], "payload")], strict=True)

    def _mix_ephemeral(self, public: bytes, *, keyed: bool) -> bytes:
        """Add an ephemeral public key to the transcript, and with a psk to the key as well (Noise 9.2); return it."""
        self.symmetric.mix_hash(public)
        if self._psk is not None:
            self.symmetric.mix_key(Secret(public), keyed=keyed)
        return public

    def _mix(self, token: Token, *, keyed: bool) -> None:
        """Perform `psk`, or a DH token, whose letters name the initiator's key and the responder's."""
        match token:
            case "psk":
                self.symmetric.mix_key_and_hash(cast("Secret", self._psk), keyed=keyed)
            case _:
                mine, theirs = (token[0], token[1]) if self.initiator else (token[1], token[0])
                key = self._ephemeral if mine == "e" else self._static
                self.symmetric.mix_key(key.exchange(self._remote_ephemeral if theirs == "e" else self.remote), keyed=keyed)
