"""A fitted estimator as bytes, and back, trusting nothing in them.

skops writes and reads it: a zip of arrays and of ``schema.json``, which tells how the object is put
together, without pickles. skops trusts more than is needed here, though (functions, and any content
of a type that it trusts), so what it wrote is rewritten in a strict form, and only that form is
given to it to read:

- every node of the schema is one of the kinds in ``_Reader``, with a type that ``trustedtypes``
  allows: no functions, methods, partials, sparse matrices, random generators, nor anything by a
  constructor of its own choice;
- no node refers to another (``__id__``), no array is used twice, nothing is compressed, and arrays
  are as long as they claim: nothing grows beyond the size of the file;
- the nodes of decision trees are looked through before scikit-learn, which does not check them,
  makes a tree of them.

The same estimator gives the same bytes.
"""

from __future__ import annotations

import importlib
import io
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as numpy_format

from batchcls.estimators.checks import check_nodes
from batchcls.estimators.trusted import is_trusted
from batchcls.text import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The stubs of older NumPys lack what it has.
npy: Any = numpy_format

State = dict[str, Any]

_SCHEMA = "schema.json"
_MAX_SCHEMA = 512 * 2**20
_MAX_DEPTH = 60
_EPOCH = (1980, 1, 1, 0, 0, 0)

_NULL = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "null"}
_SCALAR = r"(bool_?|u?int(8|16|32|64)|float(16|32|64)|str_)"
# What a node of each kind may be; those that are not here have a method of their own.
_KINDS = {
    "DictNode": r"builtins\.dict|collections\.OrderedDict|sklearn\.utils\._bunch\.Bunch",
    "ListNode": r"builtins\.list",
    "SetNode": r"builtins\.set",
    "TupleNode": r"builtins\.tuple",
    "TypeNode": rf"builtins\.(str|int|float|bool)|numpy\.{_SCALAR}",
    "NdArrayNode": rf"numpy\.(ndarray|{_SCALAR})",
    "JsonNode": r"builtins\.str",
    "BytesNode": r"builtins\.bytes",
    "BytearrayNode": r"builtins\.bytearray",
    "LossNode": r"sklearn\._loss\._loss\.Cy(ExponentialLoss|HalfBinomialLoss|HalfMultinomialLoss)"
    r"|sklearn\.linear_model\._sgd_fast\.(Hinge|Log|ModifiedHuber|SquaredHinge)",
    "TreeNode": r"sklearn\.tree\._tree\.Tree",
}


def dumps(estimator: Any) -> bytes:  # noqa: ANN401 - scikit-learn is untyped
    """Give a fitted estimator as bytes. Raises TypeError or ValueError if it has no such form."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_skops().dumps(estimator))) as archive:
        files: dict[str, str] = {}
        schema = _rewritten(json.loads(archive.read(_SCHEMA)), files)
        with zipfile.ZipFile(out, "w") as rewritten:
            text = json.dumps(schema, separators=(",", ":"))
            rewritten.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), text)
            for name, original in files.items():
                rewritten.writestr(zipfile.ZipInfo(name, _EPOCH), archive.read(original))
    return out.getvalue()


def _skops() -> Any:  # noqa: ANN401 - it has no types
    return importlib.import_module("skops.io")


def _rewritten(value: Any, files: dict[str, str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [_rewritten(item, files) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("__loader__") in {"RandomStateNode", "RandomGeneratorNode"}:
        return dict(_NULL)  # predicting needs no random numbers
    changed = {key: _rewritten(item, files) for key, item in value.items() if key != "__id__"}
    if changed.get("__module__") == "_loss":  # so it calls itself until scikit-learn 1.6
        changed["__module__"] = "sklearn._loss._loss"
    if "__loader__" in value and isinstance(value.get("file"), str):
        # Named by their order: skops names them by where they lie in memory.
        changed["file"] = f"{len(files)}{value['file'][-4:]}"
        files[changed["file"]] = value["file"]
    return changed


def loads(data: bytes, trusted: Collection[str] = ()) -> tuple[Any, str]:
    """Give the estimator, and the scikit-learn that it was fitted with (empty if that is untold).

    ``trusted`` are full names of types beyond those of scikit-learn. Raises ValueError for
    whatever is wrong with ``data``.
    """
    with warnings.catch_warnings():
        # Of another version of scikit-learn; whoever called is told the version.
        warnings.simplefilter("ignore")
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = _members(archive, len(data))
            reader = _Reader(members, trusted)
            schema = json.loads(members.pop(_SCHEMA))
            version = _version(schema)
            try:
                reader.read(schema, 0)
                return _constructed(data, sorted(reader.types)), version
            except ValueError as error:
                raise ValueError(f"{error}{of_other_version(version)}") from None
        except RecursionError:
            raise ValueError("not to be trusted: nested too deeply") from None
        except (zipfile.BadZipFile, EOFError, struct.error, OverflowError, LookupError) as error:
            raise ValueError(f"broken: {_brief(error)}") from None
        except (NotImplementedError, RuntimeError, UnicodeError, TypeError) as error:
            raise ValueError(f"broken: {_brief(error)}") from None


def of_other_version(version: str) -> str:
    """Give the end of a message that says so, if ``version`` is not this scikit-learn's."""
    import sklearn

    here = sklearn.__version__
    if version in {"", here}:
        return ""
    return f" (it was trained with scikit-learn {version}, here is {here}: train it anew)"


