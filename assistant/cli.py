"""The command line: parse, call, word the result. The contract is docs/cli.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from assistant import settings as settings_file
from assistant.domain import Passage
from assistant.errors import InputError, KnowledgeError, MentoringError
from assistant.settings import Settings

Row = dict[str, Any]
PROGRESS_EVERY = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 read to the end, 1 not done, 2 called wrongly."""
    parsed = _parser().parse_args(arguments)
    settings_file.go_offline()
    try:
        flags = {name: getattr(parsed, name, None) for name in ("data", "host", "port")}
        return int(parsed.act(settings_file.load(flags), parsed) or 0)
    except MentoringError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", metavar="DIR", default=argparse.SUPPRESS, help="the data directory")
    parser = argparse.ArgumentParser(
        "mentoring", parents=[shared], description="Write before you meet your mentor. Local and private."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, act: Callable[..., Any], text: str, of: Any = commands) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = of.add_parser(name, parents=[shared], help=text, description=text)
        made.set_defaults(act=act)
        return made

    serve = command("serve", _serve, "start the web application")
    serve.add_argument("--host", default=None)
    serve.add_argument("--port", type=int, default=None)
    command("prepare", _prepare, "prepare the models once")
    command("doctor", _doctor, "check the installation and say what to do about each fault")
    analyse = command("analyse", _analyse, "read reflections from a JSON Lines file")
    analyse.add_argument("file", metavar="FILE.jsonl", help="- reads standard input")
    analyse.add_argument("--no-questions", action="store_true", help="stop after retrieval")
    analyse.add_argument("--no-model", action="store_true", help="questions from the bank alone")
    analyse.add_argument("--seed", type=int, default=0)
    refine = command("refine-goal", _refine_goal, "refine goals from a JSON Lines file")
    refine.add_argument("file", metavar="FILE.jsonl", help="- reads standard input")
    refine.add_argument("--seed", type=int, default=0)
    search = command("search", _search, "search the knowledge base")
    search.add_argument("words", metavar="WORDS")
    search.add_argument("--limit", type=int, default=5)
    _knowledge_parser(command)
    user = command("user", _user_add, "accounts").add_subparsers(required=True)
    command("add", _user_add, "make an account; prints a code to set its password", user).add_argument("name")
    command("reset-password", _reset_password, "print a one-time code for a new password").add_argument(
        "name"
    )
    code = command("code", _code, "print a one-time sign-up code")
    code.add_argument("role", nargs="?", choices=("mentee", "mentor"), default="mentee")
    return parser


def _knowledge_parser(command: Callable[..., argparse.ArgumentParser]) -> None:
    library = command("knowledge", _knowledge_check, "the knowledge base").add_subparsers(required=True)
    command("check", _knowledge_check, "validate every file", library)
    add = command("add", _knowledge_add, "take over documents of your organisation", library)
    add.add_argument("files", metavar="FILE.md", nargs="+", type=Path)
    command("list", _knowledge_list, "list the passages from your organisation's documents", library)
    remove = command("remove", _knowledge_remove, "take a document of your organisation out", library)
    remove.add_argument("name", metavar="NAME.md")


# Commands over JSON Lines


def _analyse(settings: Settings, arguments: argparse.Namespace) -> int:
    from assistant import assemble, reporting
    from assistant.pipeline import seed_for

    use_model = not (arguments.no_model or arguments.no_questions)
    pipeline = assemble.pipeline(settings, use_model=use_model)
    if use_model and pipeline.model_fault:
        print(pipeline.model_fault, file=sys.stderr)

    def answer(row: Row) -> Row:
        report = pipeline.analyse(
            row["text"], seed_for(arguments.seed, str(row["id"])), not arguments.no_questions, use_model
        )
        return reporting.analysis_row(report, row["text"])

    return _each_line(arguments.file, ("text",), answer)


def _refine_goal(settings: Settings, arguments: argparse.Namespace) -> int:
    from assistant import assemble, reporting

    pipeline = assemble.pipeline(settings, use_model=False)

    def answer(row: Row) -> Row:
        return reporting.goal_row(*pipeline.refine_goal(row["goal"], row.get("context")))

    return _each_line(arguments.file, ("goal",), answer)


def _each_line(path: str, fields: Sequence[str], answer: Callable[[Row], Row]) -> int:
    """Answer each line in order; a line that cannot be used gets an error in its place."""
    lines = list(_lines(path))
    for number, line in enumerate(lines, 1):
        line_id: Any = None
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise InputError("the line is not a JSON object")
            line_id = row.get("id")
            _check_fields(row, fields)
        except (ValueError, RecursionError) as error:
            result = {"id": line_id, "error": f"the line is not JSON: {error}"}
        except InputError as error:
            result = {"id": line_id, "error": str(error)}
        else:
            result = _answered(row, answer)
        print(json.dumps(result), flush=True)
        if len(lines) > PROGRESS_EVERY and (number % PROGRESS_EVERY == 0 or number == len(lines)):
            print(f"{number} of {len(lines)} read", file=sys.stderr)
    return 0


