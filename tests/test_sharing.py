"""What one person lets the other see, and that nothing else ever reaches them."""

from __future__ import annotations

import json
import re

import pytest
from conftest import PASSWORD, planted, traces

from assistant.errors import AccessError, InputError
from assistant.sharing import Draft


def on_page(store, owner, text="What would you do?", **more):
    """Put a question on the owner's open meeting page; return its id."""
    meeting = store.meetings.open(owner)["id"]
    return store.meetings.add_item(owner, meeting, {"kind": "question", "text": text, **more})


def shown(sharing, viewer):
    """Return everything that the viewer's page can read, as text."""
    return json.dumps(sharing.desk(viewer), ensure_ascii=False)


def payloads(sharing, viewer):
    return [share["payload"] for share in sharing.desk(viewer)[0]["shares"]]


def test_the_desk_holds_exactly_what_was_shared_and_no_other_planted_word(store, sharing, people):
    planted(store, people.ana, "CANARY")
    item = on_page(store, people.ana, "CANARY unshared?", quote="CANARY quote")
    store.reflections.save(people.ana, "CANARY other text")
    shared = store.goals.save(people.ana, "Speak up in the weekly meeting", "CANARY context")
    sharing.share(people.ana, people.pair, sharing.goal(people.ana, shared))
    sharing.save_note(people.ana, people.pair, "note", "CANARY note")
    sharing.save_note(people.ana, people.pair, "story", "CANARY story")
    [desk] = sharing.desk(people.ben)
    [share] = desk["shares"]
    assert share["payload"] == {"text": "Speak up in the weekly meeting"}
    assert set(share) == {"id", "kind", "payload", "day", "new", "mark", "replies"}
    assert set(desk) == {"pair", "name", "role", "shares", "new", "notes"}
    received = sharing.received(people.ben, share["id"])
    assert "CANARY" not in shown(sharing, people.ben) + json.dumps(received)
    assert not any(made in shown(sharing, people.ben) + json.dumps(received) for made in (shared, item))


def test_what_is_private_changes_nothing_on_the_other_persons_desk(store, sharing, people):
    sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    before = shown(sharing, people.ben)
    ids = planted(store, people.ana, "CANARY")
    store.reflections.raise_level(people.ana, ids["reflection"], "support")
    store.reflections.save_verdict(people.ana, ids["reflection"], "trust", "not_me")
    withdrawn = sharing.share(people.ana, people.pair, sharing.goal(people.ana, ids["goal"]))
    sharing.withdraw(people.ana, withdrawn)
    assert shown(sharing, people.ben) == before


def test_the_desk_tells_the_day_and_never_the_hour(store, sharing, people):
    share = sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    sharing.reply(people.ben, share, "I waited too.")
    everything = shown(sharing, people.ben) + json.dumps(sharing.received(people.ben, share))
    assert re.search(r'"day": "\d{4}-\d\d-\d\d"', everything)
    assert not re.search(r"T\d\d:", everything)


def test_notes_and_marks_of_one_person_never_reach_the_other(store, sharing, people):
    share = sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    before = json.dumps(sharing.ledger(people.ana)) + shown(sharing, people.ana)
    sharing.save_note(people.ben, people.pair, "note", "CANARY note")
    sharing.save_note(people.ben, people.pair, "story", "CANARY story")
    sharing.mark(people.ben, share, "later")
    sharing.seen(people.ben, people.pair)
    planted(store, people.ben, "CANARY")
    after = json.dumps(sharing.ledger(people.ana)) + shown(sharing, people.ana)
    assert after == before
    assert sharing.desk(people.ben)[0]["notes"] == {"note": "CANARY note", "story": "CANARY story"}


def test_a_stranger_gets_the_same_answer_as_for_a_missing_share_or_pair(store, sharing, people):
    share = sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    draft = Draft("goal", "x", {"text": "mine"}, frozenset())
    acts = [
        (lambda at: sharing.received(people.eve, at), share),
        (lambda at: sharing.reply(people.eve, at, "hello"), share),
        (lambda at: sharing.mark(people.eve, at, "next"), share),
        (lambda at: sharing.withdraw(people.eve, at), share),
        (lambda at: sharing.withdraw(people.ben, at), share),
        (lambda at: sharing.received(people.ana, at), share),
        (lambda at: sharing.seen(people.eve, at), people.pair),
        (lambda at: sharing.save_note(people.eve, at, "note", "x"), people.pair),
        (lambda at: sharing.share(people.eve, at, draft), people.pair),
    ]
    for act, at in acts:
        answers = set()
        for thing in (at, "no-such-id"):
            with pytest.raises(AccessError) as caught:
                act(thing)
            answers.add(str(caught.value))
        assert len(answers) == 1
    assert sharing.desk(people.eve) == sharing.ledger(people.eve) == []


