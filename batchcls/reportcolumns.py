"""What stands in the columns of a report, in whatever format it is written.

The columns are ``path,label,score,status,error``, then as asked ``label_2,score_2`` and so on for
the runners-up, then ``score:CLASS`` for each class, then ``because``: the training images that
decided, each with its weight.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from batchcls.records import Prediction, ReportRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("path", "label", "score", "status", "error")
SCORE_DECIMALS = 6
WEIGHT_DECIMALS = 3

_SURROGATE = re.compile("[\ud800-\udfff]")
_TO_ESCAPE = re.compile('[\ud800-\udfff"\\\\]')
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(.))", re.DOTALL)


class ReportColumns:
    """The columns that a report was asked to have.

    ``plain`` are the names of those up to the last runner-up, ``scored`` of those with the score of
    each class, ``explained`` of the last one; what was not asked for is empty.
    """

    def __init__(self, asked: ReportRequest) -> None:
        self._classes = asked.classes
        self._top = min(max(asked.top, 1), len(asked.classes))
        self.plain = [
            *COLUMNS,
            *(
                f"{what}_{place}"
                for place in range(2, self._top + 1)
                for what in ("label", "score")
            ),
        ]
        self.scored = [f"score:{name}" for name in asked.classes] if asked.scores else []
        self.explained = ["because"] if asked.explain else []

    @property
    def names(self) -> list[str]:
        """All names, in order."""
        return [*self.plain, *self.scored, *self.explained]

    def values(self, prediction: Prediction) -> list[str | float | None]:
        """Give what stands in the ``plain`` columns, as it is; None where there is nothing."""
        row: list[str | float | None] = [
            prediction.path,
            prediction.label,
            prediction.score,
            prediction.status.value,
            prediction.error,
        ]
        # Of a label that is withheld, the runners-up are, too; the scores of all were asked for.
        runners_up = prediction.best(self._top)[1:] if prediction.label is not None else ()
        for index, score in runners_up:
            row += [self._classes[index], score]
        row += [None] * (len(self.plain) - len(row))
        return row

    def portable(self, prediction: Prediction) -> list[str | float | None]:
        """Give the same for a format that has numbers, and text that is nothing but Unicode.

        Numbers have the decimals of the CSV, so that a report says the same in each format.
        """
        path, *others = self.values(prediction)
        return [
            quoted_path(str(path)),
            *(
                unicode_text(one)
                if isinstance(one, str)
                else one and round(float(one), SCORE_DECIMALS)
                for one in others
            ),
        ]


def rounded(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round scores as the CSV has them: to the nearest decimal, by their exact binary values.

    Of any shape; the same number for number as ``round(score, SCORE_DECIMALS)``.
    """
    import numpy as np

    scaled = scores * 10.0**SCORE_DECIMALS
    found: NDArray[np.float64] = np.rint(scaled) / 10.0**SCORE_DECIMALS
    # Multiplying rounds, too: whatever is so near the middle is left to exact arithmetic.
    near = np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6
    found[near] = [round(float(score), SCORE_DECIMALS) for score in scores[near]]
    return found


def because(prediction: Prediction) -> list[tuple[str, float]] | None:
    """Give the training images that decided, and their weights, as :meth:`portable` does."""
    if not prediction.because:
        return None
    return [
        (unicode_text(name), round(float(weight), WEIGHT_DECIMALS))
        for name, weight in prediction.because
    ]


def unicode_text(text: str) -> str:
    r"""Give text without lone surrogates, for people: ``\xe9`` for a byte that is not UTF-8."""
    return text if text.isascii() else _SURROGATE.sub(_escape, text)


def quoted_path(path: str) -> str:
    r"""Give a path as text that is nothing but Unicode, and that tells all its bytes.

    It is the path itself, unless it has bytes that are not UTF-8, or begins with a quotation mark.
    Then it stands in quotation marks, as ``"caf\xe9.jpg"``, with a backslash before each quotation
    mark and backslash in it. (Half a surrogate pair, as a name in Windows may have, is ``\ud800``.)
    """
    if not path.startswith('"') and (path.isascii() or not _SURROGATE.search(path)):
        return path
    return f'"{_TO_ESCAPE.sub(_escape, path)}"'


def unquoted_path(text: str) -> str:
    """Give back the path that :func:`quoted_path` made ``text`` of."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    return _ESCAPED.sub(_unescape, text[1:-1])


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if "\udc80" <= character <= "\udcff":  # a byte (PEP 383)
        return f"\\x{ord(character) - 0xDC00:02x}"
    return f"\\u{ord(character):04x}" if character >= "\ud800" else f"\\{character}"


def _unescape(match: re.Match[str]) -> str:
    byte, half, character = match.groups()
    if byte is not None:
        return chr(0xDC00 + int(byte, 16))
    return chr(int(half, 16)) if half is not None else str(character)
