/** The link to a proxy, against a runtime API that the test holds up. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ProxyLink } from "../../../recovery/observe/proxy-link.ts";

const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** A runtime API that answers nothing before it is told to, and then succeeds in silence. */
async function heldUp() {
  const commands: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.setEncoding("utf8");
    socket.on("error", () => {});
    socket.on("data", (text: string) => commands.push(...text.trim().split("\n")));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const nowMs = () => performance.now();
  const link = new ProxyLink({
    address: "127.0.0.1",
    ports: [port],
    shards: [1],
    connectTimeoutMs: 2_000,
    nowMs,
  });
  closes.push(
    () => link.close(),
    () => server.close(),
    () => sockets.map((socket) => socket.destroy()),
  );
  const arrived = async (count: number) => {
    while (commands.length < count) await new Promise((next) => setTimeout(next, 1));
  };
  const answerAll = () => sockets.at(-1)?.write("\n> ".repeat(commands.length));
  return { link, commands, sockets, arrived, answerAll };
}

const heartbeat = "set table monitors key me data.gpt0 1";

test("a heartbeat that is not taken in time does not end the fence that is under way on the same connection", async () => {
  const { link, commands, sockets, arrived, answerAll } = await heldUp();
  const fenced = link.tell(["set server shard1/redis1 state maint"], 20_000);
  await expect(link.introduce("me", 20)).rejects.toThrow(
    "haproxy at 127.0.0.1 did not take the heartbeat within 20 ms",
  );
  await arrived(4);
  answerAll();
  await fenced;
  expect(sockets).toHaveLength(1);
  expect(commands).toEqual(["prompt", "set server shard1/redis1 state maint", "keep servers", heartbeat]);
});

test("a proxy that has not taken one heartbeat gets no second one behind it", async () => {
  const { link, commands, arrived, answerAll } = await heldUp();
  for (const _ of [1, 2, 3]) await expect(link.introduce("me", 10)).rejects.toThrow("did not take");
  await arrived(2);
  expect(commands).toEqual(["prompt", heartbeat]);
  const taken = link.introduce("me", 20_000);
  answerAll();
  await taken;
});
