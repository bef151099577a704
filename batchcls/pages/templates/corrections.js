"use strict";

// Corrections: the labels that a person gives to cards, and the file of tags made of them.
(() => {
  const gallery = document.getElementById("gallery");
  const dock = gallery && gallery.querySelector(".dock");
  if (!dock) return;

  const deck = JSON.parse(document.getElementById("deck").textContent);
  const list = gallery.querySelector(".cards");
  const all = [...list.children]; // in the page's own order, whatever they are sorted by
  const find = (selector) => dock.querySelector(selector);
  const choices = find(".choices");
  const other = find(".other");
  const news = find(".news");
  const help = find(".help");
  const key = `batchcls corrections ${deck.id}`;
  const keys = 9; // those that choose a label

  const places = new Map(deck.labels.map((label, index) => [label, index]));
  // A text field holds no line breaks.
  const typed = new Map(deck.labels.map((label) => [label.replace(/[\r\n]/g, "").trim(), label]));

  const tags = new Map(); // Base64 of a path → label
  const done = []; // what to undo: [path, label before]
  let saved = "[]";
  let current = null;

  // ---- Words

  // A label that anybody can read, as batchcls writes it on a terminal.
  function shown(label) {
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
    return label.replace(/[\p{C}\p{Z}]/gu, (character) => {
      if (character === " ") return character;
      const code = character.codePointAt(0).toString(16);
      if (short[character]) return short[character];
      if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
      return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
    });
  }

  function element(name, text = "", kind = "") {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  const nameOf = (card) => card.querySelector(".file").textContent;

  // ---- Cards and their labels

  // The label that a card has been given: by a person, else by the model.
  function present(card) {
    const index = card.dataset.truth || card.dataset.label;
    return index === "" ? null : deck.labels[index];
  }

  function choicesOf(card) {
    const first = card.dataset.choices.split(" ").filter(Boolean).map(Number);
    const offered = new Set(first);
    for (let index = 0; index < deck.classes && offered.size < keys; index += 1) offered.add(index);
    return [...offered].slice(0, keys).map((index) => deck.labels[index]);
  }

  // What a label is for a card: ["corrected to", "zebra", "a new class"], say.
  function told(card, label) {
    if (label === present(card)) return ["confirmed as", label, ""];
    const isNew = !places.has(label) || places.get(label) >= deck.classes;
    return ["corrected to", label, isNew ? "a new class" : ""];
  }

  function tag(card, label) {
    const { path } = card.dataset;
    const before = tags.get(path);
    if (before === label) return;
    done.push([path, before]);
    put(path, label);
    if (label === undefined) say(`${nameOf(card)}: taken back.`);
    else {
      const [verb, , note] = told(card, label);
      say(`${nameOf(card)}: ${verb} ${shown(label)}${note && `, ${note}`}.`);
    }
  }

  function undo() {
    const last = done.pop();
    if (!last) return;
    put(...last);
    const card = all.find((each) => each.dataset.path === last[0]);
    if (!card.hidden) go(card);
    say(`${nameOf(card)}: undone.`);
  }

  function put(path, label) {
    if (label === undefined) tags.delete(path);
    else tags.set(path, label);
    keep();
    for (const card of all) if (card.dataset.path === path) paint(card);
    tally();
    offer();
  }

  function paint(card) {
    const line = card.querySelector(".given");
    const label = tags.get(card.dataset.path);
    card.classList.toggle("is-corrected", label !== undefined);
    line.hidden = label === undefined;
    if (label === undefined) return line.replaceChildren();
    const [verb, , note] = told(card, label);
    line.replaceChildren(`${verb} `, element("bdi", shown(label)));
    if (note) line.append(", ", element("span", note));
    return undefined;
  }

  // ---- The dock: what can be chosen for the current card, and what there is to save

  function offer() {
    for (const part of [find(".choosing"), other]) part.hidden = current === null;
    find(".invitation").hidden = current !== null;
    if (current === null) return;
    const given = tags.get(current.dataset.path);
    find(".dock-name").textContent = nameOf(current);
    const focused = choices.contains(document.activeElement)
      ? [...choices.children].indexOf(document.activeElement)
      : -1;
    choices.replaceChildren(
      ...choicesOf(current).map((label, index) => {
        const button = element("button", "", "choice");
        button.type = "button";
        button.title = shown(label);
        button.setAttribute("aria-pressed", String(label === given));
        button.setAttribute("aria-keyshortcuts", String(index + 1));
        button.append(element("kbd", String(index + 1)), element("bdi", shown(label)));
        if (label === present(current)) button.append(element("span", "confirm", "muted"));
        button.addEventListener("click", () => {
          tag(current, label);
          go(current);
        });
        return button;
      }),
    );
    if (focused >= 0) choices.children[focused].focus();
    find(".take-back").disabled = given === undefined;
  }

  function tally() {
    const confirmed = all.filter((card) => tags.get(card.dataset.path) === present(card)).length;
    const corrected = tags.size - confirmed;
    const parts = [];
    if (corrected && confirmed) parts.push(`${corrected} changed`);
    if (confirmed) parts.push(`${confirmed} confirmed`);
    const what = tags.size ? plural(tags.size, "correction") : "No corrections yet";
    const unsaved = tags.size && serial() === saved ? " (saved)" : "";
    find(".tally").textContent = what + (parts.length ? `: ${parts.join(", ")}` : "") + unsaved;
    find(".undo").disabled = done.length === 0;
    find(".save").disabled = tags.size === 0;
  }

  function say(words) {
    news.textContent = words;
  }

  // ---- Moving about

  const visible = () => [...list.children].filter((card) => !card.hidden);
  const pickOf = (card) => card.querySelector(".pick");

  function select(card) {
    for (const each of all) {
      each.classList.toggle("is-current", each === card);
      pickOf(each).tabIndex = each === card ? 0 : -1;
    }
    if (card === current) return;
    current = card;
    other.reset();
    offer();
  }

  // Makes a card the one that can be tabbed to; which one is chosen does not change.
  function reachable() {
    const cards = visible();
    if (current !== null && current.hidden) select(null);
    if (current === null && cards.length) pickOf(cards[0]).tabIndex = 0;
    for (const card of cards.slice(current === null ? 1 : 0)) {
      if (card !== current) pickOf(card).tabIndex = -1;
    }
  }

  function go(card) {
    select(card);
    pickOf(card).focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  function step(by) {
    const cards = visible();
    const from = cards.indexOf(current);
    const to = from < 0 ? 0 : from + by;
    if (to >= 0 && to < cards.length) go(cards[to]);
  }

  function columns() {
    const tops = visible().map((card) => card.offsetTop);
    return Math.max(1, tops.filter((top) => top === tops[0]).length);
  }

  const isTyping = (target) => target.closest("input, select, textarea") !== null;

  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (isTyping(target)) {
      if (event.key === "Escape" && other.contains(target) && current) go(current);
      return;
    }
    // Keys mean something only here, or where nothing else has the focus.
    if (target !== document.body && !gallery.contains(target)) return;
    // On some keyboards a digit takes Shift: the key counts, not what is printed on it.
    const digit = !event.shiftKey && /^Digit(\d)$/.exec(event.code);
    if (!act(digit ? digit[1] : event.key, target)) return;
    event.preventDefault();
  });

  // Does what a key stands for; gives whether it stands for anything.
  function act(pressed, target) {
    const onCard = target.closest(".card") !== null;
    const moves = { j: 1, k: -1 };
    if (onCard) Object.assign(moves, { ArrowRight: 1, ArrowLeft: -1 });
    if (onCard && pressed === "ArrowDown") step(columns());
    else if (onCard && pressed === "ArrowUp") step(-columns());
    else if (pressed in moves) step(moves[pressed]);
    else if (pressed === "?") {
      help.open = !help.open;
      help.querySelector("summary").focus();
    } else if (pressed === "u") undo();
    else if (current === null) return false;
    else if (pressed === "0" || pressed === "Backspace") tag(current, undefined);
    else if (pressed === "t") other.elements.label.focus();
    else if (pressed === "Escape" && dock.contains(target)) go(current);
    else if (/^[1-9]$/.test(pressed)) {
      const label = choicesOf(current)[pressed - 1];
      if (label !== undefined) tag(current, label);
    } else return false;
    return true;
  }

  // ---- Keeping and saving

  const serial = () => JSON.stringify([...tags].sort());

  function keep() {
    try {
      if (tags.size) localStorage.setItem(key, JSON.stringify({ tags: [...tags], saved }));
      else localStorage.removeItem(key);
    } catch {
      // A browser may allow none to a file; then what is not saved is lost with the page.
    }
  }

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(key) || "null");
      if (kept === null) return;
      const here = new Set(all.map((card) => card.dataset.path));
      for (const [path, label] of kept.tags) if (here.has(path)) tags.set(path, String(label));
      saved = String(kept.saved);
    } catch {
      tags.clear();
    }
  }

  // A cell of the file, quoted where it must be. Paths are bytes, whatever these are.
  function cell(bytes) {
    const quote = 0x22;
    const special = [0x09, 0x0a, 0x0d, quote];
    if (!bytes.some((byte) => special.includes(byte))) return [...bytes];
    const doubled = [...bytes].flatMap((byte) => (byte === quote ? [quote, quote] : [byte]));
    return [quote, ...doubled, quote];
  }

  function file() {
    const encoder = new TextEncoder();
    const bytes = [...encoder.encode("path\tlabel\n")];
    for (const path of new Set(all.map((card) => card.dataset.path))) {
      if (!tags.has(path)) continue;
      const raw = Uint8Array.from(atob(path), (character) => character.charCodeAt(0));
      bytes.push(...cell(raw), 0x09, ...cell(encoder.encode(tags.get(path))), 0x0a);
    }
    return new Blob([Uint8Array.from(bytes)], { type: "text/tab-separated-values" });
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file());
    link.download = "corrections.tsv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    saved = serial();
    keep();
    tally();
    say(`Saved. Next: ${dock.dataset.next}`);
  }

  // ---- Begin

  for (const card of all) {
    const pick = card.querySelector(".pick");
    pick.hidden = false;
    pick.tabIndex = -1;
    card.addEventListener("focusin", () => select(card));
    card.addEventListener("click", (event) => {
      if (String(getSelection()) && !event.target.closest(".pick")) return; // text to be copied
      go(card);
      if (event.target.closest(".pick")) choices.firstElementChild.focus();
    });
  }
  find("datalist").replaceChildren(
    ...[...typed.keys()].map((value) => Object.assign(element("option"), { value })),
  );
  other.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = other.elements.label.value.trim();
    if (!text || current === null) return;
    tag(current, places.has(text) ? text : (typed.get(text) ?? text));
    other.reset();
    go(current);
  });
  find(".undo").addEventListener("click", undo);
  find(".take-back").addEventListener("click", () => {
    tag(current, undefined);
    go(current);
  });
  find(".save").addEventListener("click", save);
  gallery.addEventListener("filtered", reachable);
  addEventListener("beforeunload", (event) => {
    if (tags.size && serial() !== saved) event.preventDefault();
  });
  new ResizeObserver(() => {
    // Whatever is scrolled to must not be hidden behind the dock.
    document.documentElement.style.scrollPaddingBottom = `${dock.offsetHeight + 16}px`;
  }).observe(dock);
  dock.hidden = false;
  recall();
  all.forEach(paint);
  tally();
  offer();
  reachable();
})();
