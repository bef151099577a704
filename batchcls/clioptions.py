"""What several commands of the command line have: options, and settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from msgspec import Struct

    from batchcls.settings import Settings

ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="A model file, or a ready model such as imagenet."),
]
ConfigOption = Annotated[
    str | None,
    typer.Option("--config", help="Configuration file, by default config.toml if there is one."),
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", help="Folder of the paths in TAGS; by default the folder of TAGS."),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=0, max=1024, help="Threads; 0 is one for each core."),
]
TopOption = Annotated[
    int | None, typer.Option("--top", min=1, help="How many labels to give for each image.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but problems.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say also what is done, and how long it takes.")
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help="Take only what matches; may be repeated."),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Leave out what matches; may be repeated."),
]
HiddenOption = Annotated[
    bool | None, typer.Option("--hidden/--no-hidden", help="Take hidden files and folders, too.")
]
FollowOption = Annotated[
    bool | None,
    typer.Option("--follow-links/--no-follow-links", help="Go down into linked folders."),
]
AllFilesOption = Annotated[
    bool | None,
    typer.Option("--all-files/--no-all-files", help="Take every file, whatever its extension."),
]
ExplainOption = Annotated[
    bool | None,
    typer.Option("--explain/--no-explain", help="Name the training images that decided."),
]
TAGS_HELP = "Tags (path, tab, label; or CSV with a header), or a folder with a folder per class."

_ON_END_VARIABLE = "BATCHCLS_RUN_ON_END"


def settings_of(config: str | None) -> Settings:
    """Read the settings, and let the plugins that they name be found."""
    from batchcls.plugins import use_plugins
    from batchcls.remote.filesystems import use_settings
    from batchcls.settings import load_settings

    settings = load_settings(config, os.environ)
    use_plugins(settings.plugins, settings.installed_plugins)
    use_settings(settings)
    return settings


def check_plugins(
    settings: Settings, config: str | None, images: Sequence[str], on_end: Sequence[str] = ()
) -> None:
    """Refuse plugins that lie in a folder of ``images`` before they are imported.

    So too ``on_end``, the program of a configuration that lies in such a folder.
    A stranger's folder may hold a config.toml, too, and be the current one. Where the configuration
    was named by a person, that is their word for it. Raises ConfigError.
    """
    from batchcls.errors import ConfigError
    from batchcls.settings import CONFIG_FILE, CONFIG_VARIABLE
    from batchcls.text import shown

    if config or os.environ.get(CONFIG_VARIABLE):
        return
    roots = [image if os.path.isdir(image) else os.path.dirname(image) or "." for image in images]
    folders = {os.path.join(os.path.realpath(root), "") for root in roots}
    hint = f"If you trust it, name the configuration: --config {CONFIG_FILE}"

    def is_among_images(real: str) -> bool:
        return any(real.startswith(folder) for folder in folders)

    for plugin in settings.plugins:
        if is_among_images(os.path.realpath(plugin)):
            raise ConfigError(
                f"{CONFIG_FILE}: plugins: {shown(plugin)} lies in a folder that is being "
                "classified, and would run as code",
                hint=hint,
            )
    # A variable, too, is a person's word. Else it is the configuration, whose place, or a link's
    # target, counts, and not the program: that may be a shell, and its argument the code.
    if not on_end or _ON_END_VARIABLE in os.environ or not os.path.isfile(CONFIG_FILE):
        return
    if any(is_among_images(find(CONFIG_FILE)) for find in (os.path.abspath, os.path.realpath)):
        raise ConfigError(
            f"{CONFIG_FILE}: run -> on_end: {shown(' '.join(on_end))} would be run, and the "
            f"{CONFIG_FILE} that says so lies in a folder that is being classified",
            hint=hint,
        )


def override(section: Struct, **options: Any) -> None:  # noqa: ANN401 - as many types as options
    """Let the options that were given win over the configuration, checked as strictly."""
    from batchcls.settings import override as override_section

    override_section(section, {key: value for key, value in options.items() if value is not None})


def require_one(*, quiet: bool, verbose: bool) -> None:
    """Refuse opposites."""
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose are opposites")
