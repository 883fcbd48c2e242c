"""The channel between main and a receive worker."""

import pytest

from router.dicom.channel import Channel, Ended


@pytest.mark.parametrize("unread", [False, True])
def test_the_end_of_the_other_process_is_told_whether_it_had_read_everything_or_not(*, unread: bool) -> None:
    ours, theirs = Channel.pair(1.0)
    if unread:
        ours.send(Ended(1))
    theirs.close()
    assert ours.receive() is None
    ours.close()
