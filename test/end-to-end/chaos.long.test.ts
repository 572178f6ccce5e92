/** A random sequence of faults, and what becomes of a run that is broken off or has nothing to show. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../../lab/operate.ts";
import type { Results } from "../consistency/report/results.ts";
import { chaos } from "./chaos.ts";
import { freshBudget, lab } from "./scenario.ts";

const out = mkdtempSync(join(tmpdir(), "barton-chaos-"));
beforeAll(freshBudget);
afterAll(() => rmSync(out, { recursive: true, force: true }));

test("a random sequence of a few minutes passes", { timeout: 600_000 }, async () => {
  const results = await chaos(out, "--seed", "5", "--minutes", "3");
  expect(results.line).toMatch(/^PASS /);
  expect(results.faults.length).toBeGreaterThan(3);
});

test("Ctrl-C heals the faults, ends the load, and writes what there is: unknown", {
  timeout: 180_000,
}, async () => {
  const folder = mkdtempSync(join(out, "interrupted-"));
  const running = execa(
    join(import.meta.dirname, "../../scripts/chaos"),
    ["--name", lab.name, "--out", folder, "--fault", "partition-redis", "--repeat", "5"],
    { stdin: "ignore", reject: false },
  );
  await waitFor(
    "a fault in effect",
    120_000,
    async () => (await lab.status()).faults.some((fault) => fault.startsWith("partition")) || undefined,
  );
  running.kill("SIGINT");
  const { exitCode, stdout } = await running;
  expect(exitCode).toBe(2);
  expect(stdout.split("\n").at(-1)).toMatch(/^UNKNOWN partition .*interrupted/);
  expect((await lab.status()).faults).toEqual([]);
  const [run = ""] = readdirSync(folder);
  const results = JSON.parse(readFileSync(join(folder, run, "results.json"), "utf8")) as Results;
  expect(results).toMatchObject({ verdict: "unknown", run: { invalid: "interrupted" } });
  expect(results.operations).toBeGreaterThan(100);
  expect(readFileSync(join(folder, run, "index.html"), "utf8")).toContain("UNKNOWN");
});

test("too little traffic proves nothing: no fault is injected, and the verdict is unknown", {
  timeout: 300_000,
}, async () => {
  const results = await chaos(out, "--fault", "crash", "--rate", "12");
  expect(results).toMatchObject({ verdict: "unknown", faults: [] });
  expect(results.line).toMatch(/^UNKNOWN no fault: .*writes a second/);
});
