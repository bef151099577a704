"""Settings: defaults, then ``config.toml``, then the environment, then options; the last one wins.

Every setting stands in ``batchcls/config_template.toml`` with a comment; a test compares the two.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from batchcls.configreading import LISTS, below, read_config, suggestion
from batchcls.errors import ConfigError
from batchcls.reportpath import literal
from batchcls.text import shown

CONFIG_FILE = "config.toml"
CONFIG_VARIABLE = "BATCHCLS_CONFIG"

FramingChoice = Literal["auto", "crop", "square", "stretch", "pad"]
LogLevel = Literal["auto", "quiet", "normal", "verbose"]
LogFormat = Literal["text", "json"]


class RunSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[run]``: what is classified, by what, into what."""

    images: list[str] = []
    model: str | None = None
    output: str = "report.csv"
    jobs: Annotated[int, Meta(ge=0, le=1024)] = 0
    max_errors: int | str = 0
    min_images: Annotated[int, Meta(ge=0)] = 0
    new_only: bool = False
    since: str = ""
    shard: str = ""
    wait: Annotated[float, Meta(ge=0)] = 0.0
    keep_reports: Annotated[int, Meta(ge=0)] = 0
    summary: str = ""
    html: str = ""
    on_end: list[str] = []
    engine: str = "local"


class TrainSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[train]``: how a model is made."""

    tags: str | list[str] | None = None
    images: str | None = None
    featurizer: str = "auto"
    classifier: str = "logistic"
    framing: FramingChoice = "auto"

    @property
    def sources(self) -> list[str]:
        """The files and folders of tags, of which the later one wins; none are an empty list."""
        tags = self.tags or []
        return [tags] if isinstance(tags, str) else tags


class ScanSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[scan]``: which files count."""

    include: list[str] = []
    exclude: list[str] = []
    hidden: bool = False
    follow_links: bool = False
    all_files: bool = False


class DecodeSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[decode]``: how files are read."""

    max_pixels: Annotated[int, Meta(ge=1)] = 250_000_000
    max_bytes: Annotated[int, Meta(ge=1)] = 1_000_000_000
    max_seconds: Annotated[float, Meta(gt=0)] = 60.0
    guard: bool = True
    pillow_plugins: list[str] = []


class StoreSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[store]``: what is kept of earlier runs."""

    enabled: bool = True
    folder: str = ""
    max_gigabytes: Annotated[float, Meta(ge=0)] = 10.0


class StorageSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[storage]``: how images at URLs are read."""

    connections: Annotated[int, Meta(ge=1, le=1024)] = 16
    retries: Annotated[int, Meta(ge=0, le=100)] = 5
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 30.0


class ReportSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[report]``: what stands in the report."""

    top: Annotated[int, Meta(ge=1)] = 1
    scores: bool = False
    explain: bool = False
    review_below: Annotated[float, Meta(ge=0, le=1)] = 0.0
    unknown: bool = True
    thumbnails: Annotated[int, Meta(ge=0, le=20_000)] = 500


class LogSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[log]``: what `run` says, and how."""

    level: LogLevel = "auto"
    format: LogFormat = "text"


class ModelsSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[models]``: where pretrained networks are kept, and whether they may be downloaded."""

    folder: str = ""
    download: bool = True
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 10.0


class InceptionSettings(msgspec.Struct, forbid_unknown_fields=True):
    """``[inception]``: where Inception comes from. Without an address nothing is downloaded."""

    graph: str = "assets/inception/tensorflow_inception_graph.pb"
    addresses: list[str] = msgspec.field(
        default_factory=lambda: [
            "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip"
        ]
    )
    archive_sha256: str = "d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364"
    graph_sha256: str = "a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f"


# A variable's text is one of them, or several that are separated by commas.
_TEXT_OR_LIST = {("train", "tags")}
Options = dict[str, dict[str, Any]]
_CHOICES = {
    "train -> framing": FramingChoice,
    "log -> level": LogLevel,
    "log -> format": LogFormat,
}


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """All settings, a section each, but for six.

    ``plugins`` are files, ``installed_plugins`` patterns of packages; ``classifier``,
    ``featurizer`` and ``engine`` hold the options of each by name (``[classifier.knn]``), which are
    checked when it is known what they belong to, ``filesystem`` those of fsspec's by protocol.
    """

    plugins: list[str] = []
    installed_plugins: list[str] = msgspec.field(default_factory=lambda: ["*"])
    classifier: Options = {}
    featurizer: Options = {}
    engine: Options = {}
    filesystem: Options = {}
    run: RunSettings = msgspec.field(default_factory=RunSettings)
    train: TrainSettings = msgspec.field(default_factory=TrainSettings)
    scan: ScanSettings = msgspec.field(default_factory=ScanSettings)
    decode: DecodeSettings = msgspec.field(default_factory=DecodeSettings)
    store: StoreSettings = msgspec.field(default_factory=StoreSettings)
    storage: StorageSettings = msgspec.field(default_factory=StorageSettings)
    report: ReportSettings = msgspec.field(default_factory=ReportSettings)
    log: LogSettings = msgspec.field(default_factory=LogSettings)
    models: ModelsSettings = msgspec.field(default_factory=ModelsSettings)
    inception: InceptionSettings = msgspec.field(default_factory=InceptionSettings)


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "run": RunSettings,
    "train": TrainSettings,
    "scan": ScanSettings,
    "decode": DecodeSettings,
    "store": StoreSettings,
    "storage": StorageSettings,
    "report": ReportSettings,
    "log": LogSettings,
    "models": ModelsSettings,
    "inception": InceptionSettings,
}


