"""Storage: whose rows they are, what a deletion leaves, and what happens when something goes wrong."""

from __future__ import annotations

import gc
import json
import random
import sqlite3
import stat
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from conftest import MARK, VECTOR, at_once, old_database, planted, traces, with_next
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils import Database as Connection

from assistant import migrations
from assistant.errors import AccessError, StoreError
from assistant.store import Store, database, text_hash


def acts(store: Store) -> Iterator[tuple[str, str, Callable[[str, str], object]]]:
    """Every reader and writer of one thing: its name, the kind of id it takes, and the call."""
    r, g, m = store.reflections, store.goals, store.meetings
    item = {"kind": "question", "text": "Mine?"}
    yield from [
        ("load", "reflection", r.load),
        ("save", "reflection", lambda who, at: r.save(who, "over", at)),
        ("raise_level", "reflection", lambda who, at: r.raise_level(who, at, "support")),
        ("leave_alone", "reflection", lambda who, at: r.leave_alone(who, at, True)),
        ("delete", "reflection", r.delete),
        ("save_report", "reflection", lambda who, at: r.save_report(who, at, "x", {})),
        ("report", "reflection", r.report),
        ("save_vectors", "reflection", lambda who, at: r.save_vectors(who, at, "m", {"h": VECTOR})),
        ("save_answer", "reflection", lambda who, at: r.save_answer(who, at, "q", "a", "none")),
        ("answers", "reflection", r.answers),
        ("answers_of_concern", "reflection", r.answers_of_concern),
        ("save_verdict", "reflection", lambda who, at: r.save_verdict(who, at, "trust", "not_me")),
        ("verdicts", "reflection", r.verdicts),
        ("load goal", "goal", g.load),
        ("save goal", "goal", lambda who, at: g.save(who, "over", "", at)),
        ("save_reading", "goal", lambda who, at: g.save_reading(who, at, ("", ""), {}, "none")),
        ("save_wording", "goal", lambda who, at: g.save_wording(who, at, "over")),
        ("delete goal", "goal", g.delete),
        ("load meeting", "meeting", m.load),
        ("set_wants", "meeting", lambda who, at: m.set_wants(who, at, "over")),
        ("close", "meeting", lambda who, at: m.close(who, at, "over", "over", "")),
        ("actions", "meeting", m.actions),
        ("items", "meeting", m.items),
        ("add_item", "meeting", lambda who, at: m.add_item(who, at, item)),
        ("item", "item", m.item),
        ("edit_item", "item", lambda who, at: m.edit_item(who, at, "over")),
        ("drop_item", "item", m.drop_item),
        ("move_item", "item", lambda who, at: m.move_item(who, at, True)),
        ("set_action", "action", lambda who, at: m.set_action(who, at, "done")),
    ]


def test_a_wrong_owner_gets_the_same_answer_as_a_missing_id_and_changes_nothing(store, ana, eve):
    ids = planted(store, ana, MARK)
    before = store.everything_of(ana)
    for name, kind, act in acts(store):
        answers = []
        for at in (ids[kind], "no-such-id"):
            with pytest.raises(AccessError) as caught:
                act(eve, at)
            answers.append(str(caught.value))
        assert answers[0] == answers[1], name
    assert store.everything_of(ana) == before
    mine = store.everything_of(eve)
    assert not any(mine.values())


def test_an_item_cannot_be_tied_to_somebody_elses_reflection(store, ana, eve):
    reflection = store.reflections.save(ana, "Mine.")
    meeting = store.meetings.open(eve)["id"]
    with pytest.raises(AccessError):
        store.meetings.add_item(eve, meeting, {"kind": "question", "text": "Q?", "reflection": reflection})


def test_lists_and_vectors_hold_the_owners_rows_alone(store, ana, eve):
    ids = planted(store, ana, MARK)
    assert store.reflections.list(eve) == store.goals.list(eve) == store.meetings.held(eve) == []
    assert store.reflections.vectors(eve, "m", [text_hash(MARK)]) == {}
    assert store.reflections.unfinished(eve) is store.meetings.last_held(eve) is None
    assert [row["id"] for row in store.reflections.list(ana)] == [ids["reflection"]]
    assert np.array_equal(store.reflections.vectors(ana, "m", [text_hash(MARK)])[text_hash(MARK)], VECTOR)


