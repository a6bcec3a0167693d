/* What changes while a page is open: the undo countdown, new drafts, the state of a delivery. The
   server decides; without script the pages show times and work by reloading.

   Marks in the page: #live the one polite live region; [data-count] the seconds left;
   [data-new="url"] answers {"count": n} and shows the line inside; [data-watch="url"] with
   data-state answers {"state": "..."} and loads the page again when it differs. */
const $ = (selector, scope = document) => scope.querySelector(selector);
const $$ = (selector, scope = document) => [...scope.querySelectorAll(selector)];

const say = (text) => {
  const region = $("#live");
  if (region) region.textContent = text;
};
document.addEventListener("portal:say", (event) => say(event.detail));

const ask = async (url) => {
  try {
    const reply = await fetch(url, { headers: { Accept: "application/json" }, redirect: "error" });
    return reply.ok ? await reply.json() : null;
  } catch {
    return null; // offline or signed out: the page stays as it is
  }
};
const busy = () => document.activeElement?.matches("input, textarea, select") || Boolean($("dialog[open]"));

$$("[data-count]").forEach((count) => {
  const end = Date.now() + Number(count.textContent) * 1000;
  const timer = setInterval(() => {
    const seconds = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    count.textContent = String(seconds);
    if (seconds > 0) return;
    clearInterval(timer);
    say("Being sent.");
    const toast = count.closest(".toast");
    if (toast) toast.hidden = true;
  }, 250);
});

const newline = $("[data-new]");
if (newline) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await ask(newline.dataset.new);
    if (!answer?.count || answer.count === Number(newline.dataset.seen || 0)) return;
    newline.dataset.seen = answer.count;
    newline.hidden = false;
    const text = `${answer.count} new ${answer.count === 1 ? "draft" : "drafts"}. Show`;
    ($("a", newline) || newline).textContent = text;
    say(text);
  }, 15000);
}

const watch = $("[data-watch]");
if (watch) {
  setInterval(async () => {
    if (document.hidden || busy()) return;
    const answer = await ask(watch.dataset.watch);
    if (answer && answer.state !== watch.dataset.state) location.reload();
  }, 3000);
}
