/** Writes a tar archive (POSIX ustar) without times and owners, so the same files give the same bytes. */

export type TarFile = {
  /** Relative, with `/`. */
  path: string;
  content: Buffer;
  executable: boolean;
};

const block = 512;

/** The archive of `files`, in the order given. Throws on a path that ustar cannot hold. */
export function tar(files: readonly TarFile[]): Buffer {
  const parts = files.flatMap((file) => [
    header(file),
    file.content,
    Buffer.alloc((block - (file.content.length % block)) % block),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * block)]);
}

function header({ path, content, executable }: TarFile): Buffer {
  const { prefix, name } = splitPath(path);
  const bytes = Buffer.alloc(block);
  const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`;
  bytes.write(name, 0);
  bytes.write(octal(executable ? 0o755 : 0o644, 8), 100);
  bytes.write(octal(0, 8), 108); // owner: root
  bytes.write(octal(0, 8), 116); // group: root
  bytes.write(octal(content.length, 12), 124);
  bytes.write(octal(0, 12), 136); // modified: at the epoch
  bytes.write("        ", 148); // the checksum counts as blanks while it is computed
  bytes.write("0", 156); // an ordinary file
  bytes.write("ustar\0", 257);
  bytes.write("00", 263);
  bytes.write(prefix, 345);
  const checksum = bytes.reduce((sum, byte) => sum + byte, 0);
  bytes.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148);
  return bytes;
}

/** ustar keeps a path in two fields: 155 bytes of folders, 100 bytes of name. */
function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: "", name: path };
  for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { prefix, name };
  }
  throw new Error(`${path} is too long for a tar archive: use shorter names.`);
}
