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
  const waiting = new Map();         // key -> number of the save on its way
  let page = null, send = () => {}, count = 0, busy = null, banner = null, lastEscape = -Infinity;

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
      if (busy) return;
      busy = { node, text: node.textContent };
      node.disabled = true;
      if (node.dataset.busy) node.textContent = node.dataset.busy;
      data.mark_of_act = `act#${++count}`;
      busy.mark = data.mark_of_act;
      busy.timer = setTimeout(() => free(busy?.mark), 60000);
    }
    send(name, data);
  }

  function free(mark) {
    if (!busy || busy.mark !== mark) return;
    clearTimeout(busy.timer);
    busy.node.disabled = false;
    if (busy.node.dataset.busy) busy.node.textContent = busy.text;
    busy = null;
  }

  function status(node, text) {
    const place = node.closest("li, form, .sheet, .card, section")?.querySelector("[data-status]");
    if (place) place.textContent = text;
  }

  function save(node) {
    const key = node.dataset.key;
    clearTimeout(timers.get(key));
    const number = ++count;
    waiting.set(key, number);
    status(node, words().saving);
    send(node.dataset.save, { ...payload(node), text: node.value, mark_of_act: `${key}#${number}` });
    timers.set(key, setTimeout(() => {
      if (waiting.get(key) !== number) return;
      status(node, words().notSaved);
      if (node.isConnected && node.dataset.key === key) save(node);
    }, RETRY));
  }

  function typed(node) {
    const key = node.dataset.key;
    if (!key) return;
    keep(key, node.value);
    if (!node.dataset.save) return;
    status(node, words().saving);
    clearTimeout(timers.get(key));
    timers.set(key, setTimeout(() => save(node), DEBOUNCE));
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
    const notice = page.querySelector(".notice");
    if (notice && !notice.dataset.seen) { notice.dataset.seen = "1"; notice.scrollIntoView({ block: "start" }); }
  }

  function noted(element) {
    // A region that is there before its words change is the one that screen readers announce.
    element.setAttribute("role", "status");
    element.setAttribute("aria-live", "polite");
    const note = element.querySelector(".note");
    if (!note) return;
    const { saved, mark, says } = note.dataset;
    if (saved && mark) {
      const at = mark.lastIndexOf("#");
      const key = mark.slice(0, at);
      if (waiting.get(key) === Number(mark.slice(at + 1))) {
        waiting.delete(key);
        clearTimeout(timers.get(key));
        drop(key);
        const node = [...(page?.querySelectorAll("[data-key]") ?? [])].find((n) => n.dataset.key === key);
        if (node) status(node, words().saved);
      }
    } else if (mark) {
      const done = busy?.mark === mark && note.classList.contains("good") ? busy.node.closest("form") : null;
      free(mark);
      for (const field of done?.querySelectorAll("[data-key]:not([data-save])") ?? []) {
        drop(field.dataset.key);
        if ("clear" in field.dataset) field.value = "";
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
      else if (answer.ok && banner) { banner.remove(); banner = null; }
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
    if (event.key !== "Escape") return;
    if (event.timeStamp - lastEscape < ESCAPES) { hide(); return; }
    lastEscape = event.timeStamp;
    page?.querySelector("[data-panel] [data-act=close]")?.click();
  });

  window.mentoring = { wire, noted };
})();
