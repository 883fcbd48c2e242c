"""The contract of users: one for each name for ever, every try counted, the same to every node."""

from dataclasses import replace
from datetime import timedelta

from router.catalogue import Catalogue
from router.catalogue.node.users import User
from router.policy.lockout import LOCKED_FOR, MOST
from router.policy.passwords import LASTS
from router.policy.roles import Role
from support.catalogue_rows import MINUTE, NOW, Database, at_once

WANG = User(name="Wang", role=Role.OPERATOR, secret="s", changed=NOW, created=NOW)


def test_a_user_is_read_as_it_was_written_by_every_node(database: Database) -> None:
    mine, other = database.open(), database.open()
    zhang = replace(WANG, name="张三", hospitals=("人民医院", "b,c"), former=("x", "y"), seen=NOW, locked=NOW)
    assert mine.users.add(WANG)
    assert mine.users.add(zhang)
    assert list(other.users.all()) == [WANG, zhang]
    assert other.users.of(" wANG ") == WANG
    assert other.users.of("li") is None
    for one in (mine, other):
        one.engine.close_thread()


def test_a_name_is_given_once_whatever_its_case_also_by_many_at_once_and_after_a_removal(catalogue: Catalogue) -> None:
    jobs = [
        lambda name=name: catalogue.users.add(replace(WANG, name=name)) for name in ("wang", "WANG", "Wang", "ｗang")
    ]
    assert sum(at_once(catalogue, jobs)) == 1
    assert catalogue.users.change("wang", removed=NOW, secret="") is not None
    assert not catalogue.users.add(WANG)
    assert catalogue.users.all() == []
    assert catalogue.users.change("wang", disabled=False) is None, "who is removed stays so"
    assert catalogue.users.begin_try("wang", NOW) is None


def test_tries_at_once_are_all_counted_and_lock_the_user_for_a_while(catalogue: Catalogue) -> None:
    catalogue.users.add(WANG)
    let_in = at_once(catalogue, [lambda: catalogue.users.begin_try("wang", NOW) is not None for _ in range(MOST + 3)])
    assert sum(let_in) == MOST
    assert catalogue.users.begin_try("wang", NOW + LOCKED_FOR - MINUTE) is None
    assert catalogue.users.begin_try("wang", NOW + LOCKED_FOR) is not None


def test_a_good_login_forgets_the_failures_and_is_noted(catalogue: Catalogue) -> None:
    catalogue.users.add(WANG)
    for _ in range(3):
        for _ in range(MOST - 1):
            assert catalogue.users.begin_try("wang", NOW) is not None
        catalogue.users.end_try("wang", NOW + MINUTE)
    assert catalogue.users.of("wang") == replace(WANG, seen=NOW + MINUTE)


def test_who_is_disabled_does_not_try_and_who_does_not_exist_neither(catalogue: Catalogue) -> None:
    catalogue.users.add(WANG)
    catalogue.users.change("wang", disabled=True)
    assert catalogue.users.begin_try("wang", NOW) is None
    assert catalogue.users.begin_try("li", NOW) is None


def test_a_password_is_changed_when_another_set_it_and_when_it_is_old() -> None:
    assert WANG.must_change(NOW)
    own = replace(WANG, initial=False)
    assert not own.must_change(NOW + LASTS - timedelta(seconds=1))
    assert own.must_change(NOW + LASTS)


def test_no_password_is_in_a_printed_user() -> None:
    assert "hash" not in repr(replace(WANG, secret="hash", former=("hash",)))
