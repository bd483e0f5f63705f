// Keeps what is typed until the server has it, and carries acts from the page to it.
// No words of its own but what the page gives it; nothing here is trusted by the server.
(() => {
  "use strict";
  const PREFIX = "mentoring:";
  const DEBOUNCE = 500;   // ms after the last key before a save
  const RETRY = 4000;     // ms between tries while the server does not answer
  const ESCAPES = 700;    // ms within which a second Esc hides the page
  const fieldKeys = new WeakMap();   // node -> the key it last showed
  const opened = new Map();          // summary text and place -> open or not
  const timers = new Map();
  const waiting = new Map();         // key -> the save on its way: its number and text, and how to send anew
  let page = null, send = () => {}, count = 0, busy = null, opener = null, banner = null, noticed, lastEscape = -Infinity;

  const kept = (key) => sessionStorage.getItem(PREFIX + key);
  const keep = (key, text) => sessionStorage.setItem(PREFIX + key, text);
  const drop = (key) => sessionStorage.removeItem(PREFIX + key);
  const forgetAll = () => Object.keys(sessionStorage).filter((k) => k.startsWith(PREFIX)).forEach((k) => sessionStorage.removeItem(k));
  const hide = () => location.replace("/quiet");
  const words = () => document.querySelector(".bar")?.dataset ?? {};

  function payload(node) {
    const data = {};
    for (const [name, value] of Object.entries(node.dataset)) {
      if (!["act", "save", "key", "with", "busy", "form", "clear"].includes(name)) data[name] = value;
    }
    if (node.dataset.with) data.text = document.getElementById(node.dataset.with)?.value ?? "";
    return data;
  }

  function formData(form) {
    const data = payload(form);
    for (const field of form.elements) {
      if (!field.name) continue;
      if (field.type === "checkbox") data[field.name] = field.checked ? "true" : "false";
      else if (field.type !== "radio" || field.checked) data[field.name] = field.value;
    }
    for (const fill of form.querySelectorAll(".fill")) {
      data[fill.dataset.name || "wording"] = [...fill.childNodes].map((n) => n.value ?? n.textContent).join("").trim();
    }
    return data;
  }

  function act(name, data, node) {
    if (node) {
      if (busy) { hint(words().waiting); return; }
      if (name === "preview") opener = node;
      const fields = node.closest("form")?.querySelectorAll("[data-key]") ?? [];
      fields.forEach((field) => clearTimeout(timers.get(field.dataset.key)));   // the act carries them
      busy = { node, text: node.textContent, sent: [...fields].map((field) => [field.dataset.key, field.value]) };
      node.disabled = true;
      if (node.dataset.busy) node.textContent = node.dataset.busy;
      data.mark_of_act = `act#${++count}`;
      busy.mark = data.mark_of_act;
      busy.timer = setTimeout(() => free(busy?.mark), 60000);
    }
    send(name, data);
  }

  function hint(text) {
    const note = document.querySelector("#note .note");
    note?.replaceChildren(Object.assign(document.createElement("p"), { textContent: text }));
    clearTimeout(noted.timer);
    noted.timer = setTimeout(() => note?.replaceChildren(), 3000);
  }

  function free(mark) {
    if (!busy || busy.mark !== mark) return;
    clearTimeout(busy.timer);
    busy.node.disabled = false;
    if (busy.node.dataset.busy) busy.node.textContent = busy.text;
    busy = null;
  }

  function status(key, text) {
    const place = fieldOf(key)?.closest("li, form, .sheet, .card, section")?.querySelector("[data-status]");
    if (place) place.textContent = text;
  }

  function fieldOf(key) {
    return [...page.querySelectorAll("[data-key]")].find((node) => node.dataset.key === key);
  }

  const save = (node) => deliver(node.dataset.key, node.dataset.save, payload(node), node.value);

  // One save a field at a time: two on their way could arrive in the other order. No node is held on to,
  // because a redraw makes other fields of the same nodes.
  function deliver(key, name, fields, text) {
    clearTimeout(timers.get(key));
    if (waiting.has(key)) return;   // saved() sends what was typed meanwhile
    const number = ++count;
    const again = () => deliver(key, name, fields, kept(key) ?? text);
    const retry = setTimeout(() => {
      waiting.delete(key);
      if (fieldOf(key)) { again(); status(key, words().notSaved); }
    }, RETRY);
    waiting.set(key, { number, text, again, retry });
    status(key, words().saving);
    send(name, { ...fields, text, mark_of_act: `${key}#${number}` });
  }

  function saved(key, number) {
    const sent = waiting.get(key);
    if (sent?.number !== number) return;
    clearTimeout(sent.retry);
    waiting.delete(key);
    if (kept(key) !== null && kept(key) !== sent.text) { sent.again(); return; }
    drop(key);
    status(key, words().saved);
  }

  function typed(node) {
    const key = node.dataset.key;
    if (!key) return;
    keep(key, node.value);
    if (!node.dataset.save) return;
    status(key, words().saving);
    clearTimeout(timers.get(key));
    const name = node.dataset.save, fields = payload(node);
    timers.set(key, setTimeout(() => {
      const text = kept(key);   // none: saved or forgotten meanwhile
      if (text !== null) deliver(key, name, fields, text);
    }, DEBOUNCE));
  }

  function detailsKey(node) {
    const text = node.querySelector("summary")?.textContent ?? "";
    const same = [...page.querySelectorAll("details")].filter((d) => d.querySelector("summary")?.textContent === text);
    return `${text}|${same.indexOf(node)}`;
  }

  // After the view was drawn: fields show what is not saved yet, folds stay as they were.
  function drawn() {
    for (const node of page.querySelectorAll("[data-key]")) {
      const key = node.dataset.key;
      const unsaved = kept(key);
      const server = node.tagName === "TEXTAREA" ? node.textContent : node.getAttribute("value") ?? "";
      if (fieldKeys.get(node) !== key || document.activeElement !== node) node.value = unsaved ?? server;
      fieldKeys.set(node, key);
      if (unsaved !== null && unsaved !== server && node.dataset.save) save(node);
      else if (unsaved === server) drop(key);
    }
    for (const node of page.querySelectorAll("details:not(.confirm)")) {
      const was = opened.get(detailsKey(node));
      if (was !== undefined) node.open = was;
    }
    const panel = page.querySelector("[data-panel]");
    if (panel && !panel.contains(document.activeElement)) panel.focus();
    if (!panel && opener) { if (opener.isConnected) opener.focus(); opener = null; }
    const notice = page.querySelector(".notice");
    if (notice && notice.textContent !== noticed) notice.scrollIntoView({ block: "start" });
    noticed = notice?.textContent;
  }

  function noted(element) {
    // A region that is there before its words change is the one that screen readers announce.
    element.setAttribute("role", "status");
    element.setAttribute("aria-live", "polite");
    const note = element.querySelector(".note");
    if (!note) return;
    const { mark, says } = note.dataset;
    if (note.dataset.saved && mark) {
      const at = mark.lastIndexOf("#");
      saved(mark.slice(0, at), Number(mark.slice(at + 1)));
    } else if (mark) {
      const sent = busy?.mark === mark && note.classList.contains("good") ? busy.sent : [];
      free(mark);
      for (const [key, text] of sent) {
        if (kept(key) !== text) continue;   // typed on since
        drop(key);
        const field = fieldOf(key);
        if (field && "clear" in field.dataset) field.value = "";
      }
    }
    if (says) {
      clearTimeout(noted.timer);
      noted.timer = setTimeout(() => note.replaceChildren(), 9000);
    }
  }

  function wire(element, trigger, watch, events) {
    page = element;
    send = (name, data) => { if (events.includes(`do_${name}`)) trigger(`do_${name}`, data); };
    element.addEventListener("click", (event) => {
      const start = event.target.closest("[data-start]");
      if (start) {
        const field = document.getElementById("text");
        field.value = `${start.dataset.start.replace(/ …$/, " ")}${field.value}`;
        field.focus();
        field.dispatchEvent(new Event("input", { bubbles: true }));
        return;
      }
      const copy = event.target.closest("[data-copy]");
      if (copy) { copyText(copy); return; }
      const button = event.target.closest("button[data-act]");
      if (button) { event.preventDefault(); act(button.dataset.act, payload(button), button); }
    });
    element.addEventListener("submit", (event) => {
      const form = event.target.closest("form[data-form]");
      if (!form) return;
      event.preventDefault();
      const button = form.querySelector("[type=submit]");
      act(form.dataset.act, formData(form), button);
    });
    element.addEventListener("change", (event) => {
      const again = event.target.closest("[data-again]");
      if (again) { const data = formData(again.form); data.mark_of_act = `again#${++count}`; send(again.dataset.again, data); }
    });
    element.addEventListener("input", (event) => typed(event.target));
    element.addEventListener("focusout", (event) => {
      const node = event.target;
      if (event.relatedTarget?.type === "submit" && event.relatedTarget.form === node.form) return;
      if (node.dataset?.save && kept(node.dataset.key) !== null && !waiting.has(node.dataset.key)) save(node);
    });
    element.addEventListener("toggle", (event) => {
      if (event.target.tagName === "DETAILS") opened.set(detailsKey(event.target), event.target.open);
    }, true);
    watch("value", drawn);
    drawn();
  }

  async function copyText(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: button.dataset.copy });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const text = button.textContent;
    if (text === button.dataset.copied) return;   // pressed again while it still says so
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = text; }, 2000);
  }

  function showBanner(text, link) {
    if (banner) return;
    banner = Object.assign(document.createElement("div"), { className: "banner", textContent: `${text} ` });
    banner.setAttribute("role", "alert");
    if (link) banner.append(Object.assign(document.createElement("a"), { href: "/sign-in", target: "_blank", textContent: link }));
    document.body.prepend(banner);
  }

  // Gradio shows nothing of use when the sign-in has ended, so the answer is looked at here.
  const fetched = window.fetch;
  window.fetch = async (...given) => {
    const answer = await fetched(...given);
    if (String(given[0]?.url ?? given[0]).includes("/gradio_api/")) {
      if (answer.status === 401) { showBanner(words().signedOut, words().signInAgain); free(busy?.mark); }
      else if (answer.status === 403) { forgetAll(); showBanner(words().otherPerson); }
      else if (!answer.ok) free(busy?.mark);
      else if (banner) { banner.remove(); banner = null; }
    }
    return answer;
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-hide]")) hide();
    if (event.target.closest(".skip")) {   // Gradio keeps links within a page from working
      event.preventDefault();
      const view = document.getElementById("view");
      view.tabIndex = -1;
      view.focus();
    }
    if (event.target.closest("[data-print]")) window.print();
  });
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/sign-out") forgetAll();
  });
  document.addEventListener("keydown", (event) => {
    const panel = page?.querySelector("[data-panel]");
    if (event.key === "Tab" && panel) keepInside(panel, event);
    if (event.key !== "Escape") return;
    if (event.timeStamp - lastEscape < ESCAPES) { hide(); return; }
    lastEscape = event.timeStamp;
    panel?.querySelector("[data-act=close]")?.click();
  });

  function keepInside(panel, event) {
    const stops = [...panel.querySelectorAll("button:not(:disabled), a[href], input, textarea")];
    const [first, last] = [stops[0], stops[stops.length - 1]];
    const from = document.activeElement;
    if (event.shiftKey ? from === first || from === panel : from === last) {
      event.preventDefault();
      (event.shiftKey ? last : first)?.focus();
    }
  }

  window.mentoring = { wire, noted };
})();
