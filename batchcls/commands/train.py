"""``batchcls train``: tags → a model file, and a table of what to expect of it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batchcls import assembly, modelfile, trainingassembly
from batchcls.atomic import output_file
from batchcls.commands.pluginwarnings import warn_of_plugins
from batchcls.commands.replace import Replacement
from batchcls.corrections import told
from batchcls.errors import OutputError, PluginFailedError, UsageError
from batchcls.locations import is_url, without_secrets
from batchcls.model import Model
from batchcls.plugins import registry
from batchcls.reading import beginning_of
from batchcls.text import plural, shown
from batchcls.training import too_few_classes, train

if TYPE_CHECKING:
    from batchcls.corrections import Merged
    from batchcls.manifest import Manifest
    from batchcls.settings import Settings
    from batchcls.terminal import Terminal
    from batchcls.training import Training


DEFAULT_OUTPUT = "model.batchcls"


def train_command(
    settings: Settings,
    output: str | None,
    terminal: Terminal,
    *,
    if_better: bool = False,
    held_out: str | None = None,
) -> None:
    """Train from the tags that the settings name, and write the model.

    It goes to ``output``, or to the file that the configuration names as the model. With
    ``if_better`` a model that stands there is replaced by one that is not worse only: on the images
    of the tags ``held_out``, or without them by cross-validation.
    """
    output = _output(settings, output)
    if not settings.train.sources:
        raise UsageError(
            "no tags: nothing to learn from",
            hint="Name a file of tags: batchcls train tags.tsv",
        )
    _check_output(output, if_better=if_better)
    _warn_of_options(settings, terminal)
    merged = trainingassembly.merged_tags(
        settings, settings.train.sources, settings.train.images, too_few_classes
    )
    tags = merged.tags
    _tell_corrections(merged, terminal)
    replacement = Replacement(settings, terminal, output, merged, held_out) if if_better else None
    store = assembly.open_store(settings, terminal)
    file = output_file(output)  # before the work: a place that can't be written to is told at once
    try:
        context = trainingassembly.training_context(settings, terminal, tags)
        parts = trainingassembly.training_parts(settings, context, store)
        warn_of_plugins(terminal)
        if replacement is not None:
            replacement.measure_present(store)
        with terminal.progress("featurizing", total=len(tags)) as advance:
            training = train(tags, parts, advance)
        packed = training.model.pack()
        manifest = _checked(packed)
        verdict = None
        if replacement is not None:
            verdict = replacement.judge(training, manifest, store)
        if verdict is None or not verdict.keeps_present:
            file.write(packed)
            if replacement is not None:
                replacement.keep_present()
            file.commit()
        file.discard()
    except BaseException:
        file.discard()
        raise
    finally:
        if store is not None:
            store.close()
    _tell_effort(training, len(tags), terminal)
    with contextlib.suppress(OutputError):  # the model is there, whoever reads the table
        _print(training, settings, terminal)
        size = f"({len(packed) / 1e6:.1f} MB)"
        if replacement is not None:
            replacement.tell(verdict, size)
        else:
            terminal.result(f"model       {shown(output)} {size}")


def _output(settings: Settings, option: str | None) -> str:
    """Give the file that the model goes to. UsageError for the name of a ready model."""
    configured = settings.run.model
    ready = registry().ready_models
    output = option
    if output is None:
        output = DEFAULT_OUTPUT if configured is None or configured in ready else configured
    if output in ready:
        raise UsageError(
            f"{output}: the name of a ready model", hint=f"Name a file: {output}{modelfile.SUFFIX}"
        )
    return output


def _tell_corrections(merged: Merged, terminal: Terminal) -> None:
    """Tell what each source of tags changed in those before it, and which classes are gone."""
    for correction in merged.corrections:
        summary, *changes = told(correction)
        terminal.event(
            "tags",
            summary,
            source=shown(correction.source),
            changed=len(correction.changed),
            added=correction.added,
            confirmed=correction.confirmed,
        )
        for line in changes:
            terminal.say(line)
    for name in merged.vanished:
        terminal.say(f"The class {shown(name)} is gone: all its images have another label now.")


def _check_output(output: str, *, if_better: bool) -> None:
    """Refuse to put the model in the place of what is none, such as the tags."""
    if if_better and is_url(output):
        raise UsageError(
            f"{shown(without_secrets(output))}: the model that is compared with "
            "--replace-if-better is a file on this machine",
            hint="Train to a file, and copy it; or leave --replace-if-better out.",
        )
    if beginning_of(output, 2) not in {b"", b"PK"} and not output.endswith(modelfile.SUFFIX):
        raise UsageError(
            f"{shown(output)}: something else than a model, and would be lost",
            hint=f"Name another file, such as my{modelfile.SUFFIX}, or remove that one.",
        )


def _checked(packed: bytes) -> Manifest:
    """Make sure that the model will load tomorrow, before it takes another's place."""
    try:
        return Model.from_contents(modelfile.unpack(packed)).manifest
    except (ValueError, UsageError) as error:
        raise PluginFailedError(
            f"the model could not be loaded again: {error}", hint="It was not written."
        ) from error


