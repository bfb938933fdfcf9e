"""Who says so: an Ed25519 signature over a manifest's canonical JSON.

Canonical is: the JSON object without its ``signature``, keys sorted at every level, no spaces, UTF-8, shortest float form. It is
taken from the bytes as written, so that a reader that does not know a newer field still verifies it.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from shared.bundles.manifest import Manifest
from shared.errors import BadSettings, BundleRefused

_manifests = msgspec.json.Decoder(Manifest)
_PUBLIC = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\s*", re.DOTALL)


class Verifier(Protocol):
    """Whose signature counts: an ``Ed25519PublicKey``, or several of them."""

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return where the signature of these bytes holds.

        Raises:
            InvalidSignature: it does not.
        """


class AnyOf:
    """Several keys, of which one has signed: while keys rotate, the old one and the new one."""

    def __init__(self, *keys: Ed25519PublicKey) -> None:
        self.keys = keys

    def verify(self, signature: bytes, data: bytes) -> None:
        for key in self.keys:
            with suppress(InvalidSignature):
                return key.verify(signature, data)
        raise InvalidSignature


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> Manifest:
    """The same manifest with its signature."""
    return msgspec.structs.replace(manifest, signature=key.sign(canonical(msgspec.json.encode(manifest))).hex())


def opened(data: bytes, key: Verifier) -> Manifest:
    """The manifest in these bytes, once its signature holds.

    Raises:
        BundleRefused: ``corrupt`` if it cannot be read, ``forged`` if the key did not sign it.
    """
    try:
        manifest = _manifests.decode(data)
        key.verify(bytes.fromhex(manifest.signature), canonical(data))
    except InvalidSignature:
        raise BundleRefused("forged", f"the signature of {manifest.version} is not by a key that this service trusts") from None
    except msgspec.MsgspecError as error:
        raise BundleRefused("corrupt", f"a manifest cannot be read: {error}") from None
    except ValueError:
        raise BundleRefused("forged", f"the signature of {manifest.version} is not one: {manifest.signature[:16]!r}") from None
    return manifest


def canonical(data: bytes) -> bytes:
    """What is signed of a manifest's JSON."""
    fields = msgspec.json.decode(data)
    fields.pop("signature", None)
    return msgspec.json.encode(fields, order="sorted")


def write_keys(signing: Path, verifying: Path) -> None:
    """Make a new pair of key files (PEM); the signing one is readable by its owner only.

    Raises:
        FileExistsError: a file is there already: old bundles need their key.
    """
    write_verify_keys(verifying, write_signing_key(signing).public_key())


def write_signing_key(path: Path) -> Ed25519PrivateKey:
    """Make a new key and its file (PEM), readable by its owner only.

    Raises:
        FileExistsError: a file is there already.
    """
    key = Ed25519PrivateKey.generate()
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def write_verify_keys(path: Path, *keys: Ed25519PublicKey) -> None:
    """Write the file (PEM) of the keys that readers trust; it is there whole or as it was."""
    hidden = path.with_name(f".{path.name}")
    hidden.write_bytes(b"".join(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in keys))
    hidden.replace(path)


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The updater's key.

    Raises:
        BadSettings: the file is missing or holds something else.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise BadSettings(f"FRESHET_SIGNING_KEY={path}: {error}; `freshet keys` makes a pair") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSettings(f"FRESHET_SIGNING_KEY={path} is not an Ed25519 private key; `freshet keys` makes a pair")
    return key


def verify_key(path: Path) -> AnyOf:
    """The keys that a reader trusts: each of the file's, which are two while keys rotate.

    Raises:
        BadSettings: the file is missing or holds something else.
    """
    try:
        data = path.read_bytes()
        keys = [load_pem_public_key(block) for block in _PUBLIC.findall(data)]
    except (OSError, ValueError) as error:
        raise BadSettings(f"FRESHET_VERIFY_KEY={path}: {error}; `freshet keys` makes a pair") from None
    ours = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not keys or ours != keys or _PUBLIC.sub(b"", data).strip():
        raise BadSettings(f"FRESHET_VERIFY_KEY={path} holds something else than Ed25519 public keys; `freshet keys` makes a pair")
    return AnyOf(*ours)
