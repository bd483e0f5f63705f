"""Who may come in: codes, passwords, sign-ins, pairs, and what an account leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from conftest import MARK, PASSWORD, at_once, planted, traces

from assistant import accounts as module
from assistant.accounts import Accounts
from assistant.errors import AccessError, InputError


class Clock(datetime):
    """A clock that the tests move."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead


@pytest.fixture
def later(monkeypatch):
    def move(**by: float) -> None:
        Clock.ahead += timedelta(**by)

    Clock.ahead = timedelta()
    monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr("assistant.store.database.datetime", Clock)
    return move


def table(store, name):
    return store.database.rows(f"SELECT * FROM {name}")


def test_the_first_account_is_the_keepers_and_there_is_one_first_code(accounts):
    stale, code = accounts.first_code(), accounts.first_code()
    with pytest.raises(InputError):
        accounts.sign_up(stale, "Ana", PASSWORD)
    assert accounts.sign_up(code, "Ana", PASSWORD).keeper
    assert accounts.first_code() is None
    assert not accounts.sign_up(accounts.signup_code("mentee"), "Ben", PASSWORD).keeper


def test_a_code_works_once_in_any_spelling(accounts, people):
    code = accounts.signup_code("mentee")
    accounts.sign_up(f" {code.lower().replace('-', ' ')} ", "Ida", PASSWORD)
    with pytest.raises(InputError, match="used already"):
        accounts.sign_up(code, "Ole", PASSWORD)


def test_two_people_entering_one_code_at_once_make_one_account(accounts, store, people):
    code = accounts.signup_code("mentee")
    names = ("Ida", "Ole", "Kim", "Noa")
    faults = at_once(*(lambda name=name: accounts.sign_up(code, name, PASSWORD) for name in names))
    assert [type(fault) for fault in faults] == [InputError] * 3
    assert store.people.count() == 4


def test_a_sign_up_that_fails_does_not_spend_the_code(accounts, store, people, monkeypatch):
    code = accounts.signup_code("mentee")
    for name, password in (("A", PASSWORD), ("ana", PASSWORD), ("Ida", "short"), ("a\x00b", PASSWORD)):
        with pytest.raises(InputError):
            accounts.sign_up(code, name, password)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(store.people, "add", lambda *_: 1 / 0)
        accounts.sign_up(code, "Ida", PASSWORD)
    assert accounts.sign_up(code, "Ida", PASSWORD).name == "Ida"


def test_codes_expire(accounts, people, later):
    signup, reset, pair = (
        accounts.signup_code("mentee"),
        accounts.reset_code("Ana"),
        accounts.pair_code(people.ana, "mentor"),
    )
    later(days=1.01)
    with pytest.raises(InputError):
        accounts.reset_password(reset, "another pass word")
    later(days=13)
    with pytest.raises(InputError):
        accounts.sign_up(signup, "Ida", PASSWORD)
    with pytest.raises(InputError):
        accounts.join_pair(people.ben, pair)


def test_a_code_made_for_one_purpose_serves_no_other_and_stays_valid(accounts, people):
    signup, reset = accounts.signup_code("mentee"), accounts.reset_code("Ana")
    pair = accounts.pair_code(people.ana, "mentor")
    for code in (reset, pair, "no code", ""):
        with pytest.raises(InputError):
            accounts.sign_up(code, "Ida", PASSWORD)
    for code in (signup, pair):
        with pytest.raises(InputError):
            accounts.reset_password(code, PASSWORD)
    for code in (signup, reset):
        with pytest.raises(InputError):
            accounts.join_pair(people.ben, code)
    accounts.sign_up(signup, "Ida", PASSWORD)
    accounts.reset_password(reset, PASSWORD)
    accounts.join_pair(people.ben, pair)


def test_codes_tokens_and_passwords_are_nowhere_in_the_files_in_plain(accounts, store, people):
    code = accounts.signup_code("mentee")
    token = accounts.sign_in("Ana", PASSWORD, "here")
    with pytest.raises(InputError):
        accounts.sign_in("a secret in the wrong field", PASSWORD, "here")
    for secret in (code, code.replace("-", ""), token, PASSWORD, "a secret in the wrong field"):
        assert traces(store, secret) == 0
    assert all(len(row["code_hash"]) == 64 for row in table(store, "codes"))
    assert [len(row["token_hash"]) for row in table(store, "sign_ins")] == [64]
    assert all(row["password"].startswith("$argon2id$") for row in table(store, "people"))


