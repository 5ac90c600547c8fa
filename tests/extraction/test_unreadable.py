"""The account of images that cannot be read."""

import logging

import pytest

from landmarks.extraction import TooManyUnreadableError, UnreadableImages


def test_each_image_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    account = UnreadableImages(limit=5)
    with caplog.at_level(logging.WARNING):
        account.account([("00aa", "image 00aa: truncated")])
        account.account([("00aa", "image 00aa: truncated"), ("00bb", "image 00bb: empty")])
    assert [record.getMessage() for record in caplog.records] == [
        "left out: image 00aa: truncated",
        "left out: image 00bb: empty",
    ]
    assert set(account.reasons) == {"00aa", "00bb"}


def test_past_the_limit_the_run_stops_with_names_and_advice() -> None:
    account = UnreadableImages(limit=1)
    account.account([("00aa", "image 00aa: truncated")])
    with pytest.raises(TooManyUnreadableError, match=r"(?s)image 00bb: empty.*data\.max_unreadable"):
        account.account([("00bb", "image 00bb: empty")])
    with pytest.raises(TooManyUnreadableError):
        UnreadableImages(limit=0).account([("00aa", "image 00aa: truncated")])


def test_a_batch_without_a_single_readable_image_is_an_error() -> None:
    import torch

    batch = {"image": torch.empty(0, 3, 0, 0), "unreadable": [("00aa", "image 00aa: truncated")]}
    with pytest.raises(TooManyUnreadableError, match="No image of a training batch could be read"):
        UnreadableImages(limit=9).on_train_batch_start(None, None, batch, 0)  # type: ignore[arg-type]


def test_a_resumed_run_goes_on_counting() -> None:
    first = UnreadableImages(limit=1)
    first.account([("00aa", "image 00aa: truncated")])
    second = UnreadableImages(limit=1)
    second.load_state_dict(first.state_dict())
    with pytest.raises(TooManyUnreadableError):
        second.account([("00bb", "image 00bb: empty")])
