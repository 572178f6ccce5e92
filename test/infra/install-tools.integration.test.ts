/** The script that fills /opt/barton/tools, with a `curl` that takes downloads from a folder instead of the internet. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tar } from "../../infra/tar.ts";
import { root } from "./settings.ts";

let work: string;
const script = join(root, "infra/roles/monit/install-tools");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "barton-tools-"));
  // Takes the last part of the URL from the folder `web`; fails as curl does when it is not there.
  put(
    "bin/curl",
    '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = --output ] && out=$2; shift; done\nexec cp "$WEB/$(basename "$1")" "$out"\n',
  );
  put("bin/dpkg", "#!/bin/sh\necho amd64\n");
  mkdirSync(join(work, "web"));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

function put(path: string, content: string) {
  mkdirSync(dirname(join(work, path)), { recursive: true });
  writeFileSync(join(work, path), content, { mode: 0o755 });
}
/** Packs files into web/`name`; `compress` is tar's option. */
function pack(name: string, compress: "-z" | "-J", files: Record<string, string>) {
  const folder = mkdtempSync(join(work, "pack-"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { mode: 0o755 });
  }
  execFileSync("tar", [compress, "-cf", join(work, "web", name), "-C", folder, ...readdirSync(folder)]);
}
function install(args: string[], input = "") {
  const env = {
    PATH: `${join(work, "bin")}:${process.env.PATH}`,
    WEB: join(work, "web"),
    BARTON_TOOLS: join(work, "tools"),
  };
  const { status, stderr } = spawnSync("sh", [script, ...args], { env, input, encoding: "utf8" });
  return { status, stderr };
}
const complete = {
  "bin/node": "",
  "bin/pulumi": "",
  "bin/pulumi-language-nodejs": "",
  "node_modules/@pulumi/aws/package.json": "{}",
};

test("one archive, with or without its checksum", () => {
  pack("tools.tar.gz", "-z", complete);
  expect(install(["archive", "http://x/tools.tar.gz"])).toEqual({ status: 0, stderr: "" });
  expect(existsSync(join(work, "tools/bin/pulumi"))).toBe(true);
  expect(install(["archive", "http://x/tools.tar.gz", sha256(join(work, "web/tools.tar.gz"))]).status).toBe(
    0,
  );
  const wrong = install(["archive", "http://x/tools.tar.gz", "0".repeat(64)]);
  expect(wrong.status).toBe(1);
  expect(wrong.stderr).toMatch(
    /^install-tools: http:\/\/x\/tools\.tar\.gz has SHA-256 [0-9a-f]{64}, but 0{64} was expected/,
  );
});

test("says what is wrong with an archive", () => {
  expect(install(["archive", "http://x/none.tar.gz"]).stderr).toMatch(
    /install-tools: cannot download http:\/\/x\/none\.tar\.gz/,
  );
  writeFileSync(join(work, "web/tools.tar.gz"), "no archive");
  expect(install(["archive", "http://x/tools.tar.gz"]).stderr).toMatch(
    /http:\/\/x\/tools\.tar\.gz is not a tar\.gz archive\n$/,
  );
  pack("tools.tar.gz", "-z", { ...complete, "bin/pulumi": "" });
  rmSync(join(work, "tools"), { recursive: true, force: true });
  pack("less.tar.gz", "-z", { "bin/node": "" });
  expect(install(["archive", "http://x/less.tar.gz"]).stderr).toMatch(
    /tools\/bin\/pulumi is missing after the installation\n$/,
  );
});

test("the official downloads, checked, with plugins and packages", () => {
  const npm =
    '#!/bin/sh\necho "npm $*" >>"$BARTON_TOOLS/calls"; cat package.json package-lock.json >>"$BARTON_TOOLS/calls"; mkdir -p node_modules/@pulumi/aws\n';
  const pulumi = '#!/bin/sh\necho "pulumi $* in $PULUMI_HOME" >>"$BARTON_TOOLS/calls"\n';
  pack("node-v24.9.0-linux-x64.tar.xz", "-J", {
    "node-v24.9.0-linux-x64/bin/node": "",
    "node-v24.9.0-linux-x64/bin/npm": npm,
  });
  pack("pulumi-v3.250.0-linux-x64.tar.gz", "-z", {
    "pulumi/pulumi": pulumi,
    "pulumi/pulumi-language-nodejs": "",
  });
  const sums = (name: string) => `${sha256(join(work, "web", name))}  ${name}\n`;
  writeFileSync(join(work, "web/SHASUMS256.txt"), sums("node-v24.9.0-linux-x64.tar.xz"));
  writeFileSync(join(work, "web/pulumi-3.250.0-checksums.txt"), sums("pulumi-v3.250.0-linux-x64.tar.gz"));
  const manifests = tar([
    { path: "package.json", content: Buffer.from("manifest\n"), executable: false },
    { path: "package-lock.json", content: Buffer.from("lock\n"), executable: false },
  ]).toString("base64");
  const versions = ["official", "24.9.0", "3.250.0", "7.48.0", "1.2.1"];
  expect(install(versions, manifests)).toEqual({ status: 0, stderr: "" });
  expect(readFileSync(join(work, "tools/calls"), "utf8")).toBe(
    [
      `pulumi plugin install resource aws 7.48.0 in ${work}/tools/pulumi-home`,
      `pulumi plugin install resource command 1.2.1 in ${work}/tools/pulumi-home`,
      "npm ci --omit=dev --omit=optional --no-audit --no-fund --ignore-scripts",
      "manifest",
      "lock",
      "",
    ].join("\n"),
  );
  writeFileSync(join(work, "web/SHASUMS256.txt"), "");
  expect(install(versions, manifests).stderr).toMatch(/node-v24\.9\.0-linux-x64\.tar\.xz has SHA-256/);
});
