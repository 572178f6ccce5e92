/** `scripts/setup` runs this. It makes the lab's base image if there is none. */
import { labNamed } from "../lab.ts";
import { buildLocked, ensureBaseImage } from "./base.ts";

try {
  const [option, cacheDir] = process.argv.slice(2);
  if (option === "--build-locked" && cacheDir !== undefined) {
    await buildLocked(cacheDir);
  } else {
    const began = Date.now();
    await ensureBaseImage(labNamed("local"), (line) => console.log(line));
    console.log(`the lab's base image is ready (${Math.round((Date.now() - began) / 1000)} s)`);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
