/** Both redis machines lose their power at once: they come back from their data volumes, and traffic has only waited. */
import { expect, test } from "vitest";
import { expectNothingLost, lab, scenarioBeforeEach } from "./scenario.ts";

const scenario = scenarioBeforeEach();
const machines = ["redis1", "redis2"];

/** The device of the data volume that is mounted on a machine: its name has the volume's id. */
const volumeOf = (machine: string) =>
  lab.exec(
    machine,
    "sh",
    "-c",
    'device=$(findmnt --noheadings --output SOURCE /srv/redis) && for link in /dev/disk/by-id/*vol*; do [ "$(readlink -f "$link")" != "$device" ] || echo "$link"; done',
  );

/** What redis answers the client user on app, one line a reply. */
async function asClient(commands: string): Promise<string[]> {
  const ask =
    '. /etc/barton/client.env; printf "%s\\n" "$1" | REDISCLI_AUTH=$BARTON_CLIENT_PASSWORD exec redis-cli --user "$BARTON_CLIENT_USER" --no-auth-warning -p 7001';
  return (await lab.exec("app", "bash", "-c", ask, "ask", commands)).trim().split("\n");
}

test("both are replaced with their old volumes, the better copy serves, and nothing confirmed is lost", async () => {
  const volumes = await Promise.all(machines.map(volumeOf));
  expect(new Set(volumes).size).toBe(2);
  const keys = Array.from({ length: 50 }, (_, i) => `total-loss-${Date.now()}-${i}`);
  const replies = await asClient(keys.map((key) => `SET ${key} ${key} EX 3600\nWAIT 1 1000`).join("\n"));
  expect(replies).toEqual(keys.flatMap(() => ["OK", "1"]));

  await Promise.all(machines.map((machine) => lab.fault("poweroff", machine)));
  const { after, summary } = await scenario.current.replaced(...machines);

  expectNothingLost(summary);
  for (const shard of after.shards) {
    expect([shard.master, shard.replica].sort()).toEqual(machines);
    expect(shard.proxies).toEqual({ haproxy1: shard.master, haproxy2: shard.master });
  }
  expect(await asClient(keys.map((key) => `GET ${key}`).join("\n"))).toEqual(keys);
  expect(await Promise.all(machines.map(volumeOf))).toEqual(volumes);
});

test("a replaced machine has the volume that its predecessor had", async () => {
  const { replica } = scenario.current;
  const before = await volumeOf(replica);
  await lab.fault("poweroff", replica);
  const { summary } = await scenario.current.replaced(replica);
  expectNothingLost(summary);
  expect(await volumeOf(replica)).toBe(before);
});
