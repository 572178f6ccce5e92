/** The report in a real browser: what is drawn has a size, both colour schemes can be read, and nothing is complained of. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resultsOf } from "../results.ts";
import { sampleRun } from "../sample.ts";
import { page as pageOf } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "barton-report-"));
const complaints: string[] = [];
const requests: string[] = [];
let browser: Browser;
let view: Page;

beforeAll(async () => {
  const { run, evidence } = sampleRun();
  const file = join(folder, "index.html");
  writeFileSync(file, pageOf(resultsOf(run, evidence), evidence.operations, evidence.incidents));
  // The page is our own: root needs no sandbox against it, and has none.
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium-headless-shell",
    chromiumSandbox: false,
  });
  view = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  view.on("console", (message) => complaints.push(message.text()));
  view.on("pageerror", (error) => complaints.push(error.message));
  view.on("request", (request) => requests.push(request.url()));
  await view.goto(pathToFileURL(file).href);
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Width and height of everything that a selector finds, as drawn. */
const sizes = (selector: string) =>
  view.locator(selector).evaluateAll((found) =>
    found.map((each) => {
      const { width, height } = each.getBoundingClientRect();
      return { width, height };
    }),
  );

test("the verdict and the closing line stand on top", async () => {
  await expect(view.locator("h1").innerText()).resolves.toMatch(/^PASS vanish redis1: 0 of 1 482 confirmed/);
});

describe("the picture of the run", () => {
  test.each([
    ["a shard's plot each", "#overview .shard", 2],
    ["what flowed", "#overview .flow", 2],
    ["the longest answers", "#overview .slowest", 2],
    ["the fault", "#overview .fault-mark circle", 1],
    ["the time until all was well", "#overview .band", 1],
    ["the incident", "#overview .incident", 1],
    ["its steps", "#overview .step", 5],
    ["failed requests", "#overview .error", 1],
  ])("%s", async (_, selector, count) => {
    const found = await sizes(selector);
    expect(found).toHaveLength(count);
    // A line that stays level has no height.
    for (const { width, height } of found) expect(Math.max(width, height)).toBeGreaterThan(1);
  });

  test("the fault stands where the writes pause", async () => {
    const center = async (selector: string) => {
      const box = await view.locator(selector).first().boundingBox();
      if (box === null) throw new Error(`${selector} is not drawn`);
      return box.x + box.width / 2;
    };
    const plot = await view.locator("#overview .shard").first().boundingBox();
    const mark = await center("#overview .fault-mark circle");
    const incident = await view.locator("#overview .incident").boundingBox();
    expect(mark).toBeGreaterThan(plot?.x ?? 0);
    // The first sign came a tenth of a second after the fault, of thirty.
    expect(Math.abs((incident?.x ?? 0) - mark)).toBeLessThan(8);
  });
});

test("the timeline shows each operation around the fault, and recovery's milestones", async () => {
  expect((await sizes(".close-up .op-ok")).length).toBeGreaterThan(50);
  expect(await sizes(".close-up .op-unknown")).toHaveLength(1);
  await expect(view.locator(".close-up .milestone-name").allTextContents()).resolves.toEqual([
    "first sign",
    "verdict",
    "fenced",
    "promoted",
    "released",
    "first write",
  ]);
});

test("every checker has its row", async () => {
  await expect(view.locator("#checkers tbody tr").count()).resolves.toBe(9);
});

/** Runs in the page: the contrast between texts and the ground of a card, as WCAG defines it. */
const contrastOfTexts = `(() => {
  const luminance = (color) => {
    const [r, g, b] = (color.match(/\\d+/g) ?? []).slice(0, 3).map((value) => {
      const part = Number(value) / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = luminance(getComputedStyle(document.querySelector(".scroll")).backgroundColor);
  return ["body", "th", ".small", "#overview .name", "#overview .label"].map((selector) => {
    const style = getComputedStyle(document.querySelector(selector));
    const ink = luminance(selector.startsWith("#") ? style.fill : style.color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
})()`;

test.each(["light", "dark"] as const)("%s: text stands out from its ground", async (colorScheme) => {
  await view.emulateMedia({ colorScheme });
  const contrast = await view.evaluate<number[]>(contrastOfTexts);
  expect(contrast).toHaveLength(5);
  // What WCAG asks of normal text.
  for (const ratio of contrast) expect(ratio).toBeGreaterThan(4.5);
});

test.each([1280, 480])("at %i pixels nothing sticks out of the page", async (width) => {
  await view.setViewportSize({ width, height: 900 });
  const overhang = await view.evaluate<number>(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  expect(overhang).toBe(0);
});

test("the browser complains of nothing, and asks nobody for anything", () => {
  expect(complaints).toEqual([]);
  expect(requests.filter((url) => !/^(file|data):/.test(url))).toEqual([]);
});
