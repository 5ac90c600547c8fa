from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from landmarks.data.transfer.answers import NotServedError, Served, require_success, served_file, whole_size
from landmarks.data.transfer.patience import DownloadError, SetbackError


def answer(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.reason = status, "http://host/a.tar", "Reason"
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def test_what_headers_say() -> None:
    said = served_file(answer(200, Content_Length="12", ETag='"abc"', Last_Modified="Thu, 01 Jan 1970 00:01:00 GMT"))
    assert said == Served(12, '"abc"', 60.0)
    assert served_file(answer(200, Content_Length="-3", ETag='W/"abc"', Last_Modified="lately")) == Served()


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotServedError), (403, NotServedError), (400, DownloadError), (429, SetbackError), (503, SetbackError)],
)
def test_what_is_no_file(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"status {status} Reason") as caught:
        require_success(answer(status))
    assert type(caught.value) is error


def test_servers_may_ask_for_a_pause() -> None:
    def wait(value: str) -> float:
        with pytest.raises(SetbackError) as caught:
            require_success(answer(503, Retry_After=value))
        return caught.value.wait

    assert wait("7") == 7 and wait("99999999") == 900
    assert wait("soon") == wait("-5") == wait(format_datetime(datetime.now(UTC) - timedelta(hours=1))) == 0
    assert 50 < wait(format_datetime(datetime.now(UTC) + timedelta(minutes=1))) <= 60


def test_size_of_the_whole() -> None:
    assert whole_size(answer(200, Content_Length="9"), 4) == 9
    assert whole_size(answer(206, Content_Range="bytes 4-8/9"), 4) == 9
    assert whole_size(answer(416, Content_Range="bytes */4"), 4) == 4
    assert whole_size(answer(200), 4) is None


@pytest.mark.parametrize("said", ["bytes 3-8/9", "bytes 4-8/*", "octets", "", "bytes */9"])
@pytest.mark.parametrize("status", [206, 416])
def test_other_ranges_are_refused(status: int, said: str) -> None:
    with pytest.raises(SetbackError, match=f"status {status} with the range"):
        whole_size(answer(status, Content_Range=said), 4)