def test_nobody_drafts_a_share_of_somebody_elses_things(store, sharing, people):
    ids = planted(store, people.ana, "CANARY")
    for kind, part in (("question", "item"), ("goal", "goal"), ("reflection", "reflection")):
        with pytest.raises(AccessError):
            sharing.draft(people.ben, kind, ids[part])
    with pytest.raises(AccessError):
        sharing.theme(people.ben, ids["reflection"], "trust", "Trust", None)
    with pytest.raises(InputError):
        sharing.draft(people.ana, "answer", ids["reflection"])


def test_a_share_is_a_frozen_copy_marked_as_changed_after_an_edit(store, sharing, people):
    item = on_page(store, people.ana, "What would you do?")
    goal = store.goals.save(people.ana, "Speak up", "")
    text = store.reflections.save(people.ana, "I wait.")
    for draft in (
        sharing.question(people.ana, item),
        sharing.goal(people.ana, goal),
        sharing.reflection(people.ana, text),
        sharing.meeting(people.ana),
    ):
        sharing.share(people.ana, people.pair, draft)
    before = payloads(sharing, people.ben)
    assert [row["changed"] for row in sharing.ledger(people.ana)] == [False] * 4
    store.meetings.edit_item(people.ana, item, "What would you try?")
    store.goals.save_wording(people.ana, goal, "Speak up once a week")
    store.reflections.save(people.ana, "I speak.", text)
    assert payloads(sharing, people.ben) == before
    assert [row["changed"] for row in sharing.ledger(people.ana)] == [True] * 4


def test_a_shared_page_is_compared_with_itself_after_the_meeting_was_held(store, sharing, people):
    item = on_page(store, people.ana)
    meeting = store.meetings.open(people.ana)["id"]
    sharing.share(people.ana, people.pair, sharing.meeting(people.ana))
    store.meetings.close(people.ana, meeting, "take", "do", "")
    assert [row["changed"] for row in sharing.ledger(people.ana)] == [False]
    assert len(store.everything_of(people.ana)["meetings"]) == 1  # looking makes no new page
    store.meetings.drop_item(people.ana, item)
    assert [row["changed"] for row in sharing.ledger(people.ana)] == [True]


def test_sharing_twice_replaces_what_stood_there(store, sharing, people):
    item = on_page(store, people.ana, "First wording?")
    old = sharing.share(people.ana, people.pair, sharing.question(people.ana, item))
    store.meetings.edit_item(people.ana, item, "Second wording?")
    sharing.share(people.ana, people.pair, sharing.question(people.ana, item))
    assert [payload["text"] for payload in payloads(sharing, people.ben)] == ["Second wording?"]
    with pytest.raises(AccessError):
        sharing.received(people.ben, old)
    assert [(row["withdrawn"], row["changed"]) for row in sharing.ledger(people.ana)] == [
        (False, False),
        (True, False),
    ]
    assert traces(store, "First wording?") == 0


def test_the_same_theme_of_two_reflections_is_two_things(store, sharing, people):
    for text in ("I was unsure.", "I was unsure again."):
        at = store.reflections.save(people.ana, text)
        for wording in ("Doubt", "Doubt that passes"):
            sharing.share(people.ana, people.pair, sharing.theme(people.ana, at, "trust", wording, text))
    assert [payload["quote"] for payload in payloads(sharing, people.ben)] == [
        "I was unsure again.",
        "I was unsure.",
    ]


