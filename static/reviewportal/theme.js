/* Light or dark. The server sets data-theme from the cookie `theme`; without a cookie the system
   decides (CSS). Without script the button is a form that sets the same cookie. */
const root = document.documentElement;
const form = document.querySelector("#theme-form");

const shown = () => {
  if (root.dataset.theme) return root.dataset.theme;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
};

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const next = shown() === "dark" ? "light" : "dark";
  root.dataset.theme = next;
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax${secure}`;
});
