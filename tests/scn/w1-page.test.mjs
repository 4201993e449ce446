// The web chat in a real browser: sign in by fragment, streaming, markdown, stop, sessions, phone, dark, keyboard.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";
import { browser, open, shot } from "./lib/page.mjs";

let b, llm, g;
before(async () => {
    b = await browser();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
});
after(async () => {
    await b?.close();
    await g?.stop();
    await llm?.stop();
});

const chatUrl = () => `${g.url}/#token=${g.token}`;
const connected = (page) => page.waitForSelector('#app[data-state="connected"]', { timeout: 15000 });
async function say(page, text) {
    await page.fill("#input", text);
    await page.press("#input", "Enter");
}
const answer = (page, text) =>
    page.locator(".message.assistant .body", { hasText: text }).first().waitFor({ timeout: 15000 });

test("the link signs in, the token leaves the address, a message gets a streamed reply", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await page.locator("#model", { hasText: "fake/fake-1" }).waitFor({ timeout: 3000 });
    assert.equal(page.url().includes(g.token), false);
    assert.equal(await page.evaluate(() => document.activeElement.id), "input");
    await say(page, "SLOW 6 for the page");
    await page.waitForSelector('.message.assistant[aria-busy="true"]');
    await page.waitForSelector("#stop:not([hidden])");
    await page.waitForSelector("#stop[hidden]", { state: "attached", timeout: 15000 });
    await say(page, "hello page");
    await answer(page, "echo: hello page");
    await shot(page, "chat-light");
    assert.deepEqual(page.problems, []);
    assert.ok(page.requests.every((u) => u.startsWith(g.url) || u.startsWith(g.ws)), page.requests.join(" "));
    assert.ok(page.requests.length <= 14, String(page.requests.length));
    await page.reload();
    await connected(page);
    await answer(page, "echo: hello page");
    await page.context().close();
});

test("markdown is drawn, and what a model writes cannot run", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await say(page, "**bold** `code` <img src=x onerror=\"window.hacked=1\"> <script>window.hacked=1</script> [l](javascript:window.hacked=1)");
    await answer(page, "bold");
    await page.waitForSelector(".message.assistant .body strong");
    await page.waitForSelector(".message.assistant .body code");
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator(".message.assistant .body img, .message.assistant .body script").count(), 0);
    assert.equal(await page.locator('.message.assistant .body a[href^="javascript"]').count(), 0);
    await page.context().close();
});

test("stop ends a long answer and keeps what came", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await say(page, "SLOW 80 stop me");
    await page.waitForSelector("#stop:not([hidden])");
    await until("some text", () => page.evaluate(() => [...document.querySelectorAll(".message.assistant .body")].at(-1)?.textContent.length > 0));
    await page.click("#stop");
    await page.waitForSelector("#stop[hidden]", { state: "attached", timeout: 8000 });
    await page.waitForSelector('.message[data-kind="stopped"]');
    await page.context().close();
});

test("an error of the model server is a clear line in the chat", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await say(page, "STATUS 401");
    await page.waitForSelector('.message[data-kind="failed"]', { timeout: 15000 });
    assert.match(await page.locator('.message[data-kind="failed"] .body').last().textContent(), /fake/);
    await shot(page, "chat-error");
    await page.reload();
    await connected(page);
    await page.locator("#log .system.bad", { hasText: "fake" }).last().waitFor();
    await page.context().close();
});

test("conversations: a new one, the list, its own address, back again", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await page.click("#new");
    await page.waitForSelector(".empty");
    await say(page, "second conversation");
    await answer(page, "echo: second conversation");
    assert.match(page.url(), /#\/s\//);
    await until("two in the list", async () => (await page.locator("#sessions li").count()) >= 2);
    await page.goBack();
    await answer(page, "echo: hello page");
    assert.equal(await page.locator('#sessions a[aria-current="page"]').count(), 1);
    await page.context().close();
});

test("phone width: the drawer opens and closes, nothing is wider than the screen", async () => {
    const page = await open(b, chatUrl(), { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await connected(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.click("#menu");
    await page.waitForSelector(".drawer #side");
    await page.waitForTimeout(250);
    await shot(page, "phone-drawer");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".drawer", { state: "detached" });
    await say(page, "from a phone");
    await answer(page, "echo: from a phone");
    await shot(page, "phone-chat");
    await page.context().close();
});

test("dark theme has readable contrast", async () => {
    const page = await open(b, chatUrl(), { colorScheme: "dark" });
    await connected(page);
    await answer(page, "echo:");
    await shot(page, "chat-dark");
    const ratio = await page.evaluate(() => {
        const lum = (c) => {
            const v = c.match(/[\d.]+/g).slice(0, 3).map((x) => x / 255).map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
            return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
        };
        const a = lum(getComputedStyle(document.body).color);
        const z = lum(getComputedStyle(document.body).backgroundColor);
        return (Math.max(a, z) + 0.05) / (Math.min(a, z) + 0.05);
    });
    assert.ok(ratio >= 7, String(ratio));
    await page.context().close();
});

test("keyboard: everything is reachable, Shift+Enter makes a line", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await page.focus("#input");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(await page.inputValue("#input"), "one\ntwo");
    await page.fill("#input", "");
    const seen = new Set();
    for (let i = 0; i < 40; i++) {
        await page.keyboard.press("Tab");
        seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName));
    }
    for (const id of ["new", "log", "send"]) assert.ok(seen.has(id), `${id} in ${[...seen]}`);
    await page.context().close();
});

test("a wrong token asks again; without one the page says where it is", async () => {
    const page = await open(b, `${g.url}/#token=wrong`);
    await page.waitForSelector("#login:not([hidden])", { timeout: 15000 });
    await page.waitForSelector("#login-error:not([hidden])");
    await shot(page, "login");
    await page.fill("#token", g.token);
    await page.press("#token", "Enter");
    await connected(page);
    await page.context().close();
});

test("the edge dies: the page says so, comes back by itself, and what was sent meanwhile is answered", async () => {
    const page = await open(b, chatUrl());
    await connected(page);
    await g.killWorker("edge");
    await say(page, "sent in between");
    await answer(page, "echo: sent in between");
    await connected(page);
    await page.locator("#model", { hasText: "fake/fake-1" }).waitFor({ timeout: 3000 });
    const n = await page.evaluate(() => [...document.querySelectorAll(".message.user .body")].filter((e) => e.textContent === "sent in between").length);
    assert.equal(n, 1);
    await page.context().close();
});
