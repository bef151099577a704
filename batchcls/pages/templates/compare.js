// The filters of the table of changes. Without this script the table is whole, and has none.
(() => {
  "use strict";
  const form = document.querySelector("form.filters");
  const rows = [...document.querySelectorAll("#changed tbody tr")];
  if (!form || !rows.length) {
    return;
  }
  const { text, step } = form.elements;
  const count = form.querySelector(".count");
  const nothing = document.querySelector(".nothing");
  const words = rows.map((row) => row.textContent.toLowerCase());

  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, index) => {
      const fits =
        (!step.value || row.dataset.step === step.value) && words[index].includes(wanted);
      row.hidden = !fits;
      shown += fits;
    });
    const number = (value) => value.toLocaleString("en");
    count.textContent =
      shown === rows.length
        ? `${number(rows.length)} rows`
        : `${number(shown)} of ${number(rows.length)} rows`;
    nothing.hidden = shown > 0;
  };

  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  // Chosen in the list of what became what, it is chosen in the table.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-step]");
    if (link) {
      text.value = "";
      step.value = link.dataset.step;
      apply();
    }
  });
  apply(); // a browser may have kept what was typed before a reload
})();
