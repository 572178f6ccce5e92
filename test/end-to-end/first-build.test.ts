/** What stands after the first `up`: names, network, credentials, and a program with nothing left to do. */
import { beforeAll, describe, expect, inject, test } from "vitest";
import { LabOperator, type LabStatus } from "../../lab/operate.ts";

const lab = new LabOperator(inject("labName"));
const names = ["redis1", "redis2", "haproxy1", "haproxy2", "app", "monit"];
let status: LabStatus;

beforeAll(async () => {
  status = await lab.untilHealthy(60_000);
});

/** Whether `from` gets a TCP connection to `target:port` (name without domain) within two seconds. */
async function reaches(from: string, target: string, port: number): Promise<boolean> {
  const probe = `timeout 2 bash -c '</dev/tcp/${target}.barton/${port}' 2>/dev/null && echo open || echo closed`;
  return (await lab.exec(from, "bash", "-c", probe)).trim() === "open";
}

/** What a redis says to the client user for one command, asked on app through the proxies. */
async function asClient(...command: string[]): Promise<string> {
  const ask =
    '. /etc/barton/client.env; REDISCLI_AUTH=$BARTON_CLIENT_PASSWORD exec redis-cli --user "$BARTON_CLIENT_USER" --no-auth-warning -p 7001 "$@"';
  return lab.exec("app", "bash", "-c", ask, "redis-cli", ...command);
}

describe("the machines", () => {
  test.each(names)("%s runs systemd, has its name, and resolves the others", async (name) => {
    // Debian gives a machine's own name a loopback address, so each asks for another one.
    const other = name === "redis1" ? "redis2" : "redis1";
    const ask = `hostname; cat /proc/1/comm; cloud-init status; getent hosts ${other}.barton`;
    const [hostname, init, cloudInit, answer] = (await lab.exec(name, "sh", "-c", ask)).split("\n");
    expect(hostname).toBe(`${name}.barton`);
    expect(init).toBe("systemd");
    expect(cloudInit).toBe("status: done");
    const address = status.machines.find((machine) => machine.name === other)?.address;
    expect(answer?.split(/\s+/)[0]).toBe(address);
  });

  test("there are six, all running, and one of each pair in each zone", async () => {
    expect(status.machines.map((machine) => machine.name).sort()).toEqual([...names].sort());
    expect(new Set(status.machines.map((machine) => machine.state))).toEqual(new Set(["running"]));
    const subnet = (name: string) =>
      status.machines.find((machine) => machine.name === name)?.address?.split(".")[2];
    expect(subnet("redis1")).not.toBe(subnet("redis2"));
    expect(subnet("haproxy1")).not.toBe(subnet("haproxy2"));
  });

  test("every shard has one master, its replica, and both proxies pointing at it", () => {
    expect(status.shards.map((shard) => shard.index)).toEqual([1, 2]);
    for (const shard of status.shards) {
      expect([shard.master, shard.replica].sort()).toEqual(["redis1", "redis2"]);
      expect(shard.replicaLink).toBe("up");
      expect(shard.proxies).toEqual({ haproxy1: shard.master, haproxy2: shard.master });
    }
  });
});

describe("the network", () => {
  test.each([
    ["app", "haproxy1", 8001, true],
    ["app", "haproxy2", 8002, true],
    ["app", "redis1", 9001, false],
    ["app", "haproxy1", 8999, false],
    ["app", "monit", 22, false],
    ["haproxy1", "redis2", 9002, true],
    ["haproxy1", "haproxy2", 8001, true],
    ["haproxy1", "haproxy2", 8999, false],
    ["redis1", "redis2", 9001, true],
    ["redis1", "haproxy1", 8001, false],
    ["monit", "haproxy2", 8999, true],
    ["monit", "redis1", 9002, true],
  ])("%s reaches %s:%i is %s", async (from, target, port, open) => {
    expect(await reaches(from, target, port)).toBe(open);
  });
});

describe("credentials", () => {
  test("a client reads and writes through the local proxy", async () => {
    expect(await asClient("SET", "first-build", "yes", "EX", "60")).toBe("OK");
    expect(await asClient("GET", "first-build")).toBe("yes");
    expect(await asClient("INCR", "first-build-counter")).toMatch(/^\d+$/);
  });

  test.each([
    ["CONFIG", "GET", "*"],
    ["FLUSHALL"],
    ["KEYS", "*"],
    ["REPLICAOF", "NO", "ONE"],
    ["SHUTDOWN", "NOSAVE"],
    ["ACL", "LIST"],
    ["SET", "barton:epoch", "99"],
  ])("a client may not %s %s %s", async (...command) => {
    expect(await asClient(...command)).toContain("NOPERM");
  });

  test("without credentials nothing is answered", async () => {
    expect(await lab.exec("app", "redis-cli", "-p", "7001", "GET", "first-build")).toContain("NOAUTH");
  });

  test("secrets are not in the process list of any machine, nor readable for others", async () => {
    const password = (
      await lab.exec("app", "sh", "-c", ". /etc/barton/client.env; echo $BARTON_CLIENT_PASSWORD")
    ).trim();
    expect(password.length).toBeGreaterThan(20);
    expect(await lab.exec("app", "stat", "-c", "%a %U", "/etc/barton/client.env")).toBe("600 root");
    for (const name of names) expect(await lab.exec(name, "ps", "axww")).not.toContain(password);
    expect(await lab.pulumi("stack", "export")).not.toContain(password);
  });
});

describe("the program", () => {
  test("a second preview is empty", async () => {
    await lab.pulumi("preview", "--expect-no-changes", "--non-interactive");
  });

  test.each([
    [
      "redis2",
      [
        "instance:Instance::redis2",
        "record:Record::redis2",
        "volumeAttachment:VolumeAttachment::redis2-data",
      ],
    ],
    ["haproxy2", ["instance:Instance::haproxy2", "record:Record::haproxy2"]],
  ])(
    "a preview after state taint of %s shows exactly the machine and what is its own",
    async (machine, own) => {
      const urns = JSON.parse(await lab.pulumi("stack", "export")).deployment.resources.map(
        (each: { urn: string }) => each.urn,
      );
      const urn = urns.find((each: string) => each.endsWith(`aws:ec2/instance:Instance::${machine}`));
      await lab.pulumi("state", "taint", urn, "--yes");
      try {
        const preview = JSON.parse(await lab.pulumi("preview", "--json", "--non-interactive"));
        const changed = preview.steps.filter((step: { op: string }) => step.op !== "same");
        const changedUrns = new Set(
          changed.map((step: { urn: string }) => step.urn.split("::").slice(2).join("::")),
        );
        const tails = [...changedUrns].map((each) => String(each).split("/").at(-1));
        expect(tails.sort()).toEqual(own);
      } finally {
        await lab.pulumi("state", "untaint", urn, "--yes");
      }
    },
  );
});

describe("recovery at rest", () => {
  test("runs as a systemd unit on monit and logs to the journal", async () => {
    expect(await lab.exec("monit", "systemctl", "is-active", "barton-monitor.service")).toBe("active");
    expect(
      await lab.exec("monit", "journalctl", "-u", "barton-monitor.service", "-n", "5", "--no-pager"),
    ).not.toBe("");
  });

  test("no redis starts as a writable master: by the boot configuration it is the replica of nobody", async () => {
    for (const machine of ["redis1", "redis2"]) {
      for (const port of [9001, 9002]) {
        expect(await lab.exec(machine, "cat", `/etc/redis/redis-${port}.conf`)).toMatch(
          /^replicaof 127\.0\.0\.1 1$/m,
        );
      }
    }
  });
});