def _answered(row: Row, answer: Callable[[Row], Row]) -> Row:
    try:
        return {"id": row["id"]} | answer(row)
    except MentoringError as error:
        return {"id": row["id"], "error": str(error)}


def _check_fields(row: Row, fields: Sequence[str]) -> None:
    if "id" not in row or isinstance(row["id"], (dict, list)):
        raise InputError("the line needs an id")
    for name in fields:
        if not isinstance(row.get(name), str):
            raise InputError(f"the line needs the field {name} as text")
    if row.get("context") is not None and not isinstance(row["context"], str):
        raise InputError("context must be text or null")


def _lines(path: str) -> Iterator[str]:
    try:
        raw = sys.stdin.buffer.read() if path == "-" else open(path, "rb").read()  # noqa: SIM115
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Check the name.") from error
    for line in raw.split(b"\n"):  # lines end here alone, not at the other marks Unicode knows
        if line.strip():
            yield line.decode("utf-8", errors="surrogateescape")


# Other commands


def _search(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import assemble

    pipeline = assemble.pipeline(settings, use_model=False)
    for match in pipeline.search(arguments.words, max(1, arguments.limit)):
        row = {
            "id": match.passage.id,
            "title": match.passage.title,
            "score": round(match.score, 4),
            "text": match.passage.text,
            "sources": list(match.passage.sources),
        }
        print(json.dumps(row))


def _knowledge_check(settings: Settings, arguments: argparse.Namespace) -> int:
    from assistant import knowledge

    known = knowledge.load(organisation=settings.own_library)
    for fault in known.faults:
        print(fault)
    counts = (
        f"{len(known.passages)} passages, {len(known.questions)} questions, {len(known.sources)} sources, "
        f"{len(known.notices)} notices, {len(known.faults)} faults"
    )
    print(counts, file=sys.stderr)
    passages = list(known.passages.values())
    for what, each in (
        ("theme", Counter(theme for item in passages for theme in item.themes)),
        ("audience", Counter(item.audience for item in passages)),
        ("strength", Counter(item.strength for item in passages)),
    ):
        listed = ", ".join(f"{name} {number}" for name, number in sorted(each.items()))
        print(f"passages by {what}: {listed}", file=sys.stderr)
    return 1 if known.faults else 0


def _knowledge_add(settings: Settings, arguments: argparse.Namespace) -> int:
    """Take over each document that has no fault; a second copy of the same name replaces the first."""
    from assistant import knowledge
    from assistant.knowledge import own

    shipped = knowledge.load()
    refused = 0
    for file in arguments.files:
        try:
            found = own.add(settings.own_folder, file, knowledge.marks(shipped), shipped.passages)
        except KnowledgeError as error:
            refused += 1
            print(error, file=sys.stderr)
            continue
        for passage in found:
            print(json.dumps(_own_row(passage)))
    _embed_anew(settings)
    return 1 if refused else 0


def _knowledge_list(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import knowledge

    for passage in knowledge.load(organisation=settings.own_library).passages.values():
        if passage.provenance:
            print(json.dumps(_own_row(passage)))


def _knowledge_remove(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant.knowledge import own

    print(f"{own.remove(settings.own_folder, arguments.name)} is deleted.", file=sys.stderr)
    _embed_anew(settings)


def _own_row(passage: Passage) -> Row:
    return {"id": passage.id, "title": passage.title, "from": passage.provenance}


def _embed_anew(settings: Settings) -> None:
    """Bring the index up to date, so that only what changed is embedded, and say how much that was."""
    from assistant import assemble

    index = assemble.pipeline(settings, use_model=False).index
    count = index.refresh()
    what = "1 text was" if count == 1 else f"{count} texts were"
    print(f"{what} embedded anew. Restart the assistant to use them.", file=sys.stderr)


def _user_add(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import assemble

    print(assemble.accounts(settings).add_person(arguments.name))
    print("Give this code to its owner. They choose a password with it at /reset.", file=sys.stderr)


def _reset_password(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import assemble

    print(assemble.accounts(settings).reset_code(arguments.name))
    print("The code is valid for one day, once. It is entered at /reset.", file=sys.stderr)


def _code(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import assemble

    print(assemble.accounts(settings).signup_code(arguments.role))
    print("The code makes one account at /sign-up, within 14 days.", file=sys.stderr)


def _prepare(settings: Settings, arguments: argparse.Namespace) -> None:
    from assistant import assemble

    assemble.prepare(settings, lambda text: print(text, file=sys.stderr, flush=True))


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    from assistant import doctor

    faults = 0
    for check in doctor.checks(settings):
        faults += not check.good
        print(f"{'ok  ' if check.good else 'look'}  {check.name}: {check.says}")
    return 1 if faults else 0


def _serve(settings: Settings, arguments: argparse.Namespace) -> None:
    from ui.app import serve

    serve(settings)
