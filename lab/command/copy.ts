/**
 * Copies a file, a text or a folder to another machine. The target follows the rules of the official plugin:
 *
 * | source | target is a folder | target does not exist | target is a file |
 * |---|---|---|---|
 * | folder | target/folder | target/folder | error |
 * | folder/ | what is in it, into target | the same | error |
 * | file | target/file | target | overwritten |
 * | text | error | target | overwritten |
 *
 * Folders above the target are made. Modes do not travel: files arrive as 0644, folders as 0755.
 */
import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { asArchive, asAsset, type Value } from "../plugin/values.ts";

export interface Copy {
  /** Shell command for the other machine. */
  command: string;
  /** What it reads; called again for each attempt. */
  stdin: () => Readable[];
}

/** How to copy `source` (as the engine describes it) to `remotePath`. Throws when there is no such file here. */
export async function copyOf(source: Value | undefined, remotePath: string): Promise<Copy> {
  const text = asAsset(source)?.text;
  if (text !== undefined) return textCopy(text, remotePath);
  const path = asAsset(source)?.path ?? asArchive(source)?.path ?? "";
  const isFolder = (await stat(path)).isDirectory();
  return isFolder ? folderCopy(path, remotePath) : fileCopy(path, remotePath);
}

function textCopy(content: string, remotePath: string): Copy {
  const command = script(remotePath, [
    'if [ -d "$target" ]; then echo "$target is a folder: a text needs the path of a file" >&2; exit 1; fi',
    'mkdir -p "$(dirname "$target")"',
    'cat > "$target"',
  ]);
  return { command, stdin: () => [readableOf(content)] };
}

function fileCopy(path: string, remotePath: string): Copy {
  const command = script(remotePath, [
    `if [ -d "$target" ]; then target="$target"/${quoted(basename(path))}; fi`,
    'mkdir -p "$(dirname "$target")"',
    'cat > "$target"',
  ]);
  return { command, stdin: () => [createReadStream(path)] };
}

async function folderCopy(path: string, remotePath: string): Promise<Copy> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const names = (isFolder: boolean) =>
    entries
      .filter((entry) => entry.isDirectory() === isFolder)
      .map((entry) => join(entry.parentPath, entry.name).slice(join(path, "/").length));
  const [folders, files] = [names(true), names(false)];
  const command = script(remotePath, [
    'if [ -e "$target" ] && ! [ -d "$target" ]; then echo "$target exists and is not a folder" >&2; exit 1; fi',
    ...(path.endsWith("/") ? [] : [`target="$target"/${quoted(basename(path))}`]),
    'mkdir -p "$target"',
    'tar --extract --file=- --ignore-zeros --overwrite --no-same-owner --touch --directory="$target"',
  ]);
  return { command, stdin: () => [tarOf(path, folders, files)] };
}

/** Two archives in a row, because tar can give only one mode to all that it packs. */
function tarOf(path: string, folders: string[], files: string[]): Readable {
  const both = new PassThrough();
  const pack = async () => {
    await packInto(both, path, folders, "0755");
    await packInto(both, path, files, "0644");
    both.end();
  };
  pack().catch((error: Error) => both.destroy(error));
  return both;
}

async function packInto(target: PassThrough, path: string, names: string[], mode: string): Promise<void> {
  if (names.length === 0) return;
  const args = [
    "--create",
    "--file=-",
    "--no-recursion",
    "--dereference",
    `--mode=${mode}`,
    "--null",
    "--files-from=-",
  ];
  const tar = spawn("tar", [`--directory=${path}`, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  tar.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.once("error", reject);
    tar.once("close", resolve);
  });
  tar.stdin.end(names.map((name) => `./${name}\0`).join(""));
  await pipeline(tar.stdout, target, { end: false });
  const status = await ended;
  if (status !== 0) throw new Error(`tar could not pack ${path} (status ${status}): ${complaint.trim()}`);
}

function script(remotePath: string, lines: string[]): string {
  return ["set -e", `target=${quoted(remotePath)}`, ...lines].join("\n");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function readableOf(content: string): Readable {
  const stream = new PassThrough();
  stream.end(content);
  return stream;
}
