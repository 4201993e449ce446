// page.mjs: headless Chromium from Debian, driven by playwright-core.
import { chromium } from "playwright-core";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "./gateway.mjs";
import { watchFrames } from "./schema.mjs";

export async function browser() {
    const file = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);
    return chromium.launch({ executablePath: file, args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync"] });
}

// Pictures for people to look at: build*/shots/NAME.png
export async function shot(page, name) {
    mkdirSync(join(build, "shots"), { recursive: true });
    await page.screenshot({ path: join(build, "shots", `${name}.png`) });
}

// A page that keeps what went wrong in it and every host it asked.
export async function open(b, url, options = {}) {
    const context = await b.newContext(options);
    const page = await context.newPage();
    page.problems = [];
    page.requests = [];
    page.on("pageerror", (e) => page.problems.push(String(e)));
    page.on("console", (m) => m.type() === "error" && page.problems.push(m.text()));
    page.on("websocket", (ws) => watchFrames(ws));
    page.on("request", (r) => page.requests.push(r.url()));
    await page.goto(url);
    return page;
}
