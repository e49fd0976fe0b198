"""Sessions as bands: what was when, whatever order the events come in."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

from audit.show import events
from observability.timeline import UNBOUND, Band, Story
from tests.observability.story import write_story


def told(*logs: Path, shuffle: bool = False) -> Story:
    """Collect the story of these logs."""
    story = Story()
    found = [event for log in logs for event in events(log)]
    if shuffle:
        Random(1).shuffle(found)
    story.take(found)
    return story


def test_both_logs_tell_of_the_same_sessions(tmp_path: Path) -> None:
    """Each session would appear twice, once without its client."""
    gateway, client = write_story(tmp_path, sessions=4, minutes=3)
    story = told(gateway, client)
    born = [session for session in story.sessions.values() if session.born]
    assert len(born) == 4 == len(story.sessions)
    assert all(session.client.steps and session.state.steps for session in born)
    assert all(len(session.name) == 16 for session in born)


def test_bands_do_not_depend_on_the_order_of_the_log(tmp_path: Path) -> None:
    """Evidence stands in the log behind younger telemetry: a session would seem to recover after it was well again."""
    logs = write_story(tmp_path, sessions=4, minutes=3)
    straight, shuffled = told(*logs), told(*logs, shuffle=True)
    assert straight.last
    for key, session in straight.sessions.items():
        other = shuffled.sessions[key]
        for lane in ("state", "carrier", "client"):
            assert getattr(session, lane).bands(straight.last) == getattr(other, lane).bands(straight.last)
        assert session.jumps() == other.jumps()
    assert straight.received == shuffled.received
    assert straight.refused == shuffled.refused


def test_bands_are_without_gaps_and_overlaps_and_end_with_the_session(tmp_path: Path) -> None:
    """A time without any path would be drawn as service, or service as a gap."""
    gateway, _ = write_story(tmp_path, sessions=6, minutes=5)
    story = told(gateway)
    assert story.last
    for session in story.sessions.values():
        until = session.ended or story.last
        for bands in (session.state.bands(until), session.carrier.bands(until)):
            assert all(one.end == two.begin and one.name != two.name for one, two in pairwise(bands))
            assert bands[-1].end == until
        states, carriers = session.state.bands(until), session.carrier.bands(until)
        for band in states:
            if band.name == "RECOVERING" and band.end - band.begin > timedelta(0):
                assert name_at(carriers, band) == UNBOUND
            if band.name == "ATTACHED":
                assert name_at(carriers, band) in {"UDP", "TCP", "QUIC"}
        for jump in session.jumps():
            if jump.reason != "REKEYED":
                assert jump.recovery_us is not None
        assert session.jumps_to_other_paths() < len(session.jumps()) or not any(jump.reason == "REKEYED" for jump in session.jumps())


def name_at(bands: list[Band], moment: Band) -> str:
    """Return what another lane shows in the middle of a band."""
    middle = moment.begin + (moment.end - moment.begin) / 2
    return next(band.name for band in bands if band.begin <= middle <= band.end)
