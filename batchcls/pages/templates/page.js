"use strict";

// The gallery: which cards are shown, and in what order. Without this they are all there.
(() => {
  const gallery = document.getElementById("gallery");
  const form = gallery && gallery.querySelector("form.filters");
  if (!form) return;

  const list = gallery.querySelector(".cards");
  const count = form.querySelector(".count");
  const nothing = gallery.querySelector(".nothing");
  const cards = [...list.children];
  const fields = ["text", "label", "truth", "verdict", "status", "order"]
    .map((name) => form.elements[name])
    .filter(Boolean);
  const names = new Map(cards.map((card) => [card, card.querySelector(".name").textContent]));
  const haystacks = new Map(
    cards.map((card) => {
      const name = card.querySelector(".name");
      const reason = card.querySelector(".reason");
      const texts = [names.get(card), name.title, reason ? reason.textContent : ""];
      return [card, texts.join("\n").toLowerCase()];
    }),
  );

  const score = (card) => (card.dataset.score === "" ? -1 : Number(card.dataset.score));
  const byName = new Intl.Collator(undefined, { numeric: true }).compare;
  const orders = {
    sure: (one, other) => score(other) - score(one),
    unsure: (one, other) => score(one) - score(other),
    name: (one, other) => byName(names.get(one), names.get(other)),
  };

  function wanted(card) {
    const { label, truth, status } = card.dataset;
    const asked = (name) => (form.elements[name] ? form.elements[name].value : "");
    const text = asked("text").trim().toLowerCase();
    if (text && !haystacks.get(card).includes(text)) return false;
    if (asked("label") && asked("label") !== label) return false;
    if (asked("truth") && asked("truth") !== truth) return false;
    if (asked("verdict") && (asked("verdict") === "right") !== (label === truth)) return false;
    if (asked("status") === "corrected") return card.classList.contains("is-corrected");
    return !asked("status") || asked("status") === status;
  }

  function sort() {
    const order = orders[form.elements.order.value];
    list.append(...(order ? [...cards].sort(order) : cards));
  }

  function filter() {
    let shown = 0;
    for (const card of cards) {
      card.hidden = !wanted(card);
      if (!card.hidden) shown += 1;
    }
    const all = cards.length.toLocaleString("en");
    const images = cards.length === 1 ? "image" : "images";
    count.textContent =
      shown === cards.length
        ? `${all} ${images}`
        : `${shown.toLocaleString("en")} of ${all} ${images}`;
    nothing.hidden = shown > 0;
    gallery.dispatchEvent(new Event("filtered"));
  }

  // Sets the filters to those of "label=3&status=review", and clears all others.
  function show(what) {
    const asked = new URLSearchParams(what);
    for (const field of fields) field.value = asked.get(field.name) || "";
    sort();
    filter();
    gallery.scrollIntoView();
    gallery.focus({ preventScroll: true });
  }

  form.hidden = false;
  form.addEventListener("input", (event) => {
    if (event.target.name === "order") sort();
    filter();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => (sort(), filter())));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-show]");
    if (!link) return;
    event.preventDefault();
    show(link.dataset.show);
  });
  sort();
  filter();
})();
