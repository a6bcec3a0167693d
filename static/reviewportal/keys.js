/* The keyboard, and what belongs to it: the list on the page (rows or changes), the key help, and
   statements that light up with their source. Off in text fields, with Ctrl, Alt or Meta, and when
   the person has switched single keys off (WCAG 2.1.4). Everything also works with Tab and Space.

   Marks in the page: [data-item] a row or a change; a.open its link; #approve #edit #reject #back
   #undo #source; [data-claim="n"] a statement and its source; #approve[data-commit] where one key
   may commit (low tier). */
const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

// On a narrow screen the menu scrolls sideways: bring the current page into view.
const here = $(".bar nav [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 40;

const dialog = $("#keys");
$("#help")?.addEventListener("click", (event) => {
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});

const items = $$("[data-item]");
let at = -1;
const go = (index) => {
  if (!items.length) return;
  at = Math.max(0, Math.min(items.length - 1, index));
  items.forEach((item, n) => item.classList.toggle("cur", n === at));
  ($("a.open", items[at]) || items[at]).focus({ preventScroll: true });
  items[at].scrollIntoView({ block: "nearest" });
};
document.addEventListener("portal:go", (event) => go(items.indexOf(event.detail)));
document.addEventListener("focusin", (event) => {
  const item = event.target.closest?.("[data-item]");
  if (item) at = items.indexOf(item);
});

const pair = (key) => $$(`[data-claim="${CSS.escape(key)}"]`);
$$("[data-claim]").forEach((mark) => {
  const light = (on) => pair(mark.dataset.claim).forEach((one) => one.classList.toggle("lit", on));
  mark.addEventListener("mouseenter", () => light(true));
  mark.addEventListener("mouseleave", () => light(false));
  mark.addEventListener("focusin", () => light(true));
  mark.addEventListener("focusout", () => light(false));
});

const openSource = () => {
  const source = $("#source");
  if (!source) return;
  source.open = true;
  source.scrollIntoView();
  $("summary", source)?.focus({ preventScroll: true });
};
const tick = () => {
  const box = items[at] && $("input[type=checkbox][data-need]", items[at]);
  if (!box) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
};
const approve = () => {
  const button = $("#approve");
  if (!button) return;
  if (button.hasAttribute("data-commit")) button.click();
  else button.focus(); // Enter commits, so one slip never writes
};

const KEYS = {
  j: () => go(at + 1),
  k: () => go(at - 1),
  o: () => items[at] && $("a.open", items[at])?.click(),
  n: () => tell("portal:next-check"),
  x: tick,
  s: openSource,
  a: approve,
  e: () => $("#edit")?.click(),
  r: () => $("#reject")?.click(),
  u: () => $("#back")?.click(),
  z: () => $("#undo")?.click(),
  "/": () => $("input[type=search]")?.focus(),
  "?": () => dialog?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog?.open) return;
  const target = event.target;
  if (target.matches("textarea, select, input:not([type=checkbox]):not([type=radio])")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (document.body.dataset.keys === "off") return;
  const statement = /^[1-9]$/.test(event.key) && $(`a.claim[data-claim="${event.key}"]`);
  if (statement) {
    event.preventDefault();
    statement.focus();
  } else if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
