/** Runs commands on other machines over ssh, for what haproxy's runtime API cannot do, such as a configuration file. */
import { execa } from "execa";

export interface Remote {
  /**
   * Runs a shell script on the machine at `address` as root and resolves with its standard output.
   *
   * @throws with the end of its standard error if it fails or takes too long.
   */
  run(address: string, script: string, input?: string): Promise<string>;
}

const connectSeconds = 3;
const runTimeoutMs = 15_000;

/** @param keyFile private key that the proxies accept from monit. */
export function sshRemote(keyFile: string): Remote {
  return {
    async run(address, script, input = "") {
      const result = await execa("ssh", [...sshOptions(keyFile), `root@${address}`, script], {
        input,
        timeout: runTimeoutMs,
        reject: false,
        stripFinalNewline: false,
      });
      if (!result.failed) return result.stdout;
      const reason = result.timedOut ? `no end within ${runTimeoutMs} ms` : lastLines(result.stderr);
      throw new Error(`ssh root@${address}: ${reason || result.shortMessage}`);
    },
  };
}

/**
 * The host key is not pinned: a machine has a new one after each replacement, and its address comes from the cloud's API over
 * an authenticated channel. Nothing secret is sent over this connection.
 */
function sshOptions(keyFile: string): string[] {
  const options = {
    BatchMode: "yes",
    ConnectTimeout: connectSeconds,
    IdentitiesOnly: "yes",
    LogLevel: "ERROR",
    StrictHostKeyChecking: "no",
    UserKnownHostsFile: "/dev/null",
  };
  return ["-i", keyFile, ...Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-3).join(" / ");
}
