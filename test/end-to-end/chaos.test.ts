/** `scripts/chaos` on the lab: a crash and a vanished machine under load, judged by the checkers. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labNamed } from "../../lab/lab.ts";
import type { Results } from "../consistency/report/results.ts";
import { clientCredentials } from "../consistency/workload/workload.ts";
import { chaos } from "./chaos.ts";
import { freshBudget, lab } from "./scenario.ts";

const out = mkdtempSync(join(tmpdir(), "barton-chaos-"));
let results: Results & { folder: string };

beforeAll(async () => {
  await freshBudget();
  results = await chaos(out, "--fault", "crash", "--fault", "vanish");
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

test("the verdict is pass: nothing was lost, nobody was left waiting, there was one master at a time", () => {
  expect(results.line).toMatch(
    /^PASS 2 faults: 0 of [\d ]+ confirmed writes lost, \d+ of [\d ]+ acknowledged, /,
  );
  expect(results.findings.filter(({ verdict }) => verdict !== "pass")).toEqual([]);
  expect(results.faults.map(({ kind }) => kind)).toEqual(["crash", "vanish"]);
});

test("each fault's interruption is measured, and it is known where the time went", () => {
  for (const { interruption, redundancyMs, breakdown, incidents, title } of results.faults) {
    expect(interruption?.ms, title).toBeGreaterThan(20);
    expect(redundancyMs, title).toBeGreaterThan(interruption?.ms ?? 0);
    expect(incidents.length, title).toBeGreaterThan(0);
    expect(Object.keys(breakdown ?? {}), title).toContain("promote");
  }
});

describe("the folder of the run", () => {
  test("has the results, the history, the page and the log of each machine", () => {
    expect(readdirSync(results.folder).sort()).toEqual([
      ...["finals.jsonl", "history.jsonl", "incidents.json", "index.html", "logs", "observations.jsonl"],
      ...["results.json", "run.json"],
    ]);
    for (const machine of ["app", "haproxy1", "haproxy2", "monit", "redis1", "redis2"]) {
      expect(readFileSync(join(results.folder, "logs", `${machine}.log`), "utf8"), machine).not.toBe("");
    }
    expect(readFileSync(join(results.folder, "index.html"), "utf8")).toContain(
      results.line.replace(/^\w+ /, ""),
    );
  });

  test("holds no secret", async () => {
    const { password } = await clientCredentials(labNamed(lab.name));
    for (const file of readdirSync(results.folder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      expect(readFileSync(join(file.parentPath, file.name), "utf8"), file.name).not.toContain(password);
    }
  });
});

test("what the load wrote is removed", async () => {
  const keys =
    '. /etc/barton/client.env; REDISCLI_AUTH=$BARTON_CLIENT_PASSWORD exec redis-cli --user "$BARTON_CLIENT_USER" --no-auth-warning -p 7001 --scan --pattern "chaos:*"';
  expect(await lab.exec("app", "bash", "-c", keys)).toBe("");
});
