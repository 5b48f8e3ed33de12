(() => {
  "use strict";
  const form = document.querySelector("form[data-passkey]");
  if (!form) return;
  const part = (name) => form.querySelector(`[data-part="${name}"]`);
  const button = part("use"), message = part("message"), elsewhere = part("elsewhere");
  const show = (element) => { if (element) element.hidden = false; };
  const say = (text) => { message.textContent = text; show(message); };
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const toBytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

  // A browser within an app may have the API and no authenticator, or never settle a promise.
  const offerAnotherBrowser = () => {
    part("link").value = location.href;
    show(elsewhere);
  };
  const within = (milliseconds, promise) => Promise.race([
    promise, new Promise((resolve) => setTimeout(resolve, milliseconds, undefined)),
  ]);
  part("copy").addEventListener("click", async () => {
    part("link").select();
    try { await navigator.clipboard.writeText(location.href); } catch { /* It is selected. */ }
  });

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
    const invitation = form.elements.invitation.value;
    const claims = JSON.parse(new TextDecoder().decode(toBytes(invitation.split(".")[1])));
    const made = await navigator.credentials.create({ publicKey: {
      challenge: await crypto.subtle.digest("SHA-256", new TextEncoder().encode(invitation)),
      rp: { id: location.hostname, name: "Sayso" },
      user: { id: new TextEncoder().encode(claims.sub), name: claims.sub, displayName: `Sayso approver ${claims.sub}` },
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

  const enrols = form.dataset.passkey === "enrol";
  if (enrols) {
    // The fragment never reaches a server by itself.
    const invitation = location.hash.slice(1);
    if (invitation.split(".").length !== 3) {
      say("This link is not whole. Open the link in the mail, or copy all of it.");
      return;
    }
    form.elements.invitation.value = invitation;
  }
  show(button);
  if (!window.PublicKeyCredential) {
    button.disabled = true;
    offerAnotherBrowser();
    return;
  }
  within(2000, PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().catch(() => false))
    .then((available) => { if (!available) offerAnotherBrowser(); });

  button.addEventListener("click", async () => {
    if (enrols && !form.reportValidity()) return;
    message.hidden = true;
    button.disabled = true;
    const hint = setTimeout(offerAnotherBrowser, 2000);
    try {
      form.elements.credential.value = JSON.stringify(await (enrols ? enrol() : approve()));
    } catch (error) {
      say(enrols
        ? `No passkey was made (${error.name}). Try again, or open this page in another browser.`
        : `Nothing was decided: your passkey was not used (${error.name}). Try again, or open this page in another browser.`);
      offerAnotherBrowser();
      return;
    } finally {
      clearTimeout(hint);
      button.disabled = false;
    }
    if (!enrols) {
      const verdict = document.createElement("input");
      Object.assign(verdict, { type: "hidden", name: "verdict", value: "approve" });
      form.append(verdict);
    }
    form.submit();
  });
})();
