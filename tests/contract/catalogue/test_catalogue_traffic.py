"""The contract of traffic and outlook: what the console's first screen counts, on both engines."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Place
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, MINUTE, NOW, delivery, driver, exam, instance

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
IMAGES = Place(CLOUD, Channel.IMAGES, 6 * HOUR)


def came(catalogue: Catalogue, *instants: datetime) -> None:
    """A study at each of the instants."""
    for instant in instants:
        uid = f"1.2.{round(instant.timestamp())}"
        new = instance(1, uid, received=instant)
        catalogue.instances.add([replace(new, header=replace(new.header, sending_ae="CT1"))])


def approved(catalogue: Catalogue, name: str, at: datetime) -> int:
    made = exam(catalogue, name)
    microseconds = round(at.timestamp() * 1e6)
    driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = {microseconds} WHERE id = {made}")
    return made


def confirmed(catalogue: Catalogue, exam_number: int, at: datetime) -> None:
    made = delivery(catalogue, exam_number, State.READY, State.SENDING, due=NOW)
    assert catalogue.queue.move(made, State.DELIVERED, at, "taken", changes={"delivered_at": at})


def ago(*days: float) -> Sequence[datetime]:
    return [NOW - day * DAY - MINUTE for day in days]


def test_a_day_is_counted_by_the_hour_from_its_midnight_to_now(catalogue: Catalogue) -> None:
    came(catalogue, MIDNIGHT, MIDNIGHT + 59 * MINUTE, MIDNIGHT + HOUR, NOW - MINUTE, MIDNIGHT - MINUTE, NOW + MINUTE)
    first = approved(catalogue, "E1", MIDNIGHT + 2 * HOUR)
    approved(catalogue, "E2", MIDNIGHT - MINUTE)
    confirmed(catalogue, first, MIDNIGHT + 3 * HOUR)
    hours = catalogue.traffic.hours(MIDNIGHT, NOW)
    assert (hours.start, len(hours.received)) == (MIDNIGHT, NOW.hour + 1)
    assert (hours.received[0], hours.received[1], hours.received[NOW.hour]) == (2, 1, 1)
    assert [hour for hour, count in enumerate(hours.approved) if count] == [2]
    assert [hour for hour, count in enumerate(hours.confirmed) if count] == [3]


def test_a_sender_s_usual_number_is_the_median_of_the_same_time_of_its_former_days(catalogue: Catalogue) -> None:
    came(catalogue, NOW - HOUR, NOW - 2 * HOUR)  # today
    for day, number in ((1, 3), (2, 4), (3, 5), (4, 4), (5, 4)):
        came(catalogue, *(NOW - day * DAY - n * MINUTE for n in range(1, number + 1)))
    came(catalogue, NOW - 1.9 * DAY)  # later in its day than it is now
    (flow,) = catalogue.traffic.senders(MIDNIGHT, NOW)
    assert (flow.name, flow.last, flow.today, flow.usual) == ("CT1", NOW - HOUR, 2, 4)


def test_a_sender_of_two_days_has_no_usual_number_yet_and_one_of_long_ago_is_not_listed(catalogue: Catalogue) -> None:
    came(catalogue, *ago(1, 2))
    assert [(one.today, one.usual) for one in catalogue.traffic.senders(MIDNIGHT, NOW)] == [(0, None)]
    assert catalogue.traffic.senders(MIDNIGHT + 20 * DAY, NOW + 20 * DAY) == []


def test_a_place_has_its_oldest_approval_and_the_time_by_which_all_will_be_there(catalogue: Catalogue) -> None:
    exams = [exam(catalogue, f"E{n}") for n in range(4)]
    for n, number in enumerate(exams[:2]):
        due = NOW + (n + 1) * HOUR
        one = delivery(catalogue, number, State.READY, due=due)
        catalogue.queue.update(one, legal_due=due)
        catalogue.queue.expect({one.id: NOW + (n + 1) * MINUTE})
    delivery(catalogue, exams[2])  # waits for its approval
    confirmed(catalogue, exams[3], NOW - MINUTE)
    (outlook,) = catalogue.outlooks.of([IMAGES], MIDNIGHT)
    assert (outlook.count, outlook.oldest, outlook.expected) == (2, NOW - 5 * HOUR, NOW + 2 * MINUTE)
    assert outlook.last == NOW - MINUTE
    (empty,) = catalogue.outlooks.of([Place("other", Channel.REPORT, HOUR)], MIDNIGHT)
    assert (empty.count, empty.oldest, empty.expected, empty.last) == (0, None, None, None)


def test_the_counts_of_some_hospitals_are_of_their_studies_exams_and_deliveries_alone(catalogue: Catalogue) -> None:
    for number, name in enumerate(("H1", "H2", "H3", "")):
        new = instance(1, f"1.2.{number}", received=NOW - MINUTE)
        header = replace(new.header, sending_ae=f"CT{number}" if name else "PACS")
        catalogue.instances.add([replace(new, hospital=name, header=header)])
        made = catalogue.exams.number_of(name, "01", "E1", NOW)
        catalogue.exams.links.link(made, [f"1.2.{number}"], "listed", NOW)
        microseconds = round((NOW - MINUTE).timestamp() * 1e6)
        driver(catalogue).execute_sql(f"UPDATE exam SET approved_at = {microseconds} WHERE id = {made}")
        if name == "H2":
            confirmed(catalogue, made, NOW - MINUTE)
        else:
            one = delivery(catalogue, made, State.READY, due=NOW + HOUR)
            catalogue.queue.update(one, legal_due=NOW + (number + 1) * HOUR)
            catalogue.queue.expect({one.id: NOW + (number + 1) * MINUTE})
    counts, senders, outlooks = {}, {}, {}
    for hospitals in ((), ("H1",), ("H2", "H3")):
        hours = catalogue.traffic.hours(MIDNIGHT, NOW, hospitals)
        counts[hospitals] = sum(hours.received), sum(hours.approved), sum(hours.confirmed)
        senders[hospitals] = {one.name for one in catalogue.traffic.senders(MIDNIGHT, NOW, hospitals)}
        assert set(catalogue.search.senders(NOW - HOUR, hospitals)) == senders[hospitals]
        (outlook,) = catalogue.outlooks.of([IMAGES], MIDNIGHT, hospitals)
        outlooks[hospitals] = outlook.count, outlook.oldest, outlook.expected, outlook.last
    assert counts == {(): (4, 4, 1), ("H1",): (1, 1, 0), ("H2", "H3"): (2, 2, 1)}
    assert senders == {(): {"CT0", "CT1", "CT2", "PACS"}, ("H1",): {"CT0"}, ("H2", "H3"): {"CT1", "CT2"}}
    assert outlooks == {
        (): (3, NOW - 5 * HOUR, NOW + 4 * MINUTE, NOW - MINUTE),
        ("H1",): (1, NOW - 5 * HOUR, NOW + MINUTE, None),
        ("H2", "H3"): (1, NOW - 3 * HOUR, NOW + 3 * MINUTE, NOW - MINUTE),
    }


def test_a_sender_of_two_chosen_hospitals_is_one_card(catalogue: Catalogue) -> None:
    for number, name in enumerate(("H1", "H2")):
        new = instance(1, f"1.2.{number}", received=NOW - MINUTE)
        catalogue.instances.add([replace(new, hospital=name, header=replace(new.header, sending_ae="PACS"))])
    (flow,) = catalogue.traffic.senders(MIDNIGHT, NOW, ("H1", "H2"))
    assert (flow.name, flow.today) == ("PACS", 2)
