/* Checks on the review page. The server enforces every one; the page mirrors it so that a disabled
   Approve says what is left and leads there.

   Marks in the page: [data-need="name"] on a checkbox, select or fieldset of radios that must be
   decided; #approve (aria-disabled), #left (what is left), #prog i (one bar a check);
   [data-sum="id of a change"] with .st in "what will be written"; [data-when="radio name"]
   [data-v="none 0 1"] for words that a choice shows or hides; #approve[data-blocked="why"] where
   approving is off whatever is ticked; #approve[data-done="sentence"] when all is checked. */
const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const say = (text) => document.dispatchEvent(new CustomEvent("portal:say", { detail: text }));

const approve = $("#approve");
const needs = $$("[data-need]");
const left = $("#left");

const met = (need) => {
  if (need.matches("fieldset")) return Boolean($("input:checked", need));
  if (need.matches("select, textarea")) return Boolean(need.value.trim());
  return need.checked;
};
const undone = () => needs.filter((need) => !met(need));

// What is shown is what will be written: a choice changes the words at once.
const redraw = () => {
  $$("[data-when]").forEach((part) => {
    const chosen = $(`input[name="${CSS.escape(part.dataset.when)}"]:checked`);
    part.hidden = !part.dataset.v.split(" ").includes(chosen ? chosen.value : "none");
  });
};

const refresh = () => {
  redraw();
  if (!approve) return;
  const open = undone();
  const ready = open.length === 0 && !approve.dataset.blocked;
  approve.setAttribute("aria-disabled", ready ? "false" : "true");
  approve.classList.toggle("primary", ready);
  if (left && !approve.dataset.blocked && needs.length) {
    left.textContent = open.length
      ? `${needs.length - open.length} of ${needs.length} checks done. Next: ${open[0].dataset.need}`
      : approve.dataset.done || "All checks done. Nothing is written until you approve.";
  }
  $$("#prog i").forEach((bar, n) => bar.classList.toggle("on", n < needs.length - open.length));
  $$("[data-sum]").forEach((line) => {
    const mine = needs.filter((need) => need.closest("[data-item]")?.id === line.dataset.sum);
    const done = mine.length > 0 && mine.every(met);
    const words = $(".st", line);
    line.classList.toggle("done", done);
    if (words && mine.length) {
      words.textContent = done ? "Checked" : `${mine.filter((need) => !met(need)).length} to check`;
    }
  });
};

const nextCheck = () => {
  const need = undone()[0];
  if (!need) {
    approve?.focus();
    return;
  }
  const item = need.closest("[data-item]");
  if (item) document.dispatchEvent(new CustomEvent("portal:go", { detail: item }));
  const box = need.matches("fieldset") ? $("input", need) : need;
  box.focus();
  box.scrollIntoView({ block: "center" });
};

document.addEventListener("change", (event) => {
  if (event.target.closest("[data-need]") || event.target.matches("[type=radio]")) refresh();
});
document.addEventListener("portal:next-check", nextCheck);
approve?.addEventListener("click", (event) => {
  if (approve.getAttribute("aria-disabled") !== "true") return;
  event.preventDefault();
  const open = undone().length;
  say(approve.dataset.blocked || `Not yet. ${open} ${open === 1 ? "check" : "checks"} left.`);
  if (open) nextCheck();
});
refresh();
