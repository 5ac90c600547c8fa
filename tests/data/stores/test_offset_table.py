import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from landmarks.data.stores import NO_OFFSETS, IndexedTar, Offsets, Pictures, TarStamp, merge, select


def tar(name: str, ids: list[int]) -> tuple[IndexedTar, Pictures]:
    numbers = np.array(sorted(ids), dtype=np.uint64)
    places = (numbers % 1000).astype(np.uint32)
    return IndexedTar(name, TarStamp(1, "1"), len(ids)), Pictures(numbers, places + 1, places)


def as_dict(offsets: Offsets) -> dict[int, tuple[str, int, int]]:
    assert (offsets.ids[1:] > offsets.ids[:-1]).all()
    assert sum(entry.pictures for entry in offsets.tars) == len(offsets)
    names = [offsets.tars[number].name for number in offsets.tar]
    rows = zip(names, offsets.block.tolist(), offsets.length.tolist(), strict=True)
    return dict(zip(offsets.ids.tolist(), rows, strict=True))


@given(
    st.lists(st.sets(st.integers(0, 2**64 - 1), max_size=5), max_size=6),
    st.integers(0, 6),
    st.sets(st.integers(0, 5)),
)
def test_tars_go_in_and_out(contents: list[set[int]], first: int, removed: set[int]) -> None:
    seen: set[int] = set()
    parts = []
    for number, ids in enumerate(contents):
        parts.append(tar(f"{number}", list(ids - seen)))
        seen |= ids
    offsets, left_out = merge(NO_OFFSETS, parts[:first])
    offsets, also_left_out = merge(offsets, parts[first:])
    assert not left_out and not also_left_out
    kept = select(offsets, lambda tar: int(tar.name) not in removed)
    expected = {
        int(i): (entry.name, int(i) % 1000 + 1, int(i) % 1000)
        for entry, pictures in parts
        if int(entry.name) not in removed
        for i in pictures.ids
    }
    assert as_dict(kept) == expected
    assert [entry.name for entry in kept.tars] == [e.name for e, _ in parts if int(e.name) not in removed]
    assert [column.dtype for column in (kept.ids, kept.tar, kept.block, kept.length)] == ["u8", "u2", "u4", "u4"]


def test_a_tar_that_repeats_a_picture_is_left_out_whole() -> None:
    offsets, left_out = merge(NO_OFFSETS, [tar("b", [1, 2]), tar("c", [3, 2, 1]), tar("d", [4])])
    assert set(as_dict(offsets)) == {1, 2, 4} and left_out == {"c": ("b", "0000000000000001")}
    # What the index holds already stays, whatever the names are.
    offsets, left_out = merge(offsets, [tar("a", [4, 5]), tar("e", [5])])
    assert set(as_dict(offsets)) == {1, 2, 4} and left_out == {
        "a": ("d", "0000000000000004"),
        "e": ("a", "0000000000000005"),
    }
