/** Starts a lab's control plane, and makes the network namespace in which it runs. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { answers } from "./client.ts";
import { isAlive, processNow } from "./control-plane/processes.ts";
import { run, tryRun } from "./control-plane/system.ts";
import { ensureBaseImage } from "./image/base.ts";
import { insideNetwork, type Lab, LabError } from "./lab.ts";

/** How long a control plane may take until it answers, in milliseconds. */
const answerDeadlineMs = 30_000;
/** Each machine's systemd uses dozens of inotify instances; the kernel's 128 are not enough for two machines. */
const inotifyInstances = 8192;

const tools: Record<string, string> = {
  mmdebstrap: "mmdebstrap",
  "systemd-nspawn": "systemd-container",
  dnsmasq: "dnsmasq-base",
  nft: "nftables",
  ip: "iproute2",
  nsenter: "util-linux",
  flock: "util-linux",
  ssh: "openssh-client",
};

/** Throws unless this is root on a Linux host with the lab's tools; the message says what to install. */
export async function checkHost(): Promise<void> {
  if (process.platform !== "linux") throw new LabError(`A lab needs Linux; this is ${process.platform}.`);
  if (process.getuid?.() !== 0) throw new LabError("A lab needs root: run this as root, or with sudo.");
  const found = await Promise.all(
    Object.entries(tools).map(async ([tool, debianPackage]) =>
      (await tryRun(["sh", "-c", `command -v ${tool}`])) ? [] : [debianPackage],
    ),
  );
  const missing = [...new Set(found.flat())];
  if (missing.length > 0)
    throw new LabError(`These Debian packages are missing: apt-get install ${missing.join(" ")}`);
}

/**
 * Starts the control plane unless it answers already; it runs on by itself. Makes the lab's folder, base image and
 * namespace first where they are missing. Gives whether it had to be started.
 */
export async function startControlPlane(lab: Lab, progress: (line: string) => void): Promise<boolean> {
  await checkHost();
  if (await answers(lab)) return false;
  await ensureBaseImage(lab, progress);
  mkdirSync(lab.dir, { recursive: true, mode: 0o700 });
  raiseInotifyLimit();
  if (!existsSync(lab.netnsPath)) await run(["ip", "netns", "add", lab.netns]);
  progress("starting the control plane");
  const log = openSync(lab.logFile, "a", 0o600);
  const [file, ...args] = insideNetwork(lab, [
    process.execPath,
    join(import.meta.dirname, "control-plane/main.ts"),
    lab.name,
  ]);
  const child = spawn(file, args, { detached: true, stdio: ["ignore", log, log], cwd: "/" });
  child.on("error", () => {}); // seen below: nobody answers
  child.unref();
  closeSync(log);
  await untilAnswers(lab, child.pid);
  return true;
}

async function untilAnswers(lab: Lab, pid: number | undefined): Promise<void> {
  const started = pid === undefined ? undefined : processNow(pid);
  const deadline = performance.now() + answerDeadlineMs;
  while (!(await answers(lab))) {
    const ended = started === undefined || !isAlive(started);
    // Another `up` may have started one at the same moment: then this one ends, and that one answers.
    if ((ended && !(await answers(lab))) || performance.now() > deadline) {
      const why = ended ? "ended" : `does not answer after ${answerDeadlineMs} ms`;
      const tail = existsSync(lab.logFile)
        ? readFileSync(lab.logFile, "utf8").trimEnd().split("\n").slice(-15).join("\n")
        : "";
      throw new LabError(`The control plane of lab ${lab.name} ${why}. The end of ${lab.logFile}:\n${tail}`);
    }
    await delay(25);
  }
}

function raiseInotifyLimit(): void {
  const file = "/proc/sys/fs/inotify/max_user_instances";
  if (Number(readFileSync(file, "utf8")) < inotifyInstances) writeFileSync(file, String(inotifyInstances));
}
