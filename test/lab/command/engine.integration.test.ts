/** The stand-in under the real engine: found on the PATH, secrets kept, triggers, Ctrl-C. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newProject, type Project } from "../provider/pulumi.ts";
import { newSshd, type Sshd } from "./sshd.ts";

let sshd: Sshd;
let folder: string;
let project: Project;

function program({ trigger = "1", content = "one", stdin = "hunter-two-hunter" } = {}): string {
  return `
    import { readFileSync } from "node:fs";
    import * as pulumi from "@pulumi/pulumi";
    import { local, remote } from "@pulumi/command";
    const privateKey = pulumi.secret(readFileSync("${sshd.folder}/user_key", "utf8"));
    const connection = { host: "127.0.0.1", port: ${sshd.port}, user: "${sshd.user}", privateKey };
    const copied = new remote.CopyToRemote("copied", {
      connection, remotePath: "${folder}/target", source: new pulumi.asset.StringAsset("${content}"),
    });
    const ran = new remote.Command("ran", {
      connection, create: "cat ${folder}/target; cat; echo run >> ${folder}/log", delete: "echo gone >> ${folder}/log",
      stdin: pulumi.secret("${stdin}"), triggers: ["${trigger}"],
    }, { dependsOn: copied });
    const plain = new local.Command("plain", { create: "echo plain" });
    export const stdout = ran.stdout;
    export const open = plain.stdout;
  `;
}

beforeAll(async () => {
  sshd = await newSshd();
  await sshd.start();
  folder = await mkdtemp(join(tmpdir(), "barton-command-"));
  project = await newProject({});
});
afterAll(async () => {
  await project?.remove();
  await sshd?.remove();
  await rm(folder, { recursive: true, force: true });
});

describe("the stand-in under the real engine", { timeout: 60_000 }, () => {
  test("up copies and runs; outputs come back; a second preview is empty", async () => {
    const output = await project.run(["up", "--yes", "--skip-preview"], program());
    expect(await readFile(join(folder, "target"), "utf8")).toBe("one");
    expect(await project.run(["stack", "output", "open"])).toBe("plain");
    expect(await project.run(["stack", "output", "stdout", "--show-secrets"])).toBe("onehunter-two-hunter");
    expect(output).toContain("one[secret]");
    await project.run(["preview", "--expect-no-changes"]);
  });

  test("no secret is in the clear: not in the state, not in what was shown", async () => {
    const { text, resources } = await project.state();
    expect(text).not.toContain("PRIVATE KEY");
    expect(text).not.toContain("hunter-two-hunter");
    const ran = resources.find(({ urn }) => urn.endsWith("::ran"));
    for (const name of ["connection", "stdin", "stdout"])
      expect(ran?.outputs?.[name]).toHaveProperty("ciphertext");
    expect(resources.find(({ urn }) => urn.endsWith("::plain"))?.outputs?.stdout).toBe("plain");
  });

  test("a changed text is copied, a changed trigger replaces: delete runs after the new create", async () => {
    await project.run(["up", "--yes", "--skip-preview"], program({ trigger: "2", content: "two" }));
    expect(await readFile(join(folder, "target"), "utf8")).toBe("two");
    expect(await readFile(join(folder, "log"), "utf8")).toBe("run\nrun\ngone\n");
  });

  test("a changed standard input alone runs the command again", async () => {
    const changed = program({ trigger: "2", content: "two", stdin: "another-hunter" });
    await project.run(["up", "--yes", "--skip-preview"], changed);
    expect(await readFile(join(folder, "log"), "utf8")).toBe("run\nrun\ngone\nrun\n");
  });

  test("a command that fails fails the update, and shows why", async () => {
    const failing = `${program({ trigger: "2", content: "two" })}
      new local.Command("failing", { create: "echo the reason; exit 4" });`;
    const output = await project.fails(["up", "--yes", "--skip-preview"], failing);
    expect(output).toContain("the command of failing failed with exit status 4:");
    expect(output).toContain("the reason");
  });

  test("destroy runs the delete commands", async () => {
    await writeFile(join(folder, "log"), "");
    await project.run(["destroy", "--yes", "--skip-preview"]);
    expect(await readFile(join(folder, "log"), "utf8")).toBe("gone\n");
  });
});