def test_a_replacement_that_fails_half_way_leaves_the_old_share(store, sharing, people, monkeypatch):
    draft = sharing.question(people.ana, on_page(store, people.ana))
    share = sharing.share(people.ana, people.pair, draft)
    monkeypatch.setattr(store.shares, "add", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sharing.share(people.ana, people.pair, draft)
    assert sharing.received(people.ben, share)["payload"] == draft.payload


def test_withdrawing_erases_the_copy_and_keeps_a_line_and_the_reply(store, sharing, people):
    at = store.reflections.save(people.ana, "UNIQUE7 words")
    draft = sharing.theme(people.ana, at, "self_confidence", "CANARY wording", "UNIQUE7 words")
    share = sharing.share(people.ana, people.pair, draft)
    sharing.reply(people.ben, share, "Ben's own words")
    sharing.withdraw(people.ana, share)
    sharing.withdraw(people.ana, share)
    [line] = sharing.ledger(people.ana)
    assert (line["payload"], line["withdrawn"], line["with"], line["changed"]) == (None, True, "Ben", False)
    assert [reply["text"] for reply in line["replies"]] == ["Ben's own words"]
    assert traces(store, "CANARY wording") == traces(store, "self_confidence") == 0
    assert store.reflections.load(people.ana, at)["text"] == "UNIQUE7 words"
    assert sharing.desk(people.ben)[0]["shares"] == []
    for act in (sharing.received, lambda who, at: sharing.reply(who, at, "more")):
        with pytest.raises(AccessError):
            act(people.ben, share)


def test_deleting_a_reflection_erases_all_that_was_shared_of_it(store, sharing, people):
    at = store.reflections.save(people.ana, "CANARY text")
    item = on_page(store, people.ana, "CANARY?", quote="CANARY text", reflection=at)
    on_page(store, people.ana, "Another question?")
    for draft in (
        sharing.reflection(people.ana, at),
        sharing.theme(people.ana, at, "trust", "CANARY wording", "CANARY text"),
        sharing.question(people.ana, item),
        sharing.meeting(people.ana),
    ):
        sharing.share(people.ana, people.pair, draft)
    goal = store.goals.save(people.ana, "Kept", "")
    sharing.share(people.ana, people.pair, sharing.goal(people.ana, goal))
    store.reflections.delete(people.ana, at)
    assert payloads(sharing, people.ben) == [{"text": "Kept"}]
    assert [row["withdrawn"] for row in sharing.ledger(people.ana)] == [False, True, True, True, True]
    assert traces(store, "CANARY") == 0
    store.goals.delete(people.ana, goal)
    assert payloads(sharing, people.ben) == []
    assert traces(store, "Kept") == 0


def test_dropping_a_point_erases_its_share_and_only_marks_the_shared_page(store, sharing, people):
    item = on_page(store, people.ana, "CANARY?")
    on_page(store, people.ana, "Another question?")
    for draft in (sharing.question(people.ana, item), sharing.meeting(people.ana)):
        sharing.share(people.ana, people.pair, draft)
    store.meetings.drop_item(people.ana, item)
    assert [share["kind"] for share in sharing.desk(people.ben)[0]["shares"]] == ["meeting"]
    lines = {row["kind"]: (row["withdrawn"], row["changed"]) for row in sharing.ledger(people.ana)}
    assert lines == {"question": (True, False), "meeting": (False, True)}


def test_the_share_is_what_its_preview_shows(store, sharing, people):
    item = on_page(store, people.ana, "What would you do?", quote="I wait")
    store.meetings.set_wants(people.ana, store.meetings.open(people.ana)["id"], "listen")
    for draft in (sharing.question(people.ana, item), sharing.draft(people.ana, "meeting", "")):
        share = sharing.share(people.ana, people.pair, draft)
        assert sharing.received(people.ben, share)["payload"] == draft.payload


def test_names_become_initials_when_asked_even_at_the_end_of_a_sentence(store, sharing, people):
    text = "My boss Priya praised Tom O'Brien. Then I met Priya."
    at = store.reflections.save(people.ana, text)
    draft = sharing.reflection(people.ana, at)
    assert draft.names == ("Priya", "Tom", "O'Brien")
    hidden = sharing.with_initials(draft)
    assert hidden.payload == {"text": "My boss P. praised T. O. Then I met P."}
    sharing.share(people.ana, people.pair, hidden)
    assert payloads(sharing, people.ben) == [hidden.payload]
    assert [row["changed"] for row in sharing.ledger(people.ana)] == [False]


def test_initials_reach_every_text_of_a_page_and_leave_its_fixed_words(store, sharing, people):
    on_page(store, people.ana, "What would Priya do?", quote="I told Priya", theme="trust")
    store.meetings.set_wants(people.ana, store.meetings.open(people.ana)["id"], "Listen")
    hidden = sharing.with_initials(sharing.meeting(people.ana)).payload
    point = {"kind": "question", "text": "What would P. do?", "quote": "I told P."}
    assert hidden == {"wants": "Listen", "points": [point]}


def test_a_quote_that_is_not_in_the_text_any_more_cannot_be_shared(store, sharing, people):
    at = store.reflections.save(people.ana, "I wait.")
    with pytest.raises(InputError, match="not in the reflection"):
        sharing.theme(people.ana, at, "trust", "Trust", "I speak.")
    assert sharing.theme(people.ana, at, "trust", "Trust", "").payload["quote"] is None


def test_nothing_is_not_shared(store, sharing, people):
    at = store.reflections.save(people.ana, " \n ")
    with pytest.raises(InputError, match="nothing written"):
        sharing.reflection(people.ana, at)
    with pytest.raises(InputError, match="still empty"):
        sharing.meeting(people.ana)
    with pytest.raises(InputError, match="Choose next time"):
        sharing.mark(people.ben, "any", "never")


def test_a_lone_surrogate_in_a_wording_reaches_the_desk_as_a_readable_sign(store, sharing, people):
    at = store.reflections.save(people.ana, "I wait.")
    sharing.share(people.ana, people.pair, sharing.theme(people.ana, at, "trust", "a\ud800\x00b", None))
    assert payloads(sharing, people.ben)[0]["wording"] == "a\ufffd\x00b"
    shown(sharing, people.ben).encode()


def test_an_ended_pair_shows_nothing_not_even_after_joining_again(store, accounts, sharing, people):
    share = sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    accounts.end_pair(people.ben, people.pair)
    assert sharing.desk(people.ben) == []
    for act in (
        lambda: sharing.received(people.ben, share),
        lambda: sharing.reply(people.ben, share, "late"),
        lambda: sharing.seen(people.ben, people.pair),
        lambda: sharing.share(people.ana, people.pair, Draft("goal", "g", {"text": "x"}, frozenset())),
    ):
        with pytest.raises(AccessError):
            act()
    assert [(row["with"], row["withdrawn"]) for row in sharing.ledger(people.ana)] == [("Ben", True)]
    sharing.withdraw(people.ana, share)
    accounts.join_pair(people.ben, accounts.pair_code(people.ana, "mentee"))
    assert [desk["shares"] for desk in sharing.desk(people.ben)] == [[]]


def test_the_ledger_stays_when_the_other_person_leaves(store, accounts, sharing, people):
    sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    accounts.delete(people.ben, PASSWORD)
    [line] = sharing.ledger(people.ana)
    assert (line["with"], line["withdrawn"]) == ("someone who left", False)


def test_what_is_new_is_known_to_the_viewer_alone_and_comes_first(store, sharing, people):
    first = sharing.share(
        people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana, "First?"))
    )
    sharing.seen(people.ben, people.pair)
    sharing.mark(people.ben, first, "later")
    sharing.share(
        people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana, "Second?"))
    )
    [desk] = sharing.desk(people.ben)
    assert [(share["payload"]["text"], share["new"], share["mark"]) for share in desk["shares"]] == [
        ("Second?", True, ""),
        ("First?", False, "later"),
    ]
    assert desk["new"] == 1


def test_the_mentor_shares_with_the_mentee_in_the_same_way(store, sharing, people):
    goal = store.goals.save(people.ben, "Ask before I advise", "CANARY")
    share = sharing.share(people.ben, people.pair, sharing.goal(people.ben, goal))
    assert payloads(sharing, people.ana) == [{"text": "Ask before I advise"}]
    sharing.reply(people.ana, share, "Thank you")
    assert sharing.ledger(people.ben)[0]["replies"][0]["name"] == "Ana"
    assert sharing.desk(people.ben)[0]["shares"] == []


def test_a_share_in_one_pair_is_not_seen_in_another(store, accounts, sharing, people):
    other = accounts.join_pair(people.eve, accounts.pair_code(people.ana, "mentee"))["id"]
    sharing.share(people.ana, people.pair, sharing.question(people.ana, on_page(store, people.ana)))
    assert sharing.desk(people.eve)[0]["shares"] == []
    assert other != people.pair
