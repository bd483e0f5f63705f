"""A model server on this machine that speaks the OpenAI chat protocol: Ollama, llama.cpp, vLLM …

Text goes to loopback alone. Any other host is refused before a connection is opened, unless the
setting names it as allowed; then the page has to say so. Proxies and redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from collections.abc import Collection
from typing import Any

import httpx

from assistant.errors import ModelError
from assistant.model import OnText, Prompt, Style, checked_count, cut, short_hash

TEMPERATURE = 0.8
TOP_P = 0.92
MAX_ANSWER = 4 << 20  # bytes; a chat answer is a few thousand
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|$)", re.DOTALL)  # notes to itself, not the answer


class ServerModel:
    """A chat model behind an address such as ``http://127.0.0.1:11434#qwen2.5:3b``.

    What follows ``#`` is the model's name at that server; without it the server's first is taken.
    A path is used as it is; without one, ``/v1`` is meant. Safe to call from several threads.
    """

    def __init__(
        self, address: str, allowed: Collection[str] = (), timeout: float = 120.0, style: Style = "strong"
    ) -> None:
        """Check the address, connect to nothing. Raises ModelError for a host that is not this machine."""
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, TypeError) as error:
            raise ModelError(f"The model address {address} cannot be read: {error}.") from error
        check_host(url, allowed)
        self.away = "" if is_loopback(url.host) else url.host  # where text goes, when not on this machine
        self.timeout = timeout
        self.style = style
        self._model = url.fragment or None
        self._structured = self._many = True  # until the server refuses it
        self._base = str(url.copy_with(fragment=None, query=None)).rstrip("/")
        if url.path in ("", "/"):
            self._base += "/v1"

    @property
    def name(self) -> str:
        """The model's name at the server where it is known, and the address."""
        return f"{self._model or 'first model'} at {self._base}"

    @property
    def hash(self) -> str:
        """A hash of address and name: what the server has loaded cannot be seen from here."""
        return short_hash(self._base, self._model or "")

    def generate(
        self,
        prompt: Prompt,
        count: int,
        max_tokens: int,
        seed: int,
        on_text: OnText | None = None,
    ) -> list[str]:
        """Return ``count`` answers, asking at once for all and again for those not given.

        Raises ModelError when the server is not there, takes too long, breaks off or is no model.
        """
        checked_count(count, max_tokens)
        answers: list[str] = []
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=self.timeout) as client:
            body = self._body(client, prompt, max_tokens)
            wanted = count if self._many else 1
            while len(answers) < count:
                reply, status = self._post(client, {**body, "n": wanted, "seed": seed + len(answers)})
                if status in (400, 422, 501) and body.pop("response_format", None):
                    self._structured = False  # some servers refuse the structure instead of ignoring it
                    continue
                if status in (400, 422, 501) and wanted > 1:  # or n
                    self._many, wanted = False, 1
                    continue
                for text in _texts(self._accepted(reply, status), self._base)[: count - len(answers)]:
                    answers.append(cut(text, prompt.stop)[0])
                    if on_text:
                        on_text(len(answers) - 1, answers[-1])
                wanted = 1
        return answers

    def _body(self, client: httpx.Client, prompt: Prompt, max_tokens: int) -> dict[str, Any]:
        if self._model is None:
            self._model = _first_model(self._accepted(*self._send(client, "GET", "/models")), self._base)
        body = {
            "model": self._model,
            "messages": [{"role": role, "content": content} for role, content in prompt.messages],
            "max_tokens": max_tokens,
            "temperature": TEMPERATURE,
            "top_p": TOP_P,
            "stream": False,
        }
        if prompt.schema and self._structured:
            schema = {"name": "answer", "strict": True, "schema": prompt.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _post(self, client: httpx.Client, body: dict[str, Any]) -> tuple[bytes, int]:
        return self._send(client, "POST", "/chat/completions", body)

    def _send(
        self, client: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[bytes, int]:
        """Return body and status; the time limit holds for the whole answer, not for each piece."""
        deadline = time.monotonic() + self.timeout
        try:
            with client.stream(method, self._base + path, json=body) as response:
                data = b""
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MAX_ANSWER:
                        raise ModelError(
                            f"The model server at {self._base} sent too much. Check the address."
                        )
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("the whole answer took too long")
                return data, response.status_code
        except httpx.TimeoutException as error:
            raise ModelError(
                f"The model server at {self._base} did not answer within {self.timeout:g} seconds. "
                "Wait until it has loaded its model, or choose a smaller one."
            ) from error
        except httpx.ConnectError as error:
            raise ModelError(
                f"No model server answers at {self._base}. Start it, or choose another model in the settings."
            ) from error
        except httpx.HTTPError as error:
            raise ModelError(
                f"The model server at {self._base} broke off in the middle of its answer ({error}). "
                "See whether it is still running, and try again."
            ) from error

    def _accepted(self, data: bytes, status: int) -> dict[str, Any]:
        """Return the parsed answer; raise ModelError for a refusal or for what is no such answer."""
        if status != 200:
            detail = data[:200].decode("utf-8", "replace").strip()
            raise ModelError(
                f"The model server at {self._base} refused with status {status}: {detail or 'no reason given'}. "
                "Check the address and the model's name."
            )
        try:
            parsed = json.loads(data)
        except ValueError as error:
            raise _no_answer(self._base) from error
        if not isinstance(parsed, dict):
            raise _no_answer(self._base)
        return parsed


def check_host(url: httpx.URL, allowed: Collection[str]) -> None:
    """Raise ModelError unless ``url`` is http(s) on this machine, or its host is in ``allowed``."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ModelError(f"The model address {url} is no http address. Write it like http://127.0.0.1:11434.")
    if url.userinfo:
        raise ModelError(f"The model address at {url.host} carries a name or password. Leave them out.")
    if url.host in allowed or is_loopback(url.host):
        return
    raise ModelError(
        f"The model address {url.host} is not this machine, so no text is sent there. "
        "Use http://127.0.0.1:PORT, or name the host as allowed in the settings."
    )


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is 127.0.0.0/8, ::1, or localhost where that means nothing else.

    No other name is looked up: asking a name server would already leave the machine, and what a
    name means can change between the question and the connection.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    if host != "localhost":
        return False
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address).is_loopback for address in found)


def _first_model(listing: dict[str, Any], base: str) -> str:
    try:
        return str(listing["data"][0]["id"])
    except (KeyError, IndexError, TypeError) as error:
        raise ModelError(
            f"The model server at {base} names no model. Load one there, or write its name after a #."
        ) from error


def _texts(reply: dict[str, Any], base: str) -> list[str]:
    try:
        texts = [choice["message"]["content"] or "" for choice in reply["choices"]]
    except (KeyError, TypeError) as error:
        raise _no_answer(base) from error
    if not texts or not all(isinstance(text, str) for text in texts):
        raise _no_answer(base)
    return [_THOUGHTS.sub("", text) for text in texts]


def _no_answer(base: str) -> ModelError:
    return ModelError(f"What answers at {base} is no OpenAI-compatible model server. Check the address.")
