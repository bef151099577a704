"""What keeps a file that crashes, hangs or fills the memory from costing more than itself.

A **guardian** forks a **worker**, which does all the work, and watches it. The worker writes down,
in memory that both share, what each of its threads does to which file (:mod:`.flight`). Where it
dies or hangs, the guardian knows by what, and forks a new one that is told (:mod:`.verdicts`): to
decode the files in question in processes of their own (:mod:`.apart`), or to leave them alone.

Nothing heavy is imported here: the guardian stays small.
"""

from __future__ import annotations

from batchcls.guard.board import InFlight, Stage, left_over
from batchcls.guard.flight import Flight
from batchcls.guard.guardian import guarded
from batchcls.guard.verdicts import Verdicts

__all__ = ["Flight", "InFlight", "Stage", "Verdicts", "guarded", "left_over"]
