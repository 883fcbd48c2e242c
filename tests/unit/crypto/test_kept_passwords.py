"""Passwords as they are kept: Argon2id at its price, each with a salt of its own."""

from argon2 import Type, extract_parameters

from router.crypto.passwords import NOBODYS, agrees, kept


def test_a_password_is_kept_as_argon2id_that_costs_what_it_should_and_says_nothing_of_itself() -> None:
    one, other = kept("Tulpe-7-Wiese"), kept("Tulpe-7-Wiese")
    found = extract_parameters(one)
    assert (found.type, found.memory_cost, found.time_cost) == (Type.ID, 19 * 1024, 2)
    assert extract_parameters(NOBODYS) == found, "it takes as long for nobody"
    assert one != other
    assert "Tulpe" not in one
    assert agrees(one, "Tulpe-7-Wiese")
    assert agrees(one, "Ｔulpe-７-Wiese"), "as a Chinese input method types it"
    assert not agrees(one, "tulpe-7-Wiese")


def test_what_is_no_hash_agrees_with_nothing() -> None:
    assert [agrees(stored, "x") for stored in ("", "x", NOBODYS[:-3])] == [False] * 3
