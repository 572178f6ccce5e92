/** A private sshd on the loopback, with a host key and a configuration of its own, for one user: the one who runs the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

export interface Sshd {
  folder: string;
  port: number;
  user: string;
  privateKey: string;
  /** As an entry of known_hosts, without the host. */
  hostKey: string;
  /** Starts answering; until then the port is closed. */
  start(): Promise<void>;
  stop(): Promise<void>;
  remove(): Promise<void>;
}

/** Everything is prepared, but nothing listens before `start`. */
export async function newSshd(): Promise<Sshd> {
  const folder = await mkdtemp(join(tmpdir(), "barton-sshd-"));
  for (const name of ["host_key", "user_key"]) {
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(folder, name)]);
  }
  const port = await freePort();
  await writeFile(join(folder, "authorized_keys"), await readFile(join(folder, "user_key.pub")), {
    mode: 0o600,
  });
  await writeFile(
    join(folder, "sshd_config"),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${join(folder, "host_key")}`,
      `AuthorizedKeysFile ${join(folder, "authorized_keys")}`,
      "PidFile none",
      "PermitRootLogin prohibit-password",
      "PasswordAuthentication no",
      // The folder is in /tmp, which others may write to.
      "StrictModes no",
      "UsePAM no",
      "AcceptEnv TRIAL_* PULUMI_COMMAND_*",
      "",
    ].join("\n"),
  );
  // Where sshd's unprivileged part lives; systemd makes it on machines where sshd is a service.
  mkdirSync("/run/sshd", { recursive: true });
  let server: ChildProcess | undefined;
  const stop = async () => {
    if (!server || server.exitCode !== null) return;
    const ended = once(server, "exit");
    server.kill();
    await ended;
  };
  return {
    folder,
    port,
    user: userInfo().username,
    privateKey: await readFile(join(folder, "user_key"), "utf8"),
    hostKey: (await readFile(join(folder, "host_key.pub"), "utf8")).split(" ").slice(0, 2).join(" "),
    async start() {
      server = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(folder, "sshd_config")], { stdio: "ignore" });
      await untilOpen(port, server);
    },
    stop,
    async remove() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function untilOpen(port: number, server: ChildProcess): Promise<void> {
  while (server.exitCode === null) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`sshd ended with status ${server.exitCode}`);
}
