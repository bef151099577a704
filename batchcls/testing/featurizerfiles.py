"""The checks of a featurizer as far as it travels in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchcls.testing.comparing import difference
from batchcls.testing.damage import Tattler, broken, refusal_problem
from batchcls.testing.running import Check, Problems, RaisedError, adder, doing
from batchcls.testing.subjects import FeaturizerSubject, featurize

CHECKS: list[Check[FeaturizerSubject]] = []
check = adder(CHECKS)

_REFUSAL = "interfaces.FeaturizerProvider.restore: it raises ValueError, and nothing else, for "


@check(
    "files",
    "interfaces.Featurizer.to_files: it gives bytes by plain file name, which a model file keeps",
    "interface",
)
def _files(subject: FeaturizerSubject) -> Problems:
    with doing("to_files"):
        files: Any = subject.featurizer.to_files()
    if not isinstance(files, Mapping):
        yield f"{type(files).__name__} came, no mapping"
        return
    wrong = [name for name, content in files.items() if not isinstance(content, bytes)]
    for name in wrong:
        yield f"{name!r} is {type(files[name]).__name__}, not bytes"
    if not wrong and dict(subject.files) != dict(files):
        yield "the files are not the same after a way through a model file"


@check(
    "restoration",
    "interfaces.FeaturizerProvider.restore: the restored one has the same digest, sizes and "
    "features, bit for bit, and can be saved again",
    "files",
    "digest",
    "repetition",
)
def _restoration(subject: FeaturizerSubject) -> Problems:
    if differs := _difference(subject, subject.restored):
        yield f"between the one that was saved and the one that was restored, {differs}"
        return
    restorer = subject.restorer
    try:
        with doing("to_files of the restored one"):
            files = dict(subject.restored.to_files())
        if files == dict(subject.files):
            return
        with doing("restore from what to_files of the restored one gave"):
            again = restorer.restore(files)
        differs = _difference(subject, again)
    except RaisedError as error:
        yield error
        return
    if differs:
        yield f"after saving the restored one and restoring that, {differs}"


def _difference(subject: FeaturizerSubject, restored: Any) -> str:  # noqa: ANN401 - a featurizer
    for member in ("digest", "input_size", "dimension"):
        was, now = getattr(subject.featurizer, member), getattr(restored, member)
        if now != was:
            return f"{member} differs: {was!r} became {now!r}"
    return difference(featurize(restored, subject.pixels), subject.features)


def _refused(subject: FeaturizerSubject, files: Mapping[str, bytes], what: str) -> Problems:
    restorer = subject.restorer
    yield from refusal_problem(lambda: restorer.restore(dict(files)), what)


@check("refuses-missing-file", _REFUSAL + "no files, or one too few", "restoration")
def _refuses_missing(subject: FeaturizerSubject) -> Problems:
    yield from _refused(subject, {}, "no files")
    for name in subject.files if len(subject.files) > 1 else ():
        rest = {other: data for other, data in subject.files.items() if other != name}
        yield from _refused(subject, rest, f"files without {name}")


@check("refuses-extra-file", _REFUSAL + "a file that to_files does not give", "restoration")
def _refuses_extra(subject: FeaturizerSubject) -> Problems:
    more = {**subject.files, "surplus.bin": b"surplus"}
    yield from _refused(subject, more, "files with 'surplus.bin' more")


@check("refuses-garbage", _REFUSAL + "a file that is not what to_files gives", "restoration")
def _refuses_garbage(subject: FeaturizerSubject) -> Problems:
    for name, data in subject.files.items():
        for what, other in broken(data):
            yield from _refused(subject, {**subject.files, name: other}, f"{name} {what}")


@check(
    "runs-nothing",
    "interfaces.FeaturizerProvider.restore: it runs nothing that is in the files",
    "restoration",
)
def _runs_nothing(subject: FeaturizerSubject) -> Problems:
    restorer = subject.restorer
    for name, data in subject.files.items():
        for what, evil in Tattler.versions(data):

            def use(evil: bytes = evil, name: str = name) -> None:
                restored = restorer.restore({**subject.files, name: evil})
                restored.featurize(subject.pixels[:1])

            if Tattler.ran_in(use):
                yield f"code in {name} {what} was run"
