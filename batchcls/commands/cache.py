"""``batchcls cache``: what the store holds, and taking out what is of no more use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchcls import assembly
from batchcls.store.upkeep import clear, prune, store_info
from batchcls.terminal import print_json
from batchcls.text import plural, shown

if TYPE_CHECKING:
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal

_UNITS = (("GB", 1e9), ("MB", 1e6), ("KB", 1e3))


def info_command(settings: Settings, terminal: Terminal, *, as_json: bool) -> None:
    """Print what the store holds."""
    info = store_info(assembly.store_folder(settings))
    if as_json:
        print_json(
            {
                "path": info.path,
                "bytes": info.size,
                "files": info.files,
                "contents": info.contents,
                "unreadable": info.unreadable,
                "reported": info.reported,
                "results": [{"of": title, "count": count} for title, count in info.ways],
            }
        )
        return
    limit = settings.store.max_gigabytes
    rows = [
        ["size", _size(info.size) + (f" of {limit:g} GB" if limit else "")],
        ["files", f"{info.files:,}"],
        ["contents", f"{info.contents:,}"],
        *([shown(title), f"{count:,}"] for title, count in info.ways),
        ["unreadable", f"{info.unreadable:,}"],
        ["reported (--new-only)", f"{info.reported:,}"],
    ]
    terminal.table(["store", shown(info.path)], rows, numbers_from=2)


def prune_command(
    settings: Settings,
    terminal: Terminal,
    *,
    gone: bool,
    unused_days: float | None,
    max_gigabytes: float | None,
) -> None:
    """Take out what is of no more use, and tell how much it was."""
    if not gone and unused_days is None and max_gigabytes is None:
        gone, max_gigabytes = True, settings.store.max_gigabytes or None
    pruned = prune(
        assembly.store_folder(settings),
        gone=gone,
        unused_days=unused_days,
        max_bytes=int(max_gigabytes * 1e9) if max_gigabytes else None,  # 0 sets no limit
    )
    terminal.result(
        f"taken out: {plural(pruned.files, 'file')}, {plural(pruned.contents, 'content')}, "
        f"{_size(pruned.bytes)}"
    )


def clear_command(settings: Settings, terminal: Terminal, *, reported: bool) -> None:
    """Delete the store."""
    folder = assembly.store_folder(settings)
    was_there = clear(folder, reported=reported)
    terminal.result(f"{shown(folder)}: {'cleared' if was_there else 'there was no store'}")


def _size(count: int) -> str:
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