def test_without_a_word_about_it_passwords_are_hashed_at_full_strength(store):
    hasher, usual = Accounts(store)._hasher, PasswordHasher()
    assert (hasher.time_cost, hasher.memory_cost) == (usual.time_cost, usual.memory_cost)
    assert hasher.memory_cost >= 19 * 1024


def test_names_are_unique_whatever_their_case_and_spaces(accounts, people):
    with pytest.raises(InputError, match="taken"):
        accounts.add_person(" aNA ")
    accounts.reset_password(accounts.add_person("Ida  Berg"), PASSWORD)
    assert accounts.who(accounts.sign_in(" ida   berg ", PASSWORD, "here")).name == "Ida Berg"


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(accounts, people):
    answers = set()
    for name, password in (("Ana", "not this one"), ("Nobody", PASSWORD), ("\ud800\x00", "\udfff")):
        with pytest.raises(InputError) as caught:
            accounts.sign_in(name, password, "here")
        answers.add(str(caught.value))
    assert answers == {module.WRONG}


def test_too_many_wrong_tries_close_the_door_for_one_name_and_address(accounts, people, later):
    for _ in range(module.ATTEMPTS):
        with pytest.raises(InputError, match="do not match"):
            accounts.sign_in("Ana", "not this one", "here")
    with pytest.raises(InputError, match="Too many"):
        accounts.sign_in(" aNA ", PASSWORD, "here")
    assert accounts.sign_in("Ben", PASSWORD, "here")
    assert accounts.sign_in("Ana", PASSWORD, "elsewhere")
    later(minutes=module.ATTEMPT_MINUTES + 1)
    assert accounts.sign_in("Ana", PASSWORD, "here")


def test_one_address_cannot_try_one_name_after_another(accounts, people):
    for turn in range(module.ATTEMPTS_ADDRESS):
        with pytest.raises(InputError, match="do not match"):
            accounts.sign_in(f"Name {turn}", "not this one", "here")
    with pytest.raises(InputError, match="Too many"):
        accounts.sign_in("Ben", PASSWORD, "here")


def test_a_sign_in_ends_when_idle(accounts, people, later):
    token = accounts.sign_in("Ana", PASSWORD, "here")
    for _ in range(3):
        later(hours=11)
        assert accounts.who(token).id == people.ana
    later(hours=12.1)
    assert accounts.who(token) is None


def test_a_sign_in_ends_after_its_days_however_much_it_is_used(accounts, people, later):
    token = accounts.sign_in("Ana", PASSWORD, "here")
    for _ in range(33):
        later(hours=10)
        assert accounts.who(token)
    later(hours=10)
    assert accounts.who(token) is None


def test_what_has_ended_is_not_kept_for_ever(accounts, store, people, later):
    accounts.sign_in("Ana", PASSWORD, "here")
    accounts.signup_code("mentee")
    later(days=15)
    accounts.sign_in("Ben", PASSWORD, "here")
    accounts.signup_code("mentee")
    assert [row["owner"] for row in table(store, "sign_ins")] == [people.ben]
    assert [row["purpose"] for row in table(store, "codes")] == ["signup"]


def test_signing_out_ends_that_sign_in_alone(accounts, people):
    one, two = (accounts.sign_in("Ana", PASSWORD, "here") for _ in range(2))
    accounts.sign_out(one)
    assert accounts.who(one) is None
    assert accounts.who(two).id == people.ana


@pytest.mark.parametrize("token", [None, "", "x", "\ud800", "\x00"])
def test_a_token_nobody_gave_is_nobody(accounts, people, token):
    assert accounts.who(token) is None


def test_a_new_password_ends_every_sign_in_and_the_old_password(accounts, people):
    token = accounts.sign_in("Ana", PASSWORD, "here")
    accounts.reset_password(accounts.reset_code(" ana "), "a new \ud800 password")
    assert accounts.who(token) is None
    with pytest.raises(InputError):
        accounts.sign_in("Ana", PASSWORD, "here")
    assert accounts.sign_in("Ana", "a new \ud800 password", "here")


