"""The command line keeps its contract (docs/cli.md), with the real embedder and themes."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from assistant import cli

pytestmark = pytest.mark.models
PLAIN = "I opened the form for the senior post and closed it again. Next year, I told myself. Said that last year too."
DANGER = "I do not want to live any more and I have been thinking about ending my life every night."
FOREIGN = "Ich habe heute lange gearbeitet und weiß nicht, wie ich mit meinem Chef darüber reden soll."
STEPS = {"safety", "embed", "themes", "retrieve", "questions", "total"}


class Answers:
    """Runs commands on a data directory of its own and reads what they print."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data, self.capsys = data, capsys

    def __call__(self, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
        assert cli.main(["--data", str(self.data), *arguments]) == status
        self.said = self.capsys.readouterr()
        return [json.loads(line) for line in self.said.out.splitlines()]

    def file(self, *rows: Any) -> str:
        path = self.data / "input.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        return str(path)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Answers:
    return Answers(tmp_path, capsys)


def row(text: str, name: Any = "a") -> dict[str, Any]:
    return {"id": name, "text": text}


def test_a_line_holds_everything_the_contract_names(run: Answers) -> None:
    (answer,) = run("analyse", run.file(row(PLAIN)), "--no-model")
    assert set(answer) == {
        "id", "understood", "language", "safety", "themes", "ranked", "passages", "questions", "abstained",
        "provenance", "seconds",
    }  # fmt: skip
    assert answer["understood"] is True and answer["language"] == "en"
    assert answer["safety"] == {"level": "none", "kind": None, "spans": []}
    assert len({item["id"] for item in answer["ranked"]}) == 25
    assert set(answer["provenance"]) == {"model", "embedding", "knowledge", "prompts"}
    assert set(answer["seconds"]) == STEPS
    for theme in answer["themes"]:
        for part in theme["evidence"]:
            assert PLAIN[part["start"] : part["end"]] == part["text"]
    assert all(question["origin"] == "bank" for question in answer["questions"])


def test_an_urgent_line_is_empty_but_for_its_safety(run: Answers) -> None:
    (answer,) = run("analyse", run.file(row(DANGER)), "--no-model")
    assert answer["safety"]["level"] == "urgent" and answer["safety"]["kind"] == "self_harm"
    assert all(DANGER[start:end].strip() for start, end in answer["safety"]["spans"])
    assert answer["safety"]["spans"]
    assert answer["themes"] == answer["ranked"] == answer["passages"] == answer["questions"] == []


def test_another_language_is_named_and_nothing_is_guessed(run: Answers) -> None:
    (answer,) = run("analyse", run.file(row(FOREIGN)), "--no-model")
    assert answer["understood"] is False and answer["language"] == "de"
    assert answer["themes"] == answer["passages"] == answer["questions"] == []
    assert "English" in answer["abstained"]


def test_bad_lines_are_answered_in_their_place_and_the_rest_goes_on(run: Answers) -> None:
    lines = [
        row(PLAIN, 1),
        "{not json",
        '{"id": "x"}',
        '["list"]',
        '{"id": 7, "text": 3}',
        '{"id": "\\ud800", "text": "Half a letter for a name."}',
        row("Fine.", "last"),
    ]
    answers = run("analyse", run.file(*lines), "--no-model", "--no-questions")
    assert [answer["id"] for answer in answers] == [1, None, "x", None, 7, "\ud800", "last"]
    assert [("error" in answer) for answer in answers] == [False, True, True, True, True, False, False]


def test_a_line_gives_the_same_answer_alone_and_in_a_batch(run: Answers) -> None:
    alone = run("analyse", run.file(row(PLAIN, "b")), "--no-model")[0]
    batch = run("analyse", run.file(row(DANGER, "a"), row(PLAIN, "b"), row("Fine.", "c")), "--no-model")[1]
    assert {k: v for k, v in alone.items() if k != "seconds"} == {
        k: v for k, v in batch.items() if k != "seconds"
    }


def test_nothing_of_the_text_is_stored(run: Answers) -> None:
    marker = "QUINCEMARKER"
    path = run.file(row(f"{PLAIN} {marker}"))
    run("analyse", path, "--no-model")
    Path(path).unlink()
    index = Path(os.environ.get("MENTORING_MODELS") or run.data / "models") / "index"
    kept = [file for folder in (run.data, index) for file in folder.rglob("*") if file.is_file()]
    assert kept and not any(marker.encode() in file.read_bytes() for file in kept)


def test_output_is_ascii_and_lines_end_at_the_line_feed_alone(run: Answers) -> None:
    text = "A line\u2028inside\x85and café. I closed the form."
    (answer,) = run("analyse", run.file(row(text)), "--no-model")
    assert run.said.out.isascii() and len(run.said.out.splitlines()) == 1
    assert "error" not in answer


def test_standard_input_is_read_where_the_file_is_a_dash(
    run: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(json.dumps(row("Fine.")).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    assert run("analyse", "-", "--no-model", "--no-questions")[0]["questions"] == []


def test_odd_texts_are_answered(run: Answers) -> None:
    texts = ["", "ok", "\x00\x1b[0m", "\ud800", "🙂" * 300, "\r\n\r\n"]
    answers = run("analyse", run.file(*(row(text, n) for n, text in enumerate(texts))), "--no-model")
    assert len(answers) == len(texts) and not any("error" in answer for answer in answers)


def test_a_missing_file_is_one_plain_sentence_and_status_one(run: Answers) -> None:
    assert run("analyse", str(run.data / "none.jsonl"), status=1) == []
    assert "cannot be read" in run.said.err and "Traceback" not in run.said.err


def test_a_wrong_call_has_status_two(run: Answers) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("analyse")
    assert stopped.value.code == 2


def test_progress_of_a_long_batch_goes_to_standard_error(run: Answers) -> None:
    run("analyse", run.file(*(row("Fine.", n) for n in range(12))), "--no-model", "--no-questions")
    assert "12 of 12" in run.said.err


def test_a_goal_line_holds_everything_the_contract_names(run: Answers) -> None:
    goal = {"id": "g", "goal": "stop being so quiet in meetings", "context": None}
    (answer,) = run("refine-goal", run.file(goal))
    assert set(answer) == {
        "id", "safety", "missing", "frame", "type", "refined", "first_step", "check", "origin", "abstained",
    }  # fmt: skip
    assert answer["frame"] == "avoidance" and answer["origin"] == "template"
    assert ("[" in answer["refined"] and "If" in answer["first_step"]) or "When" in answer["first_step"]


def test_a_goal_under_a_notice_has_nothing_missing_and_nothing_refined(run: Answers) -> None:
    (answer,) = run("refine-goal", run.file({"id": "g", "goal": "be calmer", "context": DANGER}))
    assert answer["safety"]["level"] == "urgent"
    assert answer["missing"] == [] and answer["refined"] is None and answer["first_step"] is None


def test_search_gives_passages_best_first(run: Answers) -> None:
    answers = run("search", "I go quiet in meetings", "--limit", "4")
    assert len(answers) == 4 and set(answers[0]) == {"id", "title", "score", "text", "sources"}
    assert [item["score"] for item in answers] == sorted((item["score"] for item in answers), reverse=True)


def test_the_data_directory_may_be_named_after_the_command(tmp_path: Path) -> None:
    assert cli.main(["knowledge", "check", "--data", str(tmp_path / "d")]) == 0
    assert (tmp_path / "d").is_dir()


def test_the_doctor_finds_all_well_and_names_a_fault(run: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTORING_MODEL", "none")
    assert cli.main(["--data", str(run.data), "doctor"]) == 0
    run.capsys.readouterr()
    monkeypatch.setenv("MENTORING_MODEL", "http://models.example.org/")
    assert cli.main(["--data", str(run.data), "doctor"]) == 1
    assert "models.example.org is not this machine" in run.capsys.readouterr().out


def test_a_port_that_is_taken_is_one_plain_sentence(run: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTORING_MODEL", "none")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert cli.main(["--data", str(run.data), "serve", "--port", port]) == 1
    said = run.capsys.readouterr().err
    assert f"Port {port}" in said and "--port" in said and "Open http" not in said
