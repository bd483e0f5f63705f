"""Assembles the web application and serves it. Gradio is one component inside it, behind the guard."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from gradio.state_holder import SessionState, StateHolder
from starlette.routing import Mount

from assistant import assemble
from assistant.assemble import Application
from assistant.errors import SettingsError
from assistant.settings import Settings
from ui import files, goals, keeper, library, meeting, mentor, mine, sharing, signin, write
from ui.guard import App, Guard
from ui.words import strings

PAGES = {
    "/": write.build,
    "/meeting": meeting.build,
    "/goals": goals.build,
    "/library": library.build,
    "/mine": mine.build,
    "/sharing": sharing.build,
    "/mentor": mentor.build,
    "/keeper": keeper.build,
}
OTHERS = ("/welcome", "/sign-out", "/delete-account", "/download", "/meeting.md", "/meeting/print")
HEAD = '<link rel="stylesheet" href="/own/app.css"><script src="/own/app.js"></script>'


class Forgetful(StateHolder):
    """Remembers nothing of any tab. No act needs it, and what Gradio would keep is what people wrote."""

    def __getitem__(self, session_id: str) -> SessionState:
        return SessionState(self.blocks)

    def __contains__(self, session_id: str) -> bool:
        return False


def build(site: Application) -> App:
    """Return the whole ASGI application for ``site``."""
    private = site.settings.data / "tmp"
    private.mkdir(mode=0o700, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(private)
    api = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    # Gradio withdraws its own, permissive CORS where the parent application has one.
    api.add_middleware(CORSMiddleware, allow_origins=[])
    api.include_router(signin.routes(site))
    api.include_router(files.routes(site))
    # Gradio says so even where ssr_mode is off.
    warnings.filterwarnings("ignore", message="SSR mode is not supported")
    mounted = gr.mount_gradio_app(
        api, _blocks(site), path="/", auth_dependency=_who, run_history=False, footer_links=[], show_error=False,
        max_file_size="1mb", enable_monitoring=False, pwa=False, ssr_mode=False, mcp_server=False,
        app_kwargs={"openapi_url": None}, allowed_paths=[], theme=_theme(),
    )  # fmt: skip
    gradio = next(route.app for route in mounted.routes if isinstance(route, Mount))
    gradio.state_holder = Forgetful()  # type: ignore[attr-defined]
    gradio.state_holder.set_blocks(gradio.blocks)  # type: ignore[attr-defined]
    return Guard(mounted, site.accounts, (*PAGES, *OTHERS), site.settings.allowed_hosts, HEAD)


def _blocks(site: Application) -> gr.Blocks:
    with gr.Blocks(
        analytics_enabled=False, title=strings()["common"]["title"], delete_cache=(3600, 3600)
    ) as demo:
        PAGES["/"](site, demo)
    for path, make in PAGES.items():
        if path != "/":
            with demo.route(path.strip("/").capitalize(), path, show_in_navbar=False):
                make(site, demo)
    demo.queue(default_concurrency_limit=16, max_size=200, api_open=False)
    return demo


def _who(request: Request) -> str | None:
    """Return the id of the person whom the guard found behind the sign-in."""
    person = request.scope.get("state", {}).get("person")
    return person.id if person else None


def _theme() -> gr.themes.Base:
    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def serve(settings: Settings) -> None:
    """Run the application until it is stopped; prints its address and, the first time, a code."""
    logging.basicConfig(level=logging.WARNING)
    os.umask(0o077)
    try:
        site = assemble.application(settings)
        app = build(site)
    except OSError as error:
        raise SettingsError(f"The application cannot start ({error}). Run `mentoring doctor`.") from error
    taken = _listening(settings)
    _say_where(site)
    options = uvicorn.Config(
        app, access_log=False, log_level="warning", server_header=False, forwarded_allow_ips="127.0.0.1"
    )
    uvicorn.Server(options).run(sockets=[taken])


def _listening(settings: Settings) -> socket.socket:
    """Return the socket to serve on. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise SettingsError(
            f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}). "
            "Another program may have it: stop that, or choose another with --port."
        ) from error
    return bound


def _say_where(site: Application) -> None:
    settings = site.settings
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    lines = [f"Open http://{host}:{settings.port}", f"Data: {settings.data}"]
    code = site.accounts.first_code()
    if code:
        lines.append(f"Nobody has an account yet. Make the first one at /sign-up with this code: {code}")
    if site.pipeline.model_fault:
        lines.append(site.pipeline.model_fault)
    lines.append("Stop with Ctrl+C.")
    print("\n".join(lines), file=sys.stderr, flush=True)
