/** Before integration tests: the servers that they start are those of the lab's base image (lab/image/servers.ts). */

import { existsSync } from "node:fs";
import { baseImageDir } from "../lab/image/base.ts";
import { ensureServers } from "../lab/image/servers.ts";
import { labNamed } from "../lab/lab.ts";

export default async function setup(): Promise<void> {
  const lab = labNamed("local");
  if (!existsSync(baseImageDir(lab)))
    throw new Error(`There is no base image (${baseImageDir(lab)}): run scripts/setup first.`);
  await ensureServers(lab);
}
