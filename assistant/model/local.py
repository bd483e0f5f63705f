"""Local weights through transformers, which is imported here alone and only when it is needed.

A prompt is read once; its key-value cache is then repeated for every answer, because on a
processor the reading costs more than the writing of a short question. Answers that have ended
leave the batch, so the last ones do not wait for them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from assistant.errors import ModelError
from assistant.model import OnScore, OnText, Prompt, Style, checked_count, cut, short_hash

TEMPERATURE = 0.8
TOP_K = 50
TOP_P = 0.92
# Two threads wait for each other several hundred times a token. When anything else wants a core, that
# waiting made a small model ten times slower than one thread alone; large ones need all the cores.
SMALL = 400_000_000  # parameters
LARGE = 1_500_000_000  # bytes of weights, from about which models follow instructions
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
        on_score: OnScore | None = None,
    ) -> list[str]:
        """Return ``count`` sampled answers; see the protocol. ``on_text`` hears every new token.

        Raises ModelError when the weights cannot be loaded or used, or the prompt is too long.
        """
        checked_count(count, max_tokens, prompt)
        with self._lock:
            engine = self._load()
            try:
                return engine.sample(prompt, count, max_tokens, seed, on_text, on_score)
            except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
                raise ModelError(
                    f"The text model {self.name} failed while writing ({_line(error)}). "
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
                    f"The text model in {self.folder} cannot be loaded ({_line(error)}). "
                    "Choose another folder, or delete a prepared one and it is made again."
                ) from error
        return self._engine


class _Engine:
    """Tokenizer and weights, loaded."""

    def __init__(self, folder: Path, dtype: str | None) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        _quiet()
        self.torch = torch
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype or fast_dtype()), local_files_only=True
        ).eval()
        self.ends = _end_ids(self.tokenizer, self.model)
        self.filler = next(iter(self.ends), 0)  # before shorter leads; nothing looks at it
        self.threads = 1 if self.model.num_parameters() < SMALL else None

    def sample(
        self,
        prompt: Prompt,
        count: int,
        max_tokens: int,
        seed: int,
        on_text: OnText | None,
        on_score: OnScore | None,
    ) -> list[str]:
        with _threads(self.torch, self.threads), self.torch.inference_mode():
            answers, scores = self._sample(prompt, count, max_tokens, seed, on_text)
        if on_score:
            for number, score in enumerate(scores):
                on_score(number, score)
        return answers

    def _sample(
        self, prompt: Prompt, count: int, max_tokens: int, seed: int, on_text: OnText | None
    ) -> tuple[list[str], list[float]]:
        torch = self.torch
        random = torch.Generator().manual_seed(seed)  # its own, so that no other thread disturbs it
        tokens: list[list[int]] = [[] for _ in range(count)]
        answers = [""] * count
        totals, sampled = [0.0] * count, [0] * count  # log-likelihood and number of tokens, the end included
        live = list(range(count))
        logits, cache, real = self._read(prompt, count, max_tokens)
        for step in range(max_tokens):
            chosen = _choose(torch, logits.float(), random, prompt.temperature or TEMPERATURE)
            shares = torch.log_softmax(logits.float(), -1)
            likely = shares.gather(-1, chosen[:, None])[:, 0].tolist()
            keep = []
            for row, (number, token) in enumerate(zip(live, chosen.tolist(), strict=True)):
                totals[number] += likely[row]
                sampled[number] += 1
                if not self._grow(tokens[number], token, number, answers, prompt.stop, on_text):
                    keep.append(row)
            if not keep or step + 1 == max_tokens:
                break
            if len(keep) < len(live):
                rows = torch.tensor(keep)
                cache.batch_select_indices(rows)
                chosen, live = chosen[rows], [live[row] for row in keep]
                real = None if real is None else real[rows]
            logits, real = self._step(chosen[:, None], cache, real)
        return answers, [total / max(1, number) for total, number in zip(totals, sampled, strict=True)]

    def _read(self, prompt: Prompt, count: int, max_tokens: int) -> tuple[Any, Any, Any]:
        """Read the prompt once and each answer's lead after it.

        Returns the logits of the next token (count, vocabulary), the cache, and with leads which of its
        places are real (count, places): shorter leads are filled up before their first token.
        """
        torch = self.torch
        ids = self._encode(prompt.messages)
        leads = [self.tokenizer(lead, add_special_tokens=False).input_ids for lead in prompt.leads]
        longest = max(map(len, leads), default=0)
        self._fits(ids.shape[1] + longest + max_tokens)
        out = self.model(input_ids=ids, use_cache=True)
        cache = out.past_key_values
        cache.batch_repeat_interleave(count)
        if not longest:
            return out.logits[:, -1].expand(count, -1), cache, None
        real = torch.ones(count, ids.shape[1], dtype=torch.long)
        rows = torch.tensor([[self.filler] * (longest - len(lead)) + lead for lead in leads])
        filled = torch.tensor([[0] * (longest - len(lead)) + [1] * len(lead) for lead in leads])
        logits, real = self._step(rows, cache, real, filled)
        return logits, cache, real

    def _step(self, ids: Any, cache: Any, real: Any, filled: Any = None) -> tuple[Any, Any]:
        """Read further tokens of each row; return the logits after the last and the longer ``real``.

        Where there was no lead there is no ``real`` and every place counts.
        """
        torch = self.torch
        if real is None:
            return self.model(input_ids=ids, past_key_values=cache).logits[:, -1], None
        real = torch.cat([real, torch.ones_like(ids) if filled is None else filled], dim=1)
        places = (real.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self.model(input_ids=ids, attention_mask=real, position_ids=places, past_key_values=cache)
        return out.logits[:, -1], real

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


def convert_gguf(source: Path, target: Path, dtype: str, adapter: Path | None = None) -> None:
    """Read a GGUF file and write weights, configuration and tokenizer into the folder ``target``.

    What ``adapter`` adds to the weights is worked in. Raises ModelError when the file is no model that transformers can read.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"The text model needs transformers and torch ({error}). Run `make setup`."
        ) from error
    _quiet()
    options: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
        model: Any = AutoModelForCausalLM.from_pretrained(
            source.parent, dtype=getattr(torch, dtype), **options
        )
    except Exception as error:  # the readers' errors have no common base
        raise ModelError(
            f"The text model {source} cannot be read ({_line(error)}). Run `make setup` to install it again."
        ) from error
    if adapter:
        _work_in(model, adapter)
    # The weights are plain numbers by now; the mark "quantized" would forbid saving them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _work_in(model: Any, adapter: Path) -> None:
    """Add the low-rank changes of ``adapter`` to the weights they are named for. Raises ModelError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(adapter, "pt") as file:
            scale = float((file.metadata() or {})["scale"])
            for name in sorted(key.removesuffix(".A") for key in file.keys() if key.endswith(".A")):  # noqa: SIM118
                weight = model.get_submodule(name).weight
                change = file.get_tensor(f"{name}.B").float() @ file.get_tensor(f"{name}.A").float()
                weight.data = (weight.data.float() + scale * change).to(weight.dtype)
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"The question writer's weights {adapter} cannot be used ({_line(error)}). Fetch them again or run "
            "`python -m training.train_writer`."
        ) from error


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
    weights = [path for path in folder.glob("*.safetensors") if path.is_file()]
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


def _choose(torch: Any, logits: Any, random: Any, temperature: float) -> Any:
    """Sample one token a row among the likeliest ones."""
    scores, ids = torch.topk(logits / temperature, min(TOP_K, logits.shape[-1]))
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


def _quiet() -> None:
    """Silence the engine's notices: standard error belongs to the application's own sentences."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def _line(error: BaseException) -> str:
    """Return the first line of an engine's message, cut to a readable length."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
