"""A display of progress that remembers what it is to show."""


class Shown:
    """Stands for `landmarks.progress.Progress`: `shown` has (done, total, title) of each work, `said` the lines."""

    def __init__(self) -> None:
        self.shown: dict[str, list[tuple[int, int | None, str | None]]] = {}
        self.said: list[str] = []

    def show(self, name: str, done: int, total: int | None, unit: str, title: str | None = None) -> None:
        self.shown.setdefault(name, []).append((done, total, title))

    def hide(self, name: str) -> None:
        pass

    def say(self, message: str, style: str = "") -> None:
        self.said.append(message)