def _warn_of_options(settings: Settings, terminal: Terminal) -> None:
    """Tell of options of what does not exist: most likely a name that is mistyped."""
    known: dict[str, list[str]] = {
        "featurizer": list(registry().featurizers),
        "classifier": list(registry().classifiers),
    }
    for kind, names in known.items():
        for name in getattr(settings, kind):
            if name not in names and name != "auto":
                listed = ", ".join(shown(one) for one in sorted(names))
                terminal.warn(
                    f"[{kind}.{shown(name)}]: there is no {kind} of that name, only {listed}"
                )


def _tell_effort(training: Training, images: int, terminal: Terminal) -> None:
    """Tell in a verbose log how long what took, in words and as fields."""
    effort = training.effort
    known = f", {effort.recalled:,} of them known from before" if effort.recalled else ""
    terminal.event(
        "features",
        f"features: {plural(images, 'image')} in {effort.features:.1f} s{known}",
        level="debug",
        images=images,
        recalled=effort.recalled,
        seconds=round(effort.features, 3),
    )
    terminal.event("fit", f"fit in {effort.fit:.1f} s", level="debug", seconds=round(effort.fit, 3))


def _print(training: Training, settings: Settings, terminal: Terminal) -> None:
    validation = training.validation
    classes = training.model.classes
    checked = np.bincount(validation.targets[validation.checked], minlength=len(classes))
    right = np.bincount(
        validation.targets[validation.checked[validation.right]], minlength=len(classes)
    )
    rows = [
        [
            shown(name),
            f"{images:,}",
            f"{right[index]:,} of {checked[index]:,}" if checked[index] else "not checked",
        ]
        for index, (name, images) in enumerate(training.images_per_class.items())
    ]
    terminal.table(["class", "images", "right when left out"], rows)
    terminal.result("")
    if validation.accuracy is None or validation.log_loss is None:
        terminal.result(
            "accuracy    not known: no class has a second image to check with. "
            "Tag more images, or try: batchcls evaluate"
        )
    else:
        way = (
            "each image left out in turn"
            if validation.folds == len(validation.checked)
            else f"{validation.folds} folds"
        )
        terminal.result(
            f"accuracy    {validation.accuracy:.3f} ({int(validation.right.sum()):,} of "
            f"{plural(len(validation.checked), 'image')}; cross-validated, {way})"
        )
        terminal.result(f"log-loss    {validation.log_loss:.4f} (cross-validated)")
        alone = sum(count == 1 for count in training.images_per_class.values())
        if alone:
            terminal.result(
                f"            {plural(alone, 'class has', 'classes have')} one image only, "
                "which could not be checked"
            )
    manifest = training.model.manifest
    featurizer = manifest.featurizer
    chosen = " (auto)" if settings.train.featurizer == "auto" else ""
    name = _with_options(featurizer.name, featurizer.options)
    terminal.result(f"featurizer  {name}{chosen}, {featurizer.dimension:,} features")
    losses = ", ".join(
        f"{framing.value} {loss:.4f}" for framing, loss in training.framing_losses.items()
    )
    why = f" (lowest log-loss: {losses})" if losses else ""
    if settings.train.framing == "auto" and not losses:
        why = " (not compared, as nothing could be checked)"
    terminal.result(f"framing     {featurizer.framing}{why}")
    terminal.result(
        f"classifier  {_with_options(manifest.classifier.name, manifest.classifier.options)}"
    )
    terminal.result(f"unknown     {_unknown(training)}")


def _unknown(training: Training) -> str:
    found = training.novelty
    if found is None:
        return "never: too few images, or too much alike, to say what is unlike them"
    return (
        f"beyond distance {found.novelty.threshold:#.2g} of the nearest training images "
        f"({found.beyond:,} of {plural(found.checked, 'image')} were, when left out)"
    )


def _with_options(name: str, options: Mapping[str, Any]) -> str:
    words = [name]
    for key, value in options.items():
        if isinstance(value, list):
            text = ",".join(str(item) for item in value)
        else:
            text = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(shown(f"{key}={text}"))
    return " ".join(words)
