/** Recovery's files on a real disk, and on one that takes nothing for a while. */
import { mkdtempSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { createLog, silentLog } from "../../../recovery/log.ts";
import { DiskFiles, readKept, removeLeftovers, replaceFile } from "../../../recovery/storage/files.ts";

let folder: string;
let path: string;
let lines: string[];
const log = createLog({ write: (text) => lines.push(text) }, {});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "barton-files-"));
  path = join(folder, "memory.json");
  lines = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const text = () => readFile(path, "utf8");

/** A disk that fails with the present message, or works; each pause of a retry is let go by `pass`. */
function disk() {
  const state = { failure: undefined as string | undefined, pausesMs: [] as number[], written: 0 };
  let pass = () => {};
  const files = new DiskFiles({
    log,
    replace: async (...args) => {
      if (state.failure) throw new Error(state.failure);
      state.written += 1;
      await replaceFile(...args);
    },
    sleep: (ms) => {
      state.pausesMs.push(ms);
      return new Promise<void>((done) => {
        pass = done;
      });
    },
  });
  const nextTry = async () => {
    pass();
    await new Promise((done) => setImmediate(done));
    return files.settled();
  };
  return { state, files, nextTry };
}

test("only the newest of several contents is written, readable by its owner alone", async () => {
  const { files, state } = disk();
  for (let number = 0; number < 50; number += 1) files.write(path, { number });
  expect(await files.settled(path)).toBe(true);
  expect(JSON.parse(await text())).toEqual({ number: 49 });
  expect(state.written).toBe(2);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["memory.json"]);
});

test("what was asked for before is waited for, what is asked for later is not", async () => {
  let release = () => {};
  let begun = 0;
  const files = new DiskFiles({
    log,
    replace: () => {
      begun += 1;
      return new Promise<void>((done) => {
        release = done;
      });
    },
  });
  files.write(path, 1);
  const first = files.settled(path);
  files.write(path, 2);
  release();
  expect(await first).toBe(true);
  expect(begun).toBe(2);
  release();
  expect(await files.settled(path)).toBe(true);
});

test("a write that fails does not count as kept, shows, and is tried again with growing pauses until it works", async () => {
  const { files, state, nextTry } = disk();
  state.failure = "ENOSPC: no space left on device";
  files.write(path, { epoch: 7 });
  expect(await files.settled(path)).toBe(false);
  for (let again = 0; again < 7; again += 1) expect(await nextTry()).toBe(false);
  expect(state.pausesMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  expect(files.failing).toEqual([{ path, why: "ENOSPC: no space left on device", failures: 8 }]);
  expect(lines).toEqual([`cannot write ${path}, which is tried again: ENOSPC: no space left on device\n`]);
  state.failure = undefined;
  expect(await nextTry()).toBe(true);
  expect(files.failing).toEqual([]);
  expect(JSON.parse(await text())).toEqual({ epoch: 7 });
  expect(lines.at(-1)).toBe(`${path} is written again\n`);
});

test("a newer content is tried at once, although the last write failed", async () => {
  const { files, state } = disk();
  state.failure = "EROFS: read-only file system";
  files.write(path, 1);
  expect(await files.settled()).toBe(false);
  state.failure = undefined;
  files.write(path, 2);
  expect(await files.settled()).toBe(true);
  expect(await text()).toBe("2\n");
});

test("a write that does not end shows too, until it does", async () => {
  let release = () => {};
  let nowMs = 0;
  const hanging = () =>
    new Promise<void>((done) => {
      release = done;
    });
  const files = new DiskFiles({ log, replace: hanging, nowMs: () => nowMs });
  files.write(path, 1);
  nowMs = 9_999;
  expect(files.failing).toEqual([]);
  nowMs = 10_000;
  expect(files.failing).toEqual([{ path, why: "no end of the write within 10 s", failures: 0 }]);
  release();
  expect(await files.settled()).toBe(true);
  expect(files.failing).toEqual([]);
});

test("a file is removed, and its removal is tried again too", async () => {
  const { files, state, nextTry } = disk();
  files.write(path, 1);
  await files.settled();
  state.failure = "EROFS: read-only file system";
  files.remove(path);
  expect(await files.settled()).toBe(false);
  state.failure = undefined;
  expect(await nextTry()).toBe(true);
  expect(await files.read(path)).toEqual({ state: "absent" });
});

test("a real folder that cannot be written fails, and heals", async () => {
  const file = join(folder, "state");
  await writeFile(file, "in the way");
  let pass = () => {};
  const sleep = () =>
    new Promise<void>((done) => {
      pass = done;
    });
  const files = new DiskFiles({ log, sleep });
  files.write(join(file, "memory.json"), 1);
  expect(await files.settled()).toBe(false);
  await rm(file);
  pass();
  await expect.poll(() => files.failing).toEqual([]);
  expect(JSON.parse(await readFile(join(file, "memory.json"), "utf8"))).toBe(1);
});

test("a disk that takes only a part of the text leaves the old file whole", async () => {
  await writeFile(path, '"old"');
  const module = resolve(import.meta.dirname, "../../../recovery/storage/files.ts");
  const code = `import { replaceFile } from ${JSON.stringify(module)};
    await replaceFile(${JSON.stringify(path)}, "y".repeat(100_000)).then(() => console.log("ok"), (e) => console.log(e.code));`;
  // A file of at most 8 KiB: write(2) takes the first part, as on a disk that becomes full, and fails with the next.
  const limited = `trap '' XFSZ; ulimit -f 16; exec node --input-type=module -e "$0"`;
  const node = resolve(import.meta.dirname, "../../../node_modules/.bin");
  const { stdout } = await execa("sh", ["-c", limited, code], {
    env: { PATH: `${node}:${process.env.PATH}`, NODE_COMPILE_CACHE: "" },
  });
  expect(stdout).toBe("EFBIG");
  expect(await text()).toBe('"old"');
  expect(await readdir(folder)).toEqual(["memory.json"]);
});

test("what a killed process left in the middle of a write is removed", async () => {
  await writeFile(`${path}.123.part`, "{");
  await writeFile(path, "{}");
  await removeLeftovers(folder);
  await removeLeftovers(join(folder, "nowhere"));
  expect(await readdir(folder)).toEqual(["memory.json"]);
});

const schema = z.object({ why: z.string() });

test("a whole file is read, a missing one is no reason for a warning", async () => {
  const files = new DiskFiles({ log });
  expect(await readKept(files, path, schema, log)).toBeUndefined();
  await writeFile(path, '{"why":"updates"}');
  expect(await readKept(files, path, schema, log)).toEqual({ why: "updates" });
  expect(lines).toEqual([]);
});

test.each([
  ["", /is damaged and is not used: Unexpected end of JSON input/],
  ['{"why"', /is damaged and is not used: /],
  ["null", /is damaged and is not used: content: /],
  ['{"why":5}', /is damaged and is not used: why: /],
])("a damaged file (%s) is skipped with one warning that names it", async (content, expected) => {
  await writeFile(path, content);
  expect(await readKept(new DiskFiles({ log }), path, schema, log)).toBeUndefined();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(path);
  expect(lines[0]).toMatch(expected);
});

test("a folder in the place of a file is damage, not absence", async () => {
  await mkdir(path);
  await chmod(path, 0o700);
  expect(await new DiskFiles({ log: silentLog }).read(path)).toMatchObject({ state: "damaged" });
});
