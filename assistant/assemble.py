"""Builds engines, store and pipeline from settings. The one place where parts meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assistant import knowledge as library
from assistant import prompting
from assistant.accounts import Accounts
from assistant.embedding import MiniLM, tuned
from assistant.errors import MentoringError, ModelError
from assistant.goals import GoalReader
from assistant.knowledge import Knowledge
from assistant.knowledge.cases import load as load_cases
from assistant.model import Style, TextModel
from assistant.model import prepare as preparing
from assistant.model.local import LocalModel
from assistant.model.server import ServerModel
from assistant.pipeline import Pipeline
from assistant.questions import QuestionBank
from assistant.retrieval import Change, KnowledgeIndex
from assistant.retrieval.cases import CaseIndex
from assistant.safety import SafetyReader, load_judge
from assistant.settings import Settings
from assistant.sharing import Sharing
from assistant.store import Store
from assistant.themes import ThemeReader

WEIGHTS = Path(__file__).parent / "weights"
WRITER = WEIGHTS / "writer.safetensors"


@dataclass(frozen=True, slots=True)
class Application:
    """Everything a page needs; made once, shared by all requests, holding no person's state."""

    settings: Settings
    knowledge: Knowledge
    store: Store
    accounts: Accounts
    sharing: Sharing
    pipeline: Pipeline
    text_goes_to: str = ""  # the host, when the text model is on another machine; the page says so


def application(settings: Settings, warm: bool = True) -> Application:
    """Build the web application's parts; ``warm`` loads the engines in the background."""
    store = Store(settings.database)
    lines = pipeline(settings, store=store, use_model=True)
    people = Accounts(store, settings.idle_hours, settings.session_days)
    made = Application(
        settings,
        lines.knowledge,
        store,
        people,
        Sharing(store, people, lines.knowledge.vocabulary),
        lines,
        lines.model.away if isinstance(lines.model, ServerModel) else "",
    )
    if warm:
        threading.Thread(target=_warm, args=(lines,), daemon=True).start()
    return made


def accounts(settings: Settings) -> Accounts:
    return Accounts(Store(settings.database), settings.idle_hours, settings.session_days)


def pipeline(settings: Settings, store: Store | None = None, use_model: bool = True) -> Pipeline:
    """Build the pipeline; a text model that cannot be had is said in ``model_fault``, not raised."""
    known = library.load(organisation=settings.own_library)
    embedder = MiniLM()
    model, fault = text_model(settings) if use_model else (None, None)
    return Pipeline(
        knowledge=known,
        embedder=embedder,
        encoder=tuned.shipped(),
        safety_reader=SafetyReader(judge=load_judge()),
        theme_reader=ThemeReader(WEIGHTS / "themes.safetensors"),
        index=KnowledgeIndex(
            list(known.passages.values()),
            embedder.encode,
            embedder.hash,
            settings.models / "index",
            Change(WEIGHTS / "retrieval.safetensors"),
        ),
        cases=CaseIndex(load_cases(), embedder.encode, embedder.hash, settings.models / "index"),
        bank=QuestionBank(known.questions),
        goal_reader=GoalReader(),
        prompts_hash=prompting.prompts_hash(),
        store=store,
        model=model,
        model_fault=fault,
    )


def prepare(settings: Settings, say: Callable[[str], None]) -> None:
    """Prepare the models once, saying how far it is; a second call finds all done.

    Raises ModelError or EmbeddingError naming what is missing.
    """
    if settings.model == "bundled":
        preparing.prepare(settings.models, on_progress=say, adapter=WRITER)
    lines = pipeline(settings, use_model=False)
    # Only the bundled model fits questions to cases. What is current is found so without the embedder.
    indexes: list[KnowledgeIndex | CaseIndex] = [lines.index]
    if settings.model == "bundled":
        indexes.append(lines.cases)
    if not all(index.path.is_file() for index in indexes):
        say("Building the indexes of what is looked up by meaning.")
    for index in indexes:
        index.refresh()
    say("The models are ready.")


def text_model(settings: Settings) -> tuple[TextModel | None, str | None]:
    """Return the text model the settings name, or why there is none, in a sentence for the page."""
    try:
        if settings.model == "none":
            return None, None
        style = _style(settings.model_style)
        if settings.model.startswith(("http://", "https://")):
            return ServerModel(settings.model, settings.allowed_model_hosts, style=style or "strong"), None
        if settings.model == "bundled":
            folder = preparing.prepare(settings.models, adapter=WRITER)
            return LocalModel(folder, preparing.TUNED, style="tuned"), None
        return LocalModel(settings.model, style=style), None
    except ModelError as error:
        return None, str(error)


def _style(name: str) -> Style | None:
    """Return the style a setting declares, None where the model decides. Raises ModelError."""
    if name == "plain":
        return "plain"
    if name == "strong":
        return "strong"
    if name == "auto":
        return None
    raise ModelError(f"The setting model_style cannot be {name!r}. Set it to auto, plain or strong.")


def _warm(lines: Pipeline) -> None:
    """Load what would make the first person wait; a fault shows when it is really needed."""
    try:
        lines.search("Ready.", 1)
        lines.check_safety("Ready.")
    except MentoringError:
        return