def test_every_table_with_words_has_an_owner_whose_deletion_takes_its_rows(store):
    free = {"people", "pairs", "attempts", "share_sources", "_sqlite_migrations"}
    for table in store.database.connection.tables:
        if table.name in free:
            continue
        keys = [key for key in table.foreign_keys if key.column == "owner"]
        assert [(key.other_table, key.on_delete) for key in keys] == [("people", "CASCADE")], table.name


def test_deleting_a_reflection_leaves_no_byte_of_it(store, ana):
    reflection = store.reflections.save(ana, f"{MARK} text")
    store.reflections.save_report(ana, reflection, f"{MARK} text", {"quote": MARK})
    store.reflections.save_vectors(ana, reflection, "m", {text_hash(MARK): VECTOR})
    store.reflections.save_answer(ana, reflection, "How?", f"{MARK} answer", "none")
    store.reflections.save_verdict(ana, reflection, "trust", "reworded", MARK)
    meeting = store.meetings.open(ana)["id"]
    store.meetings.add_item(
        ana, meeting, {"kind": "question", "text": f"{MARK}?", "reflection": reflection, "quote": MARK}
    )
    assert traces(store, MARK)
    store.reflections.delete(ana, reflection)
    assert traces(store, MARK) == traces(store, text_hash(MARK)) == 0
    assert not any(VECTOR.tobytes() in path.read_bytes() for path in store.database.path.parent.iterdir())
    kept = store.everything_of(ana)
    assert not any(rows for table, rows in kept.items() if table != "meetings")
    assert store.reflections.vectors(ana, "m", [text_hash(MARK)]) == {}


def test_deleting_a_reflection_takes_its_quotes_out_of_later_reports(store, ana):
    old, new = store.reflections.save(ana, f"{MARK} old."), store.reflections.save(ana, "New.")
    other = {"reflection_id": new, "quote": "kept", "score": 0.5}
    quoted = {"reflection_id": old, "quote": f"{MARK} old.", "score": 0.9}
    store.reflections.save_report(ana, new, "New.", {"themes": ["trust"], "earlier": [quoted, other]})
    store.reflections.delete(ana, old)
    assert store.reflections.report(ana, new) == ({"themes": ["trust"], "earlier": [other]}, True)
    assert traces(store, MARK) == 0


def test_a_reflection_left_alone_is_not_quoted_by_reports_any_more(store, ana):
    old, new = store.reflections.save(ana, "Old."), store.reflections.save(ana, "New.")
    store.reflections.save_report(ana, new, "New.", {"earlier": [{"reflection_id": old, "quote": "Old."}]})
    store.reflections.leave_alone(ana, old, True)
    assert store.reflections.report(ana, new) == ({"earlier": []}, True)
    assert store.reflections.load(ana, old)["left_alone"] == 1


def test_deleting_a_goal_leaves_no_byte_of_it(store, ana):
    goal = store.goals.save(ana, f"{MARK} goal", f"{MARK} why")
    assert store.goals.save_reading(ana, goal, (f"{MARK} goal", f"{MARK} why"), {"refined": MARK}, "none")
    store.goals.save_wording(ana, goal, MARK)
    assert traces(store, MARK)
    store.goals.delete(ana, goal)
    assert (traces(store, MARK), store.goals.list(ana)) == (0, [])


def test_no_copy_of_a_deleted_text_stays_behind_after_many_changes(store, ana):
    """SQLite moves cells between pages; the copies it leaves in the gaps must go too."""
    draw = random.Random(0)
    kept: list[tuple[str, str]] = []
    for turn in range(90):
        if not kept or draw.random() < 0.6:
            mark = f"MARK{turn}q"
            kept.append((mark, store.reflections.save(ana, mark * draw.randint(1, 150))))
            store.reflections.save_answer(ana, kept[-1][1], "How?", mark * draw.randint(1, 20), "none")
        else:
            mark, gone = kept.pop(draw.randrange(len(kept)))
            store.reflections.delete(ana, gone)
            assert traces(store, mark) == 0