def _version(schema: State) -> str:
    try:
        return _brief(json.loads(schema["content"]["content"]["_sklearn_version"]["content"]))
    except (LookupError, TypeError, ValueError):
        return ""


def _constructed(data: bytes, types: list[str]) -> Any:  # noqa: ANN401
    try:
        return _skops().loads(data, trusted=types)
    except Exception as error:  # noqa: BLE001 - what a stranger's content makes of known types
        raise ValueError(f"it can't be put together: {_brief(error)}") from None


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    infos = archive.infolist()
    if len({info.filename for info in infos}) != len(infos):
        raise ValueError("not to be trusted: a member twice")
    total = 0
    for info in infos:
        total += info.file_size
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError("not to be trusted: a member is compressed")
        if total > size or (info.filename == _SCHEMA and info.file_size > _MAX_SCHEMA):
            raise ValueError(f"not to be trusted: a member claims {info.file_size:,} bytes")
    return {info.filename: archive.read(info) for info in infos}


class _Reader:
    """Looks through a schema. Only what it has read of a node is what skops uses of it."""

    def __init__(self, members: dict[str, bytes], trusted: Collection[str]) -> None:
        self._members = members
        self._trusted = trusted
        self.types: set[str] = set()

    def read(self, state: State, depth: int) -> None:
        """Check a node and all that is in it; ValueError for what may not be there."""
        if depth > _MAX_DEPTH:
            raise ValueError("not to be trusted: nested too deeply")
        if "__id__" in state:
            raise ValueError("not to be trusted: a part refers to another")
        kind = str(state["__loader__"])
        module, name = str(state["__module__"]), str(state["__class__"])
        full = f"{module}.{name}"
        pattern = _KINDS.get(kind)
        if kind == "ObjectNode":
            fits = is_trusted(module, name, self._trusted)
        else:
            fits = pattern is not None and re.fullmatch(pattern, full) is not None
        if not fits:
            raise ValueError(
                f"it holds {_brief(full)} as {_brief(kind)}, which is not trusted; trusted are "
                "estimators of scikit-learn that are known to be safe, and what the plugin names"
            )
        if kind in {"ObjectNode", "LossNode", "TreeNode"} or name == "Bunch":
            self.types.add(full)
        if kind == "JsonNode":
            _scalar(state)
        elif kind == "TreeNode":
            self._check_tree(state)
        if "file" in state:
            self._read_member(kind, state)
        for part in _parts(kind, state):
            self.read(part, depth + 1)

    def _read_member(self, kind: str, state: State) -> None:
        # Once only, or a small file could become a large object.
        data = self._members.pop(str(state["file"]))
        if kind == "NdArrayNode":
            _array(data)

    def _check_tree(self, state: State) -> None:
        features, classes, outputs = state["__reduce__"]["args"]["content"]
        content = state["content"]["content"]
        if set(content) != {"max_depth", "node_count", "nodes", "values"}:
            raise ValueError("it holds a tree of another form")
        arrays = []
        for part in (classes, content["nodes"], content["values"]):
            if (part["__loader__"], part["type"], part["__class__"]) != (
                *("NdArrayNode", "numpy", "ndarray"),
            ):
                raise ValueError("it holds a tree whose arrays are none")
            name = str(part["file"])
            arrays.append(_array(self._members[name]))
        check_nodes(_scalar(features), arrays[0], _scalar(outputs), arrays[1], arrays[2])
        if _scalar(content["node_count"]) != len(arrays[1]):
            raise ValueError("it holds a tree of another size than it claims")


def _parts(kind: str, state: State) -> Iterator[State]:
    """Yield the nodes in a node, which are those that skops makes something of."""
    if kind in {"LossNode", "TreeNode"}:
        yield state["__reduce__"]["args"]
    if kind == "DictNode":
        yield state["key_types"]
        yield from state["content"].values()
    elif kind in {"ListNode", "SetNode", "TupleNode"}:
        yield from state["content"]
    elif kind == "NdArrayNode" and state["type"] == "json":
        yield state["shape"]
        yield from state["content"]
    elif kind in {"ObjectNode", "LossNode", "TreeNode"} and state.get("content") is not None:
        yield state["content"]


def _scalar(state: State) -> Any:  # noqa: ANN401
    value = json.loads(state["content"])
    if isinstance(value, (dict, list)):
        raise ValueError("it holds a value of another form")
    return value


def _array(data: bytes) -> NDArray[Any]:
    """Read a ``.npy`` of numbers or text, or of records of numbers, as a view of ``data``."""
    file = io.BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("it holds an array of another form")
    try:
        shape, fortran, dtype = npy.read_array_header_1_0(file, max_header_size=2000)
    except Exception as error:  # noqa: BLE001 - it is read as Python, and fails in many ways
        raise ValueError(f"it holds an array of another form: {_brief(error)}") from None
    start = file.tell()
    count = 1
    for edge in shape:
        count *= edge
    kinds = {field[0].kind for field in (dtype.fields or {}).values()} or {dtype.kind}
    if dtype.hasobject or not kinds <= set("biufU") or min(shape, default=0) < 0:
        raise ValueError("it holds an array of something else than numbers")
    if count * dtype.itemsize != len(data) - start:
        raise ValueError("it holds an array whose size is not what it claims")
    array = np.frombuffer(data, dtype, count, start) if count else np.empty(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _brief(what: object) -> str:
    return shown(str(what))[:200]
