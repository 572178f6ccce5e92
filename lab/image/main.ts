/** `scripts/setup` runs this. It makes the lab's base image if there is none, and the programs for tests that come from it. */
import { labNamed } from "../lab.ts";
import { buildLocked, ensureBaseImage } from "./base.ts";
import { ensureServers } from "./servers.ts";

try {
  const [option, cacheDir] = process.argv.slice(2);
  if (option === "--build-locked" && cacheDir !== undefined) {
    await buildLocked(cacheDir);
  } else {
    const began = Date.now();
    await ensureBaseImage(labNamed("local"), (line) => console.log(line));
    await ensureServers(labNamed("local"));
    console.log(`the lab's base image is ready (${Math.round((Date.now() - began) / 1000)} s)`);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
