(() => {
  "use strict";
  const form = document.querySelector("form[data-passkey]");
  if (!form) return;
  const enrols = form.dataset.passkey === "enrol";
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const button = part("use"), message = part("message"), elsewhere = part("elsewhere"), copy = part("copy");
  const say = (text) => { message.textContent = text; message.hidden = false; };
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const toBytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

  // A browser within an app may have the API and no authenticator, or never settle a promise.
  const offerAnotherBrowser = () => {
    part("link").value = location.href;
    elsewhere.hidden = false;
  };
  const within = (milliseconds, promise) => Promise.race([
    promise, new Promise((resolve) => setTimeout(resolve, milliseconds, undefined)),
  ]);
  copy.addEventListener("click", async () => {
    part("link").select();
    try {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Copied";
    } catch { /* It is selected. */ }
  });

  let invitation = "", digest;
  if (enrols) {
    // The fragment never reaches a server by itself. Another link in the same tab changes nothing else.
    addEventListener("hashchange", () => location.reload());
    const found = /^#([\w-]+\.[\w-]+\.[\w-]{86})(?![\w-])/.exec(location.hash);
    if (!found) {
      say("Part of this link is missing. Open the link in the mail, or copy all of it.");
      return;
    }
    [, invitation] = found;
    form.elements.invitation.value = invitation;
  }

  const approve = async () => {
    const made = await navigator.credentials.get({ publicKey: {
      challenge: toBytes(form.dataset.challenge), rpId: location.hostname, userVerification: "required",
      timeout: 120000,
    } });
    return { id: made.id, response: {
      clientDataJSON: toText(made.response.clientDataJSON),
      authenticatorData: toText(made.response.authenticatorData),
      signature: toText(made.response.signature),
    } };
  };

  const enrol = async () => {
    const { sub } = JSON.parse(new TextDecoder().decode(toBytes(invitation.split(".")[1])));
    const made = await navigator.credentials.create({ publicKey: {
      challenge: digest, rp: { id: location.hostname, name: "Sayso" },
      // One for each invitation: an authenticator replaces a passkey of the same user, before anybody has checked the new one.
      user: { id: digest, name: sub, displayName: `Sayso approver ${sub}` },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none", timeout: 300000,
    } });
    return { id: made.id, response: {
      clientDataJSON: toText(made.response.clientDataJSON),
      authenticatorData: toText(made.response.getAuthenticatorData()),
      publicKey: toText(made.response.getPublicKey()),
      publicKeyAlgorithm: made.response.getPublicKeyAlgorithm(),
    } };
  };

  const verdict = Object.assign(document.createElement("input"), { type: "hidden", name: "verdict", value: "approve" });
  // A press of Deny; sending the form from here is none.
  form.addEventListener("submit", () => verdict.remove());
  addEventListener("pageshow", () => {
    verdict.remove();
    form.elements.credential.value = "";
  });
  const problem = (error) =>
    error.name === "NotAllowedError" ? "it was cancelled, or took too long" : error.name || "unknown error";

  button.addEventListener("click", async () => {
    if (enrols && !form.reportValidity()) return;
    if (!enrols && [...form.elements.note.value].length > 1000) {
      say("The note is too long: shorten it to 1,000 characters.");
      return;
    }
    message.hidden = true;
    button.disabled = true;
    const hint = setTimeout(offerAnotherBrowser, 10000);
    try {
      form.elements.credential.value = JSON.stringify(await (enrols ? enrol() : approve()));
      if (!enrols) form.append(verdict);
      form.submit();
    } catch (error) {
      const what = enrols ? "No passkey was enrolled" : "Nothing was decided";
      say(`${what}: ${problem(error)}. Try again, or open this page in another browser.`);
      offerAnotherBrowser();
    } finally {
      clearTimeout(hint);
      button.disabled = false;
      button.focus();
    }
  });
  const start = async () => {
    if (enrols) digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(invitation));
    button.hidden = false;
    const usable = window.PublicKeyCredential &&
      (!enrols || "getPublicKey" in AuthenticatorAttestationResponse.prototype);
    if (!usable) {
      button.disabled = true;
      offerAnotherBrowser();
      return;
    }
    const asked = PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
    if (!(await within(2000, asked))) offerAnotherBrowser();
  };
  start().catch(offerAnotherBrowser);
})();
