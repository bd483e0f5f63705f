"""Makes a folder of plain weights out of a GGUF file, with what was tuned worked in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assistant.errors import ModelError
from assistant.model.local import HEAD, first_line, quiet


def convert(source: Path, target: Path, dtype: str, adapter: Path | None = None) -> None:
    """Read a GGUF file and write weights, configuration and tokenizer into the folder ``target``.

    What ``adapter`` adds to the weights is worked in. Raises ModelError when the file is no model that transformers can read.
    """
    try:
        import torch
        from safetensors.torch import save_file
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"The text model needs transformers and torch ({error}). Run `make setup`."
        ) from error
    quiet()
    options: dict[str, Any] = {"gguf_file": source.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
        model: Any = AutoModelForCausalLM.from_pretrained(
            source.parent, dtype=getattr(torch, dtype), **options
        )
    except Exception as error:  # the readers' errors have no common base
        raise ModelError(
            f"The text model {source} cannot be read ({first_line(error)}). Run `make setup` to install it again."
        ) from error
    if adapter:
        save_file(_work_in(model, adapter), target / HEAD)
    # The weights are plain numbers by now; the mark "quantized" would forbid saving them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _work_in(model: Any, adapter: Path) -> dict[str, Any]:
    """Add the low-rank changes of ``adapter`` to the weights they are named for; return its judging head.

    Raises ModelError.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(adapter, "pt") as file:
            scale = float((file.metadata() or {})["scale"])
            for name in sorted(key.removesuffix(".A") for key in file.keys() if key.endswith(".A")):  # noqa: SIM118
                weight = model.get_submodule(name).weight
                change = file.get_tensor(f"{name}.B").float() @ file.get_tensor(f"{name}.A").float()
                weight.data = (weight.data.float() + scale * change).to(weight.dtype)
            return {name: file.get_tensor(f"head.{name}") for name in ("weight", "bias")}
    except (OSError, SafetensorError, KeyError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"The question writer's weights {adapter} cannot be used ({first_line(error)}). Fetch them again or run "
            "`python -m training.train_writer`."
        ) from error
