"""Count unreadable images, log each once, and stop the run past a threshold.

An image that cannot be decoded is left out of its batch, never replaced by zeros. A few are normal in millions of
photographs; many mean that something is wrong with the data.
"""

import logging
from typing import Any

import pytorch_lightning as pl

from landmarks.errors import LandmarksError

log = logging.getLogger(__name__)


class TooManyUnreadableError(LandmarksError):
    """Raised when more images than allowed could not be read."""


class UnreadableImages(pl.Callback):
    """Callback that counts unreadable images over training and evaluation.

    Args:
        limit: How many different images may fail; the run stops at the next. 0 stops at the first.

    Attributes:
        reasons: Why each unreadable image was left out, by its id.
    """

    def __init__(self, limit: int = 10) -> None:
        self.limit = limit
        self.reasons: dict[str, str] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the images left out of a training batch, before it is used; raise if it holds no readable image."""
        self.account(batch["unreadable"])
        if not len(batch["image"]):
            raise TooManyUnreadableError(
                "No image of a training batch could be read:\n"
                + "\n".join(f"  {why}" for _, why in batch["unreadable"])
                + "\nRepair or remove these images."
            )

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the images left out of an evaluation batch."""
        self.account(batch["unreadable"])

    def account(self, unreadable: list[tuple[str, str]]) -> None:
        """Count and log new failures.

        Args:
            unreadable: Pairs of image id and reason.

        Raises:
            TooManyUnreadableError: More than `limit` different images have failed.
        """
        for image, reason in unreadable:
            if image not in self.reasons:
                self.reasons[image] = reason
                log.warning("left out: %s", reason)
        if len(self.reasons) > self.limit:
            shown = "\n".join(f"  {reason}" for reason in list(self.reasons.values())[:10])
            raise TooManyUnreadableError(
                f"{len(self.reasons)} images could not be read, and data.max_unreadable allows {self.limit}:\n"
                f"{shown}\n"
                "Repair or remove them, or raise data.max_unreadable."
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the failures, so that a resumed run continues to count."""
        return {"reasons": self.reasons}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the failures of the run that is resumed."""
        self.reasons = dict(state_dict["reasons"])