def test_a_reset_that_fails_half_way_does_not_spend_the_code(accounts, store, people, monkeypatch):
    code = accounts.reset_code("Ana")
    with pytest.raises(InputError, match="at least"):
        accounts.reset_password(code, "short")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(store.people, "set_password", lambda *_: 1 / 0)
        accounts.reset_password(code, "another pass word")
    accounts.reset_password(code, "another pass word")


def test_ones_own_pair_code_is_refused_and_not_spent(accounts, people):
    code = accounts.pair_code(people.eve, "mentor")
    with pytest.raises(InputError, match="your own code"):
        accounts.join_pair(people.eve, code)
    joined = accounts.join_pair(people.ana, code)
    assert (joined["role"], joined["other"]) == ("mentee", "Eve")


def test_roles_belong_to_the_pair_and_anyone_may_have_both(accounts, people):
    accounts.join_pair(people.eve, accounts.pair_code(people.ana, "mentor"))
    roles = {row["other"]: row["role"] for row in accounts.pairs(people.ana)}
    assert roles == {"Ben": "mentee", "Eve": "mentor"}


def test_a_pair_that_is_missing_ended_or_somebody_elses_gets_one_answer(accounts, people):
    answers = []
    for person, pair in ((people.eve, people.pair), (people.ana, "no-such-pair")):
        with pytest.raises(AccessError) as caught:
            accounts.pair(person, pair)
        answers.append(str(caught.value))
        with pytest.raises(AccessError):
            accounts.end_pair(person, pair)
    accounts.end_pair(people.ben, people.pair)
    with pytest.raises(AccessError) as caught:
        accounts.pair(people.ana, people.pair)
    assert answers == [str(caught.value)] * 2
    assert accounts.pairs(people.ana) == accounts.pairs(people.ben) == []


def test_an_ended_pair_can_be_joined_again(accounts, people):
    accounts.end_pair(people.ana, people.pair)
    again = accounts.join_pair(people.ben, accounts.pair_code(people.ana, "mentee"))
    assert again["id"] == people.pair


def test_an_account_goes_with_its_password_alone(accounts, people):
    with pytest.raises(InputError, match="nothing was deleted"):
        accounts.delete(people.ana, "not this one")
    accounts.delete(people.ana, PASSWORD)
    with pytest.raises(AccessError):
        accounts.person(people.ana)


def test_deleting_an_account_leaves_no_byte_of_its_words_its_name_or_its_shares(
    accounts, sharing, store, people
):
    code = accounts.signup_code("mentee")
    person = accounts.sign_up(code, f"{MARK} name", PASSWORD)
    token = accounts.sign_in(f"{MARK} name", PASSWORD, "here")
    with pytest.raises(InputError):
        accounts.sign_in(f"{MARK} name", "not this one", "here")
    pair = accounts.join_pair(people.ben, accounts.pair_code(person.id, "mentee"))["id"]
    ids = planted(store, person.id, MARK)
    sharing.share(person.id, pair, sharing.reflection(person.id, ids["reflection"]))
    sharing.save_note(person.id, pair, "note", MARK)
    [share] = sharing.desk(people.ben)[1]["shares"]
    sharing.reply(people.ben, share["id"], "Ben's own words")
    assert traces(store, MARK)
    accounts.delete(person.id, PASSWORD)
    assert traces(store, MARK) == traces(store, person.id) == 0
    assert accounts.who(token) is None
    assert [row["text"] for row in store.everything_of(people.ben)["replies"]] == ["Ben's own words"]
    assert [row["name"] for row in sharing.desk(people.ben)] == ["Ana"]


def test_welcome_is_remembered(accounts, people):
    assert not accounts.person(people.ana).welcomed
    accounts.welcome(people.ana)
    assert accounts.person(people.ana).welcomed


def test_times_are_in_utc(store, people):
    created = datetime.fromisoformat(store.people.by_id(people.ana)["created"])
    assert created.tzinfo == UTC
