// text.js: every word the page shows, in English and Spanish.
const words = {
    en: {
        skip: "Skip to the message box", newChat: "New chat", conversations: "Conversations", transcript: "Transcript",
        message: "Message", placeholder: "Write a message", send: "Send", stop: "Stop", toEnd: "To the newest message",
        loginTitle: "Sign in", loginButton: "Sign in", token: "Token",
        loginHelp: "Open the address that the gateway printed when it started, or paste its token here. To see the address again:",
        refused: "The gateway refused this token.",
        insecure: "The browser gives this page no key store, because it was not loaded over HTTPS or from localhost. " +
            "Open it through http://localhost, or put HTTPS in front of the gateway.",
        connected: "connected", connecting: "connecting", offlineSince: (t) => `no connection since ${t}`,
        you: "You", assistant: "Assistant", tool: "Tool", thinking: "working", queued: "waiting", stopped: "stopped",
        failed: "failed", empty: "What can I do for you?", mainSession: "Main conversation", retry: "Try again",
        guide: "You are talking to the built-in offline responder. To use a real model, start Ollama or LM Studio, " +
            "or set ANTHROPIC_API_KEY or OPENAI_API_KEY and restart.",
        copy: "Copy", copied: "Copied", result: "result", noSessions: "No conversations yet",
        chips: ["What can you do?", "What time is it?", "How do I add a model?"],
    },
    es: {
        skip: "Ir al cuadro de mensaje", newChat: "Nueva", conversations: "Conversaciones", transcript: "Transcripción",
        message: "Mensaje", placeholder: "Escribe un mensaje", send: "Enviar", stop: "Parar", toEnd: "Al mensaje más nuevo",
        loginTitle: "Entrar", loginButton: "Entrar", token: "Token",
        loginHelp: "Abre la dirección que la pasarela mostró al arrancar, o pega aquí su token. Para ver la dirección otra vez:",
        refused: "La pasarela no aceptó este token.",
        insecure: "El navegador no da almacén de claves a esta página, porque no llegó por HTTPS ni desde localhost. " +
            "Ábrela con http://localhost, o pon HTTPS delante de la pasarela.",
        connected: "conectado", connecting: "conectando", offlineSince: (t) => `sin conexión desde ${t}`,
        you: "Tú", assistant: "Asistente", tool: "Herramienta", thinking: "trabajando", queued: "en espera", stopped: "parado",
        failed: "falló", empty: "¿Qué puedo hacer por ti?", mainSession: "Conversación principal", retry: "Reintentar",
        guide: "Hablas con el contestador sin conexión incorporado. Para usar un modelo de verdad, arranca Ollama o LM Studio, " +
            "o define ANTHROPIC_API_KEY u OPENAI_API_KEY y reinicia.",
        copy: "Copiar", copied: "Copiado", result: "resultado", noSessions: "Aún no hay conversaciones",
        chips: ["¿Qué puedes hacer?", "¿Qué hora es?", "¿Cómo añado un modelo?"],
    },
};

const lang = (navigator.language || "en").toLowerCase().startsWith("es") ? "es" : "en";
export const t = words[lang];

// Fills in the static markup: data-text, data-label (aria-label and title) and data-placeholder.
export function localise(root = document) {
    document.documentElement.lang = lang;
    for (const e of root.querySelectorAll("[data-text]")) e.textContent = t[e.dataset.text];
    for (const e of root.querySelectorAll("[data-label]")) {
        e.setAttribute("aria-label", t[e.dataset.label]);
        if (e.tagName === "BUTTON") e.title = t[e.dataset.label];
    }
    for (const e of root.querySelectorAll("[data-placeholder]")) e.placeholder = t[e.dataset.placeholder];
}

export const clockTime = (ms) => new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit" }).format(ms);

export function ago(ms) {
    const f = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "narrow" });
    const s = Math.round((ms - Date.now()) / 1000);
    for (const [unit, n] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
        if (Math.abs(s) >= n) return f.format(Math.trunc(s / n), unit);
    }
    return f.format(0, "minute");
}
