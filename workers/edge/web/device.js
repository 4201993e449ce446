// device.js: this browser's identity: an Ed25519 key pair that never leaves it, kept in IndexedDB.
// The private key is not extractable; what is signed is the v3 payload of the client protocol.
const b64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");

function store(mode, run) {
    return new Promise((resolve, reject) => {
        const open = indexedDB.open("tenaza", 1);
        open.onupgradeneeded = () => open.result.createObjectStore("device");
        open.onerror = () => reject(open.error);
        open.onsuccess = () => {
            const tx = open.result.transaction("device", mode);
            const request = run(tx.objectStore("device"));
            tx.oncomplete = () => resolve(request.result);
            tx.onerror = () => reject(tx.error);
        };
    });
}

export const available = () => Boolean(globalThis.isSecureContext && globalThis.crypto?.subtle && globalThis.indexedDB);

// {id, publicKey, keys}: made at the first visit.
export async function identity() {
    let keys = await store("readonly", (s) => s.get("keys"));
    if (!keys) {
        keys = await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
        await store("readwrite", (s) => s.put(keys, "keys"));
    }
    const raw = await crypto.subtle.exportKey("raw", keys.publicKey);
    return { id: hex(await crypto.subtle.digest("SHA-256", raw)), publicKey: b64url(raw), keys };
}

// The `device` block of connect params for this challenge.
export async function proof(device, { client, role, scopes, token, challenge }) {
    const payload = ["v3", device.id, client.id, client.mode, role, scopes.join(","), challenge.ts, token,
        challenge.nonce, client.platform.trim().toLowerCase(), ""].join("|");
    const signature = await crypto.subtle.sign("Ed25519", device.keys.privateKey, new TextEncoder().encode(payload));
    return { id: device.id, publicKey: device.publicKey, signature: b64url(signature), signedAt: challenge.ts, nonce: challenge.nonce };
}
