// Verifies a session here: leaf hashes, inclusion proofs (RFC 6962, RFC 9162 2.1.3.2), and the checkpoint's signatures.
// It believes the server in one thing only, which it says: that the two public keys are the right ones.
"use strict";
(() => {
  const button = document.getElementById("verify");
  if (!button) return;
  const checks = document.getElementById("checks");
  const verified = document.getElementById("verified");
  const utf8 = new TextEncoder();
  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const same = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
  const sha256 = async (...parts) => {
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => { joined.set(part, at); return at + part.length; }, 0);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
  };
  const node = (left, right) => sha256([1], left, right);

  const say = (good, text) => {
    const line = document.createElement("li");
    line.className = good === null ? "unsure" : good ? "good" : "bad";
    line.textContent = `${good === null ? "–" : good ? "✓" : "✗"} ${text}`;
    checks.append(line);
  };

  // Numbers are halved by division: shifts would cut those beyond 2^31.
  const half = (n) => Math.floor(n / 2);
  const root = async (leaf, index, size, proof) => {
    let [at, last, hash] = [index, size - 1, leaf];
    for (const sibling of proof) {
      if (last === 0) return null;
      if (at % 2 === 1 || at === last) {
        hash = await node(sibling, hash);
        while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)];
      } else {
        hash = await node(hash, sibling);
      }
      [at, last] = [half(at), half(last)];
    }
    return last === 0 ? hash : null;
  };

  const parse = (note) => {
    const cut = note.lastIndexOf("\n\n");
    const text = note.slice(0, cut + 1);
    const [origin, size, hash] = text.split("\n");
    const signatures = note.slice(cut + 2).trimEnd().split("\n").map((line) => {
      const [, name, blob] = /^— (\S+) (\S+)$/u.exec(line) ?? [];
      return { name, blob: blob ? bytes(blob) : new Uint8Array() };
    });
    return { text, origin, size: Number(size), root: bytes(hash), signatures };
  };

  // A vkey is name+id+key; the key begins with its algorithm: 1 is Ed25519, 4 a cosignature (C2SP signed-note).
  const signed = async (vkey, note) => {
    const [, name, id, key] = /^(.+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey);
    const raw = bytes(key);
    const own = (await sha256(utf8.encode(`${name}\n`), raw)).slice(0, 4);
    if (!same(own, unhex(id))) return false;
    const public_ = await crypto.subtle.importKey("raw", raw.slice(1), { name: "Ed25519" }, false, ["verify"]);
    for (const one of note.signatures) {
      if (one.name !== name || !same(one.blob.slice(0, 4), own)) continue;
      let [signature, text] = [one.blob.slice(4), note.text];
      if (raw[0] === 4) {
        const time = signature.slice(0, 8).reduce((sum, byte) => sum * 256 + byte, 0);
        [signature, text] = [signature.slice(8), `cosignature/v1\ntime ${time}\n${text}`];
      }
      return crypto.subtle.verify("Ed25519", public_, signature, utf8.encode(text));
    }
    return null;
  };

  const signature = async (vkey, note, who) => {
    try {
      const good = await signed(vkey, note);
      if (good === null) say(null, `${who} has not signed this checkpoint.`);
      else say(good, good ? `The checkpoint is signed by ${who} (${vkey.split("+")[0]}).` : `The signature of ${who} is wrong.`);
    } catch {
      say(null, `This browser cannot check Ed25519, so the signature of ${who} was not checked.`);
    }
  };

  const fetched = async () => {
    const records = [];
    for (let start = 0, page; start !== null; start = page.next) {
      const answer = await fetch(`${button.dataset.evidence}?start=${start}`);
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      page = await answer.json();
      records.push(...page.records);
      if (page.next === null) return { ...page, records };
    }
  };

  const verify = async () => {
    const evidence = await fetched();
    if (!evidence.note) return say(null, "No checkpoint covers these records yet. Try again in a moment.");
    const note = parse(evidence.note);
    say(note.origin === evidence.origin, `The checkpoint is of the ledger ${evidence.origin}, over ${note.size} records.`);
    let [good, open, texts] = [0, 0, []];
    for (const record of evidence.records) {
      if (record.proof === null) { open += 1; continue; }
      const data = bytes(record.data);
      const found = await root(await sha256([0], data), record.index, note.size, record.proof.map(unhex));
      if (found && same(found, note.root)) good += 1;
      else say(false, `Record ${record.index} is not in the tree of the checkpoint.`);
      texts.push(`${record.index}  ${new TextDecoder().decode(data)}`);
    }
    const covered = evidence.records.length - open;
    say(good === covered, `${good} of ${covered} records hash into the root of the checkpoint.`);
    if (open) say(null, `${open} records are newer than the checkpoint.`);
    say(evidence.records.length === evidence.total, `${evidence.records.length} of ${evidence.total} records of this session were looked at.`);
    await signature(evidence.key, note, "the ledger’s key");
    await signature(evidence.witness, note, "the witness");
    say(null, "Both keys came from this server, and so did this page: compare the keys with those you know, or run hoop audit verify on a machine of your own.");
    verified.querySelector("pre").textContent = texts.join("\n\n");
    verified.hidden = false;
  };

  button.addEventListener("click", async () => {
    button.disabled = true;
    checks.replaceChildren();
    if (!globalThis.crypto?.subtle) {
      say(null, "This browser gives no cryptography to pages that do not come by HTTPS: nothing was checked.");
    } else {
      try { await verify(); } catch (error) { say(false, `It could not be verified: ${error.message}`); }
    }
    button.disabled = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "v" && !event.target.matches("input, textarea, select") && !event.ctrlKey && !event.metaKey) button.click();
  });
})();
