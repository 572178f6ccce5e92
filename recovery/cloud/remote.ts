/** Runs commands on other machines over ssh, for what haproxy's runtime API cannot do, such as a configuration file. */
import { runCommand } from "./run-command.ts";

export interface Remote {
  /**
   * Runs a shell script on the machine at `address` as root and resolves with its standard output.
   *
   * @throws with the end of its standard error if it fails or takes too long.
   */
  run(address: string, script: string, input?: string): Promise<string>;
}

const connectSeconds = 3;
const runLimitMs = 15_000;

/**
 * @param keyFile private key that the proxies accept from monit.
 * @param limitMs how long one command may take.
 */
export function sshRemote(keyFile: string, limitMs = runLimitMs): Remote {
  return {
    async run(address, script, input = "") {
      const result = await runCommand("ssh", [...sshOptions(keyFile), `root@${address}`, script], {
        input,
        limitMs,
        stripFinalNewline: false,
      });
      if (result.ok) return result.stdout;
      const reason = result.isCut ? result.why : lastLines(result.stderr);
      throw new Error(`ssh root@${address}: ${reason || result.why}`);
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