def load_settings(config: str | None, environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    ``config`` names the file; without it, BATCHCLS_CONFIG does, and without that ``config.toml``
    in the current folder is read if there is one. Raises ConfigError, which names the file and the
    key.
    """
    path = _config_path(config, environment)
    settings = Settings()
    if path:
        known = {section: struct.__struct_fields__ for section, struct in SECTIONS.items()}
        settings = _convert(read_config(path, known), shown(path), strict=True)
    # Their defaults, too, are relative to the configuration.
    settings.inception.graph = below(os.path.dirname(path), settings.inception.graph)
    if settings.run.output == RunSettings().output:
        settings.run.output = default_output(config, environment)
    return _with_environment(settings, environment)


def default_output(config: str | None, environment: Mapping[str, str], *, ending: str = "") -> str:
    """Give where the report goes where nobody says so; ``ending`` is put before its suffix."""
    folder = literal(os.path.dirname(_config_path(config, environment)))
    stem, suffix = os.path.splitext(RunSettings().output)
    return os.path.join(folder, f"{stem}{ending}{suffix}")


def _config_path(config: str | None, environment: Mapping[str, str]) -> str:
    """Give the configuration file that counts, or ""."""
    path = config or environment.get(CONFIG_VARIABLE) or ""
    return CONFIG_FILE if not path and os.path.isfile(CONFIG_FILE) else path


def _convert(data: Mapping[str, Any], where: str, *, strict: bool) -> Settings:
    try:
        return msgspec.convert(data, Settings, strict=strict)
    except msgspec.ValidationError as error:
        match = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", str(error), re.S)
        message, key = (match[1], match[2]) if match else (str(error), "")
        key = (key or "").replace(".", " -> ")
        message = message[:1].lower() + message[1:].replace("`", "")
        if key in _CHOICES and message.startswith("invalid enum"):  # says what it got
            message = f"expected one of {', '.join(get_args(_CHOICES[key]))}, got{message[18:]}"
        else:
            message = re.sub(r"\w+( \| null)?", _in_words, message).replace(" | ", " or ")
        place = where if where.startswith("--") else f"{where}: {key}"
        raise ConfigError(f"{place}: {message}") from None


_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a fraction",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}


def _in_words(match: re.Match[str]) -> str:
    return _WORDS.get(match[0].removesuffix(" | null"), match[0])


def _with_environment(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Apply ``BATCHCLS_SECTION_KEY`` variables; a list's items are separated by commas.

    An empty variable counts as not set, but for a list, which it empties.
    """
    for key in LISTS:
        text = environment.get(f"BATCHCLS_{key}".upper())
        if text is not None:
            setattr(settings, key, _items(text))
    for section, struct in SECTIONS.items():
        current = getattr(settings, section)
        prefix = f"BATCHCLS_{section}_".upper()
        known = [f"{prefix}{key.upper()}" for key in struct.__struct_fields__]
        for variable in environment:
            if variable.startswith(prefix) and variable not in known:
                raise ConfigError(
                    f"the variable {shown(variable)}: there is no such setting",
                    hint=suggestion(variable, known, "Variables"),
                )
        for key in struct.__struct_fields__:
            variable = f"BATCHCLS_{section}_{key}".upper()
            text = environment.get(variable)
            is_list = isinstance(getattr(current, key), list)
            if text is None or (text == "" and not is_list):
                continue
            several = is_list or ((section, key) in _TEXT_OR_LIST and "," in text)
            value = _items(text) if several else text
            parsed = _convert({section: {key: value}}, f"the variable {variable}", strict=False)
            setattr(current, key, getattr(getattr(parsed, section), key))
    return settings


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def override(section: msgspec.Struct, options: Mapping[str, Any]) -> None:
    """Set ``options`` in a section, in place. Raises ConfigError for a value it can't take."""
    for key, value in options.items():
        name = next(name for name, struct in SECTIONS.items() if isinstance(section, struct))
        option = "--log-format" if name == "log" else f"--{key.replace('_', '-')}"
        parsed = _convert({name: {key: value}}, option, strict=True)
        setattr(section, key, getattr(getattr(parsed, name), key))
