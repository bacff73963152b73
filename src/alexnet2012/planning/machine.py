"""What this machine offers to a workflow: cores, cards, memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from alexnet2012.config.schema import RunConfig
from alexnet2012.cpu import count_usable_cores
from alexnet2012.planning.disk import usable_memory_bytes
from alexnet2012.planning.work import TrainingWork, Work
from alexnet2012.provenance import describe_hardware


@dataclass(frozen=True)
class Machine:
    """`cards` None: no GPU can be used, and trainings run on cores."""

    cores: int
    cards: int | None
    memory_bytes: int
    hardware: str

    def most_at_once(self, pending: Sequence[TrainingWork]) -> int:
        """How many of these trainings may run side by side at the most crowded moment."""
        return max((self.at_once(training.run, len(pending)) for training in pending), default=0)

    def at_once(self, run: RunConfig, jobs: int) -> int:
        """How many of so many jobs like `run` the workflow runs side by side: a card each, or torch_threads cores.

        One at least: a job that asks for more cores than there are gets those that there are.
        """
        slots = self.cores // run.training.torch_threads
        if self.cards is not None:
            slots = min(slots, self.cards)
        return max(1, min(slots, jobs))


def look_at_machine(work: Work) -> Machine:
    """Cores as the workflow counts them; cards only where a run may use them, for asking costs the import of torch."""
    cards = 0
    if any(training.run.runtime.device != "cpu" for training in work.trainings):
        import torch

        cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = "cuda" if cards else "cpu"
    return Machine(count_usable_cores(), cards or None, usable_memory_bytes(), describe_hardware(device))
