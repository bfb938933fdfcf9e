"""How the key that signs bundles is replaced while everything runs: ``next``, ``promote``, ``retire``.

Readers trust every key of one file, so that none meets a bundle that it does not trust: first the new key is trusted, then it
signs, then the old one is trusted no longer.
"""

from pathlib import Path

from shared.bundles.signing import signing_key, verify_key, write_signing_key, write_verify_keys
from shared.errors import BadSettings


def following(signing: Path) -> Path:
    """Where the key lies that will sign: ``signing.next.pem`` beside ``signing.pem``."""
    return signing.with_suffix(f".next{signing.suffix}")


def make_next(signing: Path, verifying: Path) -> None:
    """Make the next pair: readers that start now trust it, and nobody signs with it yet."""
    coming = following(signing)
    public = (signing_key(coming) if coming.exists() else write_signing_key(coming)).public_key()
    trusted = verify_key(verifying).keys
    if public not in trusted:
        write_verify_keys(verifying, *trusted, public)


def promote(signing: Path, verifying: Path) -> None:
    """Sign with the next key: an updater that starts now does.

    Raises:
        BadSettings: there is none, or readers do not trust it.
    """
    coming = following(signing)
    if not coming.exists():
        raise BadSettings(f"there is no {coming}: `freshet keys next` makes it")
    if signing_key(coming).public_key() not in verify_key(verifying).keys:
        raise BadSettings(f"{verifying} does not hold the key of {coming}: `freshet keys next` adds it")
    coming.replace(signing)


def retire(signing: Path, verifying: Path) -> None:
    """Trust the key that signs, and no other.

    Raises:
        BadSettings: another one is to sign next.
    """
    if (coming := following(signing)).exists():
        raise BadSettings(f"{coming} was not promoted: it would be the one that nobody trusts")
    write_verify_keys(verifying, signing_key(signing).public_key())


STEPS = {"next": make_next, "promote": promote, "retire": retire}
