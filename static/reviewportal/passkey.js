/* A passkey that was not given is no fault of the page: say so in words. */
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const text = "No passkey was used. Nothing happened. Try again or choose another way.";
  document.dispatchEvent(new CustomEvent("portal:say", { detail: text }));
  const place = document.querySelector("[data-passkey-said]") || document.createElement("p");
  place.dataset.passkeySaid = "";
  place.className = "notice";
  place.textContent = text;
  const button = document.querySelector("#passkey_login, #mfa_webauthn_authenticate, #mfa_webauthn_reauthenticate, #mfa_webauthn_add");
  button?.after(place);
});
