"""Where images are worked on: this machine, or a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

if TYPE_CHECKING:
    from batchcls.context import Context
    from batchcls.engines.dask import DaskEngine
    from batchcls.engines.local import LocalEngine


class Local:
    """Provider of the threads of this machine."""

    name = "local"
    description = "threads of this machine; as many as --jobs says"
    distant = False

    def create(self, context: Context) -> LocalEngine:
        """Make the engine."""
        from batchcls.engines.local import LocalEngine

        return LocalEngine(context.settings.run.jobs)


class Dask:
    """Provider of a Dask cluster."""

    name = "dask"
    description = "a Dask cluster (the extra dask)"
    distant = True

    def create(
        self,
        context: Context,
        *,
        scheduler: str = "",
        images: Annotated[int, Meta(ge=1, le=10_000)] = 64,
        wait: Annotated[float, Meta(gt=0)] = 300.0,
        late: Annotated[float, Meta(gt=0)] = 30.0,
    ) -> DaskEngine:
        """Make the engine, which connects when it is first used."""
        from batchcls.engines.dask import DaskEngine

        return DaskEngine(scheduler, images, wait, late, context.warn)
