"""Local weights through transformers, which is imported only when a text is asked for.

A prompt is read once; its key-value cache is then repeated for every answer, because on a
processor the reading costs more than the writing or weighing of a short question. Answers that
have ended leave the batch, so the last ones do not wait for them.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assistant.errors import ModelError
from assistant.model import OnText, Prompt, Style, Weight, checked_count, cut, short_hash
from assistant.model.tree import Tree

TEMPERATURE = 0.8
TOP_K = 50
TOP_P = 0.92
# Two threads wait for each other several hundred times a token. When anything else wants a core, that
# waiting made a small model ten times slower than one thread alone; large ones need all the cores.
SMALL = 400_000_000  # parameters
LARGE = 1_500_000_000  # bytes of weights, from about which models follow instructions
HEAD = "head.safetensors"
_BLOCK = 1 << 16
_BLOCKS = 64  # read from each weight file for the hash: tuned weights differ in nearly every block


class LocalModel:
    """A model of a prepared folder, any Hugging Face folder, or a name in the local hub cache.

    Loaded on first use; nothing is ever fetched. One call runs at a time, others wait.
    """

    def __init__(
        self,
        source: str | Path,
        name: str | None = None,
        dtype: str | None = None,
        style: Style | None = None,
    ) -> None:
        """Find the model; raise ModelError when there is none.

        ``dtype`` None picks the fastest; ``style`` None takes a large model for a strong one.
        """
        self.folder = _find(source)
        self.name = name or (self.folder.name if Path(source).is_dir() else str(source))
        self.hash = fingerprint(self.folder)
        self.dtype = dtype
        self.style: Style = style or ("strong" if _size(self.folder) >= LARGE else "plain")
        self._lock = threading.Lock()
        self._engine: _Engine | None = None

    def load(self) -> None:
        """Load the weights now rather than with the first prompt. Raises ModelError."""
        with self._lock:
            self._load()

    def close(self) -> None:
        """Free the weights; a later call loads them again."""
        with self._lock:
            self._engine = None

    def generate(
        self,
        prompt: Prompt,
        count: int,
        max_tokens: int,
        seed: int,
        on_text: OnText | None = None,
    ) -> list[str]:
        """Return ``count`` sampled answers; see the protocol. ``on_text`` hears every new token.

        Raises ModelError when the weights cannot be loaded or used, or the prompt is too long.
        """
        checked_count(count, max_tokens)
        with self._used() as engine:
            return engine.sample(prompt, count, max_tokens, seed, on_text)

    def weigh(self, prompt: Prompt, answers: Sequence[tuple[str, str]]) -> list[Weight]:
        """Return how likely each answer is after its lead, and what the judging head says; see the protocol."""
        with self._used() as engine:
            return engine.weigh(prompt, answers) if answers else []

    @contextlib.contextmanager
    def _used(self) -> Iterator[_Engine]:
        """Give the engine to one caller at a time; what goes wrong inside is told in a sentence."""
        with self._lock:
            engine = self._load()
            try:
                yield engine
            except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
                raise ModelError(
                    f"The text model {self.name} failed while writing ({first_line(error)}). "
                    "Try again; if it happens again, set model to none and use the question bank."
                ) from error

    def _load(self) -> _Engine:
        if self._engine is None:
            try:
                self._engine = _Engine(self.folder, self.dtype)
            except ImportError as error:
                raise ModelError(
                    f"The text model needs transformers and torch ({error}). Run `make setup`."
                ) from error
            except Exception as error:  # the engine's loading errors have no common base
                raise ModelError(
                    f"The text model in {self.folder} cannot be loaded ({first_line(error)}). "
                    "Choose another folder, or delete a prepared one and it is made again."
                ) from error
        return self._engine


class _Engine:
    """Tokenizer and weights, loaded."""

    def __init__(self, folder: Path, dtype: str | None) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        quiet()
        self.torch = torch
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype or fast_dtype()), local_files_only=True
        ).eval()
        self.ends = _end_ids(self.tokenizer, self.model)
        self.head = _head(folder)
        self.last: tuple[Any, Any, Any] | None = None  # the ids weighed after, their cache and last state
        self.threads = 1 if self.model.num_parameters() < SMALL else None

    def sample(
        self, prompt: Prompt, count: int, max_tokens: int, seed: int, on_text: OnText | None
    ) -> list[str]:
        with _threads(self.torch, self.threads), self.torch.inference_mode():
            return self._sample(prompt, count, max_tokens, seed, on_text)

    def weigh(self, prompt: Prompt, answers: Sequence[tuple[str, str]]) -> list[Weight]:
        with _threads(self.torch, self.threads), self.torch.inference_mode():
            return self._weigh(prompt, answers)

    def _sample(
        self, prompt: Prompt, count: int, max_tokens: int, seed: int, on_text: OnText | None
    ) -> list[str]:
        torch = self.torch
        random = torch.Generator().manual_seed(seed)  # its own, so that no other thread disturbs it
        tokens: list[list[int]] = [[] for _ in range(count)]
        answers = [""] * count
        live = list(range(count))
        ids = self._encode(prompt.messages)
        self._fits(ids.shape[1] + max_tokens)
        out = self.model(input_ids=ids, use_cache=True)
        cache, logits = out.past_key_values, out.logits[:, -1].expand(count, -1)
        cache.batch_repeat_interleave(count)
        for step in range(max_tokens):
            chosen = _choose(torch, logits.float(), random)
            keep = [
                row
                for row, (number, token) in enumerate(zip(live, chosen.tolist(), strict=True))
                if not self._grow(tokens[number], token, number, answers, prompt.stop, on_text)
            ]
            if not keep or step + 1 == max_tokens:
                break
            if len(keep) < len(live):
                rows = torch.tensor(keep)
                cache.batch_select_indices(rows)
                chosen, live = chosen[rows], [live[row] for row in keep]
            logits = self.model(input_ids=chosen[:, None], past_key_values=cache).logits[:, -1]
        return answers

    def _weigh(self, prompt: Prompt, answers: Sequence[tuple[str, str]]) -> list[Weight]:
        """Read every lead once and every answer once, all in one line: an answer sees the prompt, its lead and itself."""
        torch = self.torch
        coded = {text: self._coded(text) for pair in answers for text in pair}
        tree = Tree()
        leads = {lead: tree.add(coded[lead]) for lead in dict.fromkeys(lead for lead, _ in answers)}
        places = [tree.add(coded[body], leads[lead]) for lead, body in answers]
        cache, state = self._known(self._encode(prompt.messages), max(tree.depths) + 1)
        past, dtype = cache.get_seq_length(), self.model.dtype
        seen = torch.nn.functional.pad(torch.from_numpy(tree.sees()), (past, 0), value=True)
        hidden = self.model.base_model(
            input_ids=torch.tensor([tree.pieces]),
            position_ids=torch.tensor([tree.depths]) + past,
            attention_mask=torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype)[None, None],
            past_key_values=cache,
        ).last_hidden_state[0]
        # Before each token stands the state that foretells it; before the first of all, the prompt's last one.
        before = torch.cat([hidden, state[0]])
        weights = []
        for place in places:
            start, end = tree.bounds[place]
            shares = torch.log_softmax(self.model.lm_head(before[tree.foretold_from(place)]).float(), -1)
            total = shares.gather(-1, torch.tensor(tree.pieces[start:end])[:, None]).sum()
            fit = hidden[end - 1].float() @ self.head[0] + self.head[1] if self.head else 0.0
            weights.append(Weight(float(total), end - start, float(fit)))
        return weights

    def _coded(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _known(self, ids: Any, more: int) -> tuple[Any, Any]:
        """Return a cache of the prompt, to be changed freely, and its last state; the latest prompt is read once."""
        self._fits(ids.shape[1] + more)
        if self.last is None or not self.torch.equal(self.last[0], ids):
            out = self.model.base_model(input_ids=ids, use_cache=True)
            self.last = ids, out.past_key_values, out.last_hidden_state[:, -1:]
        return copy.deepcopy(self.last[1]), self.last[2]

    def _grow(
        self,
        tokens: list[int],
        token: int,
        number: int,
        answers: list[str],
        stop: Sequence[str],
        on_text: OnText | None,
    ) -> bool:
        """Add one token to one answer; return whether the answer has ended."""
        if token in self.ends:
            return True
        tokens.append(token)
        answers[number], ended = cut(self.tokenizer.decode(tokens, skip_special_tokens=True), stop)
        if on_text:
            on_text(number, answers[number])
        return ended

    def _encode(self, messages: tuple[tuple[str, str], ...]) -> Any:
        return self.tokenizer(
            self._as_text(messages), return_tensors="pt", add_special_tokens=False
        ).input_ids

    def _fits(self, tokens: int) -> None:
        room = getattr(self.model.config, "max_position_embeddings", None) or 1 << 30
        if tokens > room:
            raise ModelError(
                f"The text is too long for this model: {tokens} tokens with the answer, {room} fit. "
                "Shorten it, or choose a model that reads more."
            )

    def _as_text(self, messages: tuple[tuple[str, str], ...]) -> str:
        if not self.tokenizer.chat_template:  # a base model: the plain text is the best prompt there is
            return "\n\n".join(content for _, content in messages) + "\n"
        chat = [{"role": role, "content": content} for role, content in messages]
        try:
            return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
        except Exception:  # jinja's own error: some templates know no system role
            if len(chat) < 2 or chat[0]["role"] != "system":
                raise
            chat[1]["content"] = chat[0]["content"] + "\n\n" + chat[1]["content"]
            return str(
                self.tokenizer.apply_chat_template(chat[1:], tokenize=False, add_generation_prompt=True)
            )


def _head(folder: Path) -> tuple[Any, float] | None:
    """Return weights and bias of the head that judges answers; None where a model has none."""
    from safetensors.torch import load_file

    if not (folder / HEAD).is_file():
        return None
    found = load_file(folder / HEAD)
    return found["weight"][0].float(), float(found["bias"])


def fast_dtype() -> str:
    """Return bfloat16 where the processor multiplies it in hardware, float32 elsewhere."""
    import torch

    found = torch.cpu.get_capabilities()
    return "bfloat16" if any(found.get(key) for key in ("avx512_bf16", "amx_bf16", "bf16")) else "float32"


def fingerprint(folder: Path) -> str:
    """Return sixteen hex digits over a model's small files and evenly spaced parts of its weights.

    Weights tuned further keep their size and header, so blocks from all over are read; hashing
    every byte of a large model would take longer than loading it.
    """
    parts: list[str | bytes] = []
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".json", ".jinja", ".safetensors", ".bin", ".model") or not path.is_file():
            continue
        if path.name == "manifest.json":  # it names versions of packages, which do not change the words
            continue
        size = path.stat().st_size
        parts += [path.name, str(size)]
        with path.open("rb") as file:
            for start in range(0, size, max(_BLOCK, size // _BLOCKS)):
                file.seek(start)
                parts.append(file.read(_BLOCK))
    return short_hash(*parts)


def _size(folder: Path) -> int:
    weights = [path for path in folder.glob("model*.safetensors") if path.is_file()]
    return sum(path.stat().st_size for path in weights or folder.glob("pytorch_model*.bin") if path.is_file())


def _find(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return folder
        raise ModelError(
            f"The folder {folder} holds no model: config.json is missing. Choose another folder."
        )
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(str(source), local_files_only=True))
    except Exception as error:  # not cached, no valid name, no library: for the reader it is one thing
        raise ModelError(
            f"There is no text model {source}: it is no folder here and not in the local Hugging Face "
            "cache. Nothing is downloaded; put the model there, or set model to bundled."
        ) from error


def _choose(torch: Any, logits: Any, random: Any) -> Any:
    """Sample one token a row among the likeliest ones."""
    scores, ids = torch.topk(logits / TEMPERATURE, min(TOP_K, logits.shape[-1]))
    shares = torch.softmax(scores, -1)
    before = shares.cumsum(-1) - shares  # the share of everything likelier: the first is always kept
    shares = shares.masked_fill(before > TOP_P, 0.0)
    return ids.gather(-1, torch.multinomial(shares, 1, generator=random)).squeeze(-1)


def _end_ids(tokenizer: Any, model: Any) -> set[int]:
    """Return every token that ends an answer: the tokenizer's own and the model's settings'."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return {token for token in [tokenizer.eos_token_id, *ids] if token is not None}


@contextlib.contextmanager
def _threads(torch: Any, count: int | None) -> Iterator[None]:
    """Compute with ``count`` threads inside, and with as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def quiet() -> None:
    """Silence the engine's notices: standard error belongs to the application's own sentences."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def first_line(error: BaseException) -> str:
    """Return the first line of an engine's message, cut to a readable length."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
