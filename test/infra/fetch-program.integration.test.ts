/** The script by which a new monit machine gets its program, with the real curl, against the lab's metadata service and S3. */
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tar } from "../../infra/tar.ts";
import { type FakeWorld, fakeWorld, serveWorld } from "../lab/ec2-api/fake-world.ts";
import { root } from "./settings.ts";

const key = "program/0a1b.tar";
const hash = "0a1b";
/** Says what it was called with, and counts: as the bundle's own one it installs. */
const installer = [
  "#!/bin/sh",
  'ln -sfn "programs/$1" "$BARTON_DIR/program"',
  'echo "$1" >>"$BARTON_DIR/installed"',
  "sleep 0.3",
  "",
].join("\n");
const bundle = tar([
  { path: "infra/roles/monit/install-program", content: Buffer.from(installer), executable: true },
]);
const sha256 = createHash("sha256").update(bundle).digest("hex");
const policy = (resource: string) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["s3:GetObject"], Resource: resource }],
});

let work: string;
let world: FakeWorld;
let served: Awaited<ReturnType<typeof serveWorld>>;

beforeEach(async () => {
  work = mkdtempSync(join(tmpdir(), "barton-fetch-"));
  world = fakeWorld();
  world.objects[`programs/${key}`] = bundle;
  world.policies.push(policy("arn:aws:s3:::programs/program/*"));
  served = await serveWorld(world);
  const env = `AWS_REGION="eu-central-1"\nAWS_ENDPOINT_URL_S3="${served.url}"\n`;
  writeFileSync(join(work, "monitor.env"), env);
});
afterEach(() => {
  served.server.close();
  rmSync(work, { recursive: true, force: true });
});

const fetchProgram = (more: { sha256?: string; key?: string } = {}) =>
  execa(
    join(root, "infra/roles/monit/fetch-program"),
    ["programs", more.key ?? key, more.sha256 ?? sha256, hash],
    {
      env: { BARTON_DIR: work, BARTON_METADATA: served.url, BARTON_MONITOR_ENV: join(work, "monitor.env") },
      reject: false,
    },
  );
const installed = () => existsSync(join(work, "installed")) && readFileSync(join(work, "installed"), "utf8");

test("the bundle is fetched with the role's credentials, checked, and installed by its own script", async () => {
  const { stderr, exitCode } = await fetchProgram();
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  expect(installed()).toBe(`${hash}\n`);
});

test("a program that is there already is not fetched again, also when two come at once", async () => {
  const [first, second] = await Promise.all([fetchProgram(), fetchProgram()]);
  expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
  expect([first.stdout, second.stdout].sort()).toEqual([
    `the program ${hash} is installed`,
    `the program ${hash} is installed now`,
  ]);
  expect(installed()).toBe(`${hash}\n`);
});

describe("nothing is installed, and it is said why,", () => {
  test("when the bundle is another one than expected", async () => {
    const { exitCode, stderr } = await fetchProgram({ sha256: "f".repeat(64) });
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`has SHA-256 ${sha256}, but ${"f".repeat(64)} was expected`);
    expect(installed()).toBe(false);
  });

  test("when the role may not read it", async () => {
    world.policies.splice(0, 1, policy("arn:aws:s3:::programs/other/*"));
    const { exitCode, stderr } = await fetchProgram();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/error: 403\nfetch-program: cannot fetch \S+0a1b.tar/);
    expect(installed()).toBe(false);
  });

  test("when there is no such bundle", async () => {
    const { exitCode, stderr } = await fetchProgram({ key: "program/none.tar" });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: 404");
  });

  test("when the machine has no role", async () => {
    world.credentialsOf = () => undefined;
    const { exitCode, stderr } = await fetchProgram();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("this machine has no instance profile");
  });
});
