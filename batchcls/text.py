"""Words for people."""

from __future__ import annotations


def shown(path: str) -> str:
    """Give a path that any terminal can show: what can't be printed is escaped."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if "\udc80" <= character <= "\udcff"
        else character.encode("unicode_escape").decode("ascii")
        for character in path
    )


def printable(text: str) -> str:
    """Give lines that any terminal can show: what can't be printed is escaped, but for breaks."""
    return "\n".join(shown(line) for line in text.split("\n"))


def plural(count: int, one: str, many: str = "") -> str:
    """Give ``1 image``, ``2 images``, ``1,000 images``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def disk_bytes(text: str) -> bytes:
    """Give text as UTF-8; names in it get back the bytes that they have on the disk (PEP 383)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a Windows name with half a surrogate pair
        return text.encode("utf-8", "surrogatepass")
