"""The checks of a featurizer as far as it featurizes; ``featurizerfiles`` has the rest."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from batchcls.records import NetworkInfo
from batchcls.testing import data
from batchcls.testing.comparing import difference, differing_in_threads
from batchcls.testing.fitting import name_problems
from batchcls.testing.optionchecks import OPTIONS_RULE, option_problems
from batchcls.testing.running import Check, Problems, RaisedError, adder, doing
from batchcls.testing.subjects import FeaturizerSubject, counted, featurize

CHECKS: list[Check[FeaturizerSubject]] = []
check = adder(CHECKS)

_DIGEST = re.compile(r"[0-9a-f]{64}", re.A)
_MEMBERS = ("name", "digest", "input_size", "dimension", "featurize", "to_files")
_THREADS = 4
_THREAD_SECONDS = 0.3


@check(
    "interface",
    f"interfaces.Featurizer: it has {', '.join(_MEMBERS)}; a provider has name, create and restore",
)
def _interface(subject: FeaturizerSubject) -> Problems:
    for member in _MEMBERS:
        if not hasattr(subject.featurizer, member):
            yield f"the featurizer has no {member}"
    for member in ("name", "restore") if subject.provider is not None else ():
        if not hasattr(subject.provider, member):
            yield f"the provider has no {member}"


@check(
    "name",
    "interfaces.Featurizer.name: a line of 1 to 200 characters, and the provider's own, by which a "
    "model finds what restores it, unless restored_by names another",
    "interface",
)
def _name(subject: FeaturizerSubject) -> Problems:
    name = subject.featurizer.name
    yield from name_problems(name)
    if subject.provider is None:
        return
    if subject.provider.name != name and not getattr(subject.featurizer, "restored_by", ""):
        yield f"its name is {name!r}, its provider's is {subject.provider.name!r}"


@check("description", "interfaces.FeaturizerProvider.description: a provider has some words for it")
def _description(subject: FeaturizerSubject) -> Problems:
    if subject.provider is None:
        return
    described = getattr(subject.provider, "description", None)
    if not isinstance(described, str) or not described.strip():
        yield f"the provider's description is {described!r}"


@check("options", OPTIONS_RULE)
def _options(subject: FeaturizerSubject) -> Problems:
    if subject.provider is not None:
        yield from option_problems(subject.provider.create, subject.options)


@check(
    "about",
    "interfaces.FeaturizerProvider: about(context), if it is there, gives a NetworkInfo whose "
    "fields are of their types",
)
def _about(subject: FeaturizerSubject) -> Problems:
    about: Any = getattr(subject.provider, "about", None)
    if about is None:
        return
    with doing("about(context)"):
        info = about(subject.context)
    if not isinstance(info, NetworkInfo):
        yield f"about gave {info!r:.100}"
        return
    size: Any = info.size
    if info.at_hand is not None and not isinstance(info.at_hand, bool):
        yield f"at_hand is {info.at_hand!r}"
    if size is not None and (not isinstance(size, int) or size < 0):
        yield f"size is {size!r}"
    for field in ("licence", "origin", "place", "note"):
        if not isinstance(getattr(info, field), str):
            yield f"{field} is {getattr(info, field)!r}"


@check(
    "sizes",
    "interfaces.Featurizer: input_size and dimension are positive numbers, int",
    "interface",
)
def _sizes(subject: FeaturizerSubject) -> Problems:
    for member in ("input_size", "dimension"):
        number = getattr(subject.featurizer, member)
        if type(number) is not int or number < 1:
            yield f"{member} is {number!r}, of type {type(number).__name__}"


@check(
    "digest",
    "interfaces.Featurizer.digest: SHA-256, 64 digits of lower-case hex, the same for the same "
    "weights and preprocessing",
    "interface",
)
def _digest(subject: FeaturizerSubject) -> Problems:
    digest = subject.featurizer.digest
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        yield f"it is {digest!r:.100}"
        return
    with doing("create, for the second time"):
        second = subject.second.digest
    if second != digest:
        yield f"it is {digest!r}; of another, made in the same way, it is {second!r:.100}"


@check(
    "features",
    "interfaces.Featurizer.featurize: it gives finite features, float32 [N, D]",
    "sizes",
)
def _features(subject: FeaturizerSubject) -> Problems:
    for count in (1, 7):
        pixels = subject.pixels[:count]
        with doing(f"featurize on {counted(pixels)}"):
            got = subject.featurizer.featurize(pixels.copy())
        due = [count, subject.featurizer.dimension]
        if not isinstance(got, np.ndarray):
            yield f"for {counted(pixels)} a {type(got).__name__} came, no array"
        elif got.dtype != np.float32 or list(got.shape) != due:
            yield f"{got.dtype} {list(got.shape)} came where float32 {due} was due"
        elif not np.isfinite(got).all():
            yield f"for {counted(pixels)}, values came that are not finite"


@check(
    "plain-pictures",
    "interfaces.Featurizer.featurize: the features of a picture of one colour are finite, too",
    "features",
)
def _plain(subject: FeaturizerSubject) -> Problems:
    for what, picture in data.plain_pictures(subject.featurizer.input_size):
        try:
            if not np.isfinite(featurize(subject.featurizer, picture)).all():
                yield f"for a {what} picture, values came that are not finite"
        except RaisedError as error:
            yield error.amid(f"for a {what} picture")


@check(
    "inputs",
    "interfaces.Featurizer.featurize: it does not write to the pixels, and needs not be able to",
    "features",
)
def _inputs(subject: FeaturizerSubject) -> Problems:
    pixels = subject.pixels[:2].copy()
    with doing(f"featurize on {counted(pixels)}"):
        subject.featurizer.featurize(pixels)
    if not np.array_equal(pixels, subject.pixels[:2]):
        yield "featurize changed the pixels that it was given"
    pixels = subject.pixels[:2].copy()
    pixels.flags.writeable = False
    with doing("featurize on pixels that can't be written to"):
        subject.featurizer.featurize(pixels)


@check(
    "repetition",
    "interfaces.Featurizer.featurize: the same pixels get the same features each time",
    "features",
)
def _repetition(subject: FeaturizerSubject) -> Problems:
    if differs := difference(featurize(subject.featurizer, subject.pixels), subject.features):
        yield f"asked again, {differs}"


@check(
    "memory-layout",
    "interfaces.Featurizer.featurize: pixels may lie in memory in any way",
    "repetition",
)
def _layout(subject: FeaturizerSubject) -> Problems:
    pixels = subject.pixels[:2]
    due = featurize(subject.featurizer, pixels)
    for what, same in (
        ("every other picture of an array", np.repeat(pixels, 2, axis=0)[::2]),
        ("turned channels", np.ascontiguousarray(pixels[..., ::-1])[..., ::-1]),
        ("turned axes", np.ascontiguousarray(pixels.transpose(0, 3, 2, 1)).transpose(0, 3, 2, 1)),
    ):
        try:
            with doing(f"featurize on {what}"):
                got = np.array(subject.featurizer.featurize(same))
        except RaisedError as error:
            yield error
            continue
        if differs := difference(got, due):
            yield f"between pixels that lie side by side and {what}, {differs}"


@check(
    "batch-independence",
    "interfaces.Featurizer.featurize: for an image it must give the same features whatever else is "
    "in the batch, bit for bit",
    "repetition",
    "plain-pictures",
)
def _batch_independence(subject: FeaturizerSubject) -> Problems:
    pixels, whole = subject.pixels, subject.features
    for what, rows in (
        *((f"its image {row} alone", [row]) for row in range(len(pixels))),
        ("the batch turned round", list(range(len(pixels)))[::-1]),
        ("a batch of twice row 3", [3, 3]),
    ):
        if differs := difference(featurize(subject.featurizer, pixels[rows]), whole[rows]):
            yield f"between a batch of {len(pixels)} and {what}, {differs}"
    plain = [picture for _, picture in data.plain_pictures(subject.featurizer.input_size)]
    got = featurize(subject.featurizer, np.concatenate([*plain[:2], pixels[:1]]))
    if differs := difference(got[2:], whole[:1]):
        yield f"between a batch of {len(pixels)} and behind two plain pictures, {differs}"


@check(
    "own-results",
    "interfaces.Featurizer.featurize: what it gave is the caller's, and does not change later",
    "repetition",
)
def _own_results(subject: FeaturizerSubject) -> Problems:
    for count in (1, 2):
        pixels = subject.pixels[:count]
        with doing(f"featurize on {counted(pixels)}"):
            first = subject.featurizer.featurize(pixels.copy())
        kept = first.copy()
        featurize(subject.featurizer, subject.pixels[count : 2 * count])
        if differs := difference(first, kept):
            yield f"in what came for one {counted(pixels)[2:]}, after another, {differs}"


@check(
    "threads",
    "interfaces.Featurizer.featurize: it is called from several threads at once",
    "repetition",
)
def _threads(subject: FeaturizerSubject) -> Problems:
    featurizer = subject.second  # what is made at the first call is not there yet
    try:
        found = differing_in_threads(
            lambda task: featurize(featurizer, subject.pixels[task : task + 1]),
            len(subject.pixels),
            _THREADS,
            _THREAD_SECONDS,
        )
    except RaisedError as error:
        yield error.amid(f"on {_THREADS} threads at once")
        return
    if found:
        yield f"between {_THREADS} threads at once and one, {found[0]}"


@check(
    "telling-apart",
    "interfaces.Featurizer.featurize: different pictures have different features",
    "repetition",
)
def _telling_apart(subject: FeaturizerSubject) -> Problems:
    for row, features in enumerate(subject.features):
        for other in range(row):
            if np.array_equal(features, subject.features[other]):
                yield f"those of pictures {other} and {row} are the same"