def test_a_deletion_while_another_program_reads_is_finished_with_the_next_act(store, ana, monkeypatch):
    monkeypatch.setattr(database, "SETTLE_SECONDS", 0.01)
    reflection = store.reflections.save(ana, f"{MARK} text")
    reader = sqlite3.connect(store.database.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM reflections").fetchone()
    store.reflections.delete(ana, reflection)
    assert store.reflections.list(ana) == []
    assert traces(store, MARK)
    reader.execute("COMMIT")
    reader.close()
    store.reflections.save(ana, "Something else.")
    assert traces(store, MARK) == 0


def test_only_the_owner_of_the_machine_can_read_the_files(store, ana):
    store.reflections.save(ana, "Mine.")
    for path in store.database.path.parent.glob("data.sqlite*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec=None), max_size=60))
def test_any_text_comes_back_whole_with_lone_surrogates_replaced_one_for_one(store, ana, text):
    back = store.reflections.load(ana, store.reflections.save(ana, text))["text"]
    assert len(back) == len(text)
    pairs = zip(back, text, strict=True)
    assert all(new == ("\ufffd" if "\ud800" <= old <= "\udfff" else old) for new, old in pairs)


def test_every_writer_takes_nul_control_characters_and_lone_surrogates(store, ana):
    odd = "a\x00\x07\x1b\u202e\ud83db"
    back = odd.replace("\ud83d", "\ufffd")
    ids = planted(store, ana, odd)
    assert store.reflections.answers(ana, ids["reflection"]) == {f"{back} asked": f"{back} answered"}
    assert store.reflections.verdicts(ana, ids["reflection"])["trust"]["wording"] == f"{back} wording"
    assert store.reflections.report(ana, ids["reflection"]) == ({"quote": back}, True)
    goal = store.goals.load(ana, ids["goal"])
    assert (goal["context"], goal["wording"], goal["reading"]) == (
        f"{back} context",
        f"{back} settled",
        {"refined": back},
    )
    assert store.meetings.item(ana, ids["item"])["quote"] == back
    assert store.meetings.load(ana, ids["meeting"])["wants"] == back
    assert store.people.by_name(odd) is None


def test_a_locked_database_gives_a_sentence_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    store = Store(tmp_path / "data.sqlite")
    owner = store.people.add("ana", "x", False)
    reflection = store.reflections.save(owner, "Before.")
    other = sqlite3.connect(store.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"busy with another program. Nothing was lost"):
        store.reflections.save(owner, "After.", reflection)
    assert store.reflections.load(owner, reflection)["text"] == "Before."
    other.execute("ROLLBACK")
    other.close()
    store.reflections.save(owner, "After.", reflection)
    assert store.reflections.load(owner, reflection)["text"] == "After."
    store.close()


def test_a_crash_in_the_middle_of_an_act_leaves_nothing_of_it(store, ana):
    def half() -> None:
        with store.database.act():
            store.reflections.save(ana, "First half.")
            store.goals.save(ana, "Second half", "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert store.reflections.list(ana) == store.goals.list(ana) == []


def test_a_deletion_that_fails_half_way_deletes_nothing(store, ana, monkeypatch):
    goal = store.goals.save(ana, "Speak up", "")
    monkeypatch.setattr(store.database, "forget", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.goals.delete(ana, goal)
    assert store.goals.load(ana, goal)["goal"] == "Speak up"


def test_a_commit_that_fails_leaves_no_open_transaction(store, ana):
    class Broken:
        """A connection whose disk is full at the worst moment."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

        def commit(self) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    connection = store.database.connection
    real, connection.conn = connection.conn, Broken(connection.conn)
    with pytest.raises(StoreError, match="disk is full"):
        store.reflections.save(ana, "Lost.")
    connection.conn = real
    assert not real.in_transaction
    store.reflections.save(ana, "Kept.")
    assert [row["text"] for row in store.reflections.list(ana)] == ["Kept."]


def test_two_threads_write_and_read_at_once(store, ana):
    def work() -> None:
        for turn in range(20):
            at = store.reflections.save(ana, f"text {turn}")
            store.reflections.save_answer(ana, at, "How?", "So.", "none")
            assert store.reflections.load(ana, at)["text"] == f"text {turn}"
            if turn % 5 == 0:
                store.reflections.delete(ana, at)

    assert at_once(work, work) == []
    assert len(store.reflections.list(ana)) == 32


def test_two_pages_asking_at_once_open_one_meeting(store, ana):
    assert at_once(*[lambda: store.meetings.open(ana)] * 4) == []
    assert len(store.everything_of(ana)["meetings"]) == 1


def test_a_thread_that_ended_keeps_no_connection_open(store):
    assert at_once(*[lambda: store.database.rows("SELECT 1")] * 3) == []
    gc.collect()
    assert len(store.database._every) == 1


def test_two_programs_may_make_the_same_database_at_once(tmp_path):
    assert at_once(*[lambda: Store(tmp_path / "data.sqlite").close()] * 4) == []


def test_a_database_at_the_first_migration_is_brought_up_to_date(tmp_path, monkeypatch):
    old_database(tmp_path / "data.sqlite")
    with_next(monkeypatch, lambda db: db.execute("ALTER TABLE people ADD COLUMN nick TEXT"))
    store = Store(tmp_path / "data.sqlite")
    assert store.reflections.load("p", "r")["text"] == "Old."
    assert store.people.by_id("p")["nick"] is None
    store.close()


def test_a_migration_that_fails_leaves_the_old_database_as_it_was(tmp_path, monkeypatch):
    def broken(db: Connection) -> None:
        db.execute("DELETE FROM reflections")
        db.execute("ALTER TABLE nowhere ADD COLUMN x TEXT")

    old_database(tmp_path / "data.sqlite")
    with_next(monkeypatch, broken)
    with pytest.raises(StoreError):
        Store(tmp_path / "data.sqlite")
    monkeypatch.undo()
    store = Store(tmp_path / "data.sqlite")
    assert store.reflections.load("p", "r")["text"] == "Old."
    store.close()


def test_a_database_of_a_newer_version_is_refused_with_a_sentence(tmp_path):
    Store(tmp_path / "data.sqlite").close()
    newer = Connection(tmp_path / "data.sqlite")
    migrations.history._record_applied(newer, "m999_from_the_future")
    newer.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path / "data.sqlite")


@pytest.mark.parametrize("content", [b"not a database at all " * 50, b"SQLite format 3\0" + b"\xff" * 500])
def test_a_broken_file_is_refused_with_a_sentence(tmp_path, content):
    (tmp_path / "data.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="mentoring doctor"):
        Store(tmp_path / "data.sqlite")


def test_a_folder_that_is_not_there_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="mentoring doctor"):
        Store(tmp_path / "nowhere" / "data.sqlite")


def test_the_download_holds_everything_but_secrets_and_vectors(store, accounts, ana):
    planted(store, ana, MARK)
    accounts.sign_in("Ana", "three words do", "here")
    accounts.pair_code(ana, "mentee")
    all_of_it = store.everything_of(ana)
    assert not {"sign_ins", "codes", "vectors"} & set(all_of_it)
    for table in ("reflections", "reports", "answers", "verdicts", "goals", "meetings", "items", "actions"):
        assert MARK in json.dumps(all_of_it[table]), table


def test_a_report_says_whether_it_is_about_the_text_as_it_stands(store, ana):
    at = store.reflections.save(ana, "One.")
    assert store.reflections.report(ana, at) is None
    assert store.reflections.unfinished(ana)["id"] == at
    store.reflections.save_report(ana, at, "One.", {"a": 1})
    assert store.reflections.report(ana, at) == ({"a": 1}, True)
    assert store.reflections.unfinished(ana) is None
    store.reflections.save(ana, "Two.", at)
    assert store.reflections.report(ana, at) == ({"a": 1}, False)


def test_new_words_of_a_goal_drop_the_reading_and_the_same_words_keep_it(store, ana):
    goal = store.goals.save(ana, "Speak \ud800", "why")
    row = store.goals.load(ana, goal)
    about = (row["goal"], row["context"])
    assert store.goals.save_reading(ana, goal, about, {"missing": []}, "none")
    assert not store.goals.save_reading(ana, goal, ("Speak", "why"), {"missing": ["specific"]}, "none")
    store.goals.save(ana, "Speak \ud800", "why", goal)
    assert store.goals.load(ana, goal)["reading"] == {"missing": []}
    store.goals.save(ana, "Speak up", "why", goal)
    assert store.goals.load(ana, goal)["reading"] is None


def test_items_move_one_place_and_stay_at_the_ends(store, ana):
    meeting = store.meetings.open(ana)["id"]
    ids = [store.meetings.add_item(ana, meeting, {"kind": "topic", "text": text}) for text in "abc"]
    store.meetings.drop_item(ana, ids[1])
    again = store.meetings.add_item(ana, meeting, {"kind": "topic", "text": "d"})
    assert store.meetings.add_item(ana, meeting, {"kind": "topic", "text": "d"}) == again

    def order() -> str:
        return "".join(row["text"] for row in store.meetings.items(ana, meeting))

    steps = []
    for item, up in ((again, True), (again, True), (again, True), (ids[0], False), (ids[2], False)):
        store.meetings.move_item(ana, item, up)
        steps.append(order())
    assert steps == ["adc", "dac", "dac", "dca", "dac"]


def test_a_held_meeting_cannot_be_closed_again_and_a_new_one_opens(store, ana):
    meeting = store.meetings.open(ana)["id"]
    store.meetings.close(ana, meeting, "I take this", "Ask her", "Friday")
    with pytest.raises(AccessError, match="not open any more"):
        store.meetings.close(ana, meeting, "twice", "", "")
    held = store.meetings.last_held(ana)
    assert (held["take"], held["actions"][0]["text"]) == ("I take this", "Ask her")
    assert store.meetings.open(ana)["id"] != meeting


def test_what_was_done_with_a_suggested_question_is_remembered_and_only_that(store, ana):
    at = store.meetings.open(ana)["id"]
    asked = store.meetings.add_item(ana, at, {"kind": "question", "text": "What helped?", "origin": "bank"})
    own = store.meetings.add_item(ana, at, {"kind": "topic", "text": "The move.", "origin": "own"})
    deeds = lambda: {row["question"]: row["deed"] for row in store.feedback.of(ana)}  # noqa: E731
    assert deeds() == {"What helped?": "kept"}
    store.meetings.edit_item(ana, asked, "What helped you then?")
    store.meetings.edit_item(ana, own, "The move to Graz.")
    assert deeds() == {"What helped?": "edited"}
    store.meetings.edit_item(ana, asked, "What helped?")
    assert deeds() == {"What helped?": "kept"}
    store.meetings.say_of_item(ana, asked, "helped")
    store.meetings.edit_item(ana, asked, "What helped you?")
    assert deeds() == {"What helped?": "helped"}  # an edit does not unsay it
    store.meetings.say_of_item(ana, asked, "helped")
    assert deeds() == {"What helped?": "kept"}  # said again, it is taken back
    store.meetings.drop_item(ana, asked)
    store.meetings.drop_item(ana, own)
    assert deeds() == {}  # taken off the page it says nothing


def test_own_words_for_a_theme_outlive_that_it_was_put_aside(store, ana):
    reflection = store.reflections.save(ana, "The fox.")
    store.reflections.save_verdict(ana, reflection, "trust", "reworded", "I trust too fast.")
    store.reflections.dismiss(ana, "trust", [reflection])
    store.reflections.lift(ana, "trust")
    verdict = store.reflections.verdicts(ana, reflection)["trust"]
    assert (verdict["verdict"], verdict["wording"]) == ("reworded", "I trust too fast.")
    assert store.reflections.wordings(ana) == {"trust": "I trust too fast."}
    store.reflections.save_verdict(ana, reflection, "trust", "reworded", None)
    assert store.reflections.wordings(ana) == {}


def test_a_text_that_becomes_grave_is_taken_out_of_what_others_quote(store, ana):
    old, new = store.reflections.save(ana, "Old."), store.reflections.save(ana, "New.")
    store.reflections.save_report(ana, new, "New.", {"earlier": [{"reflection_id": old, "quote": "Old."}]})
    store.reflections.raise_level(ana, old, "support")
    assert store.reflections.report(ana, new) == ({"earlier": []}, True)


def test_feedback_on_a_models_question_goes_with_its_reflection(store, ana, eve):
    reflection = store.reflections.save(ana, "The fox.")
    store.feedback.note(ana, "What did the fox say?", "model", "dropped", reflection)
    store.feedback.note(ana, "What helped?", "bank", "dropped", reflection)
    assert store.feedback.of(eve) == []
    with pytest.raises(AccessError):
        store.feedback.note(eve, "What did the fox say?", "model", "dropped", reflection)
    store.reflections.delete(ana, reflection)
    assert [row["question"] for row in store.feedback.of(ana)] == ["What helped?"]  # nobody's words
