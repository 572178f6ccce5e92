import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { RuntimeApi } from "../../../recovery/observe/runtime-api.ts";

let server: Server | undefined;
let connections = 0;
const sockets = new Set<Socket>();
/** How connections ended that did not end in an orderly way. */
const broken: (string | undefined)[] = [];

/** Answers each line with what `reply` says, in haproxy's way; undefined is silence. */
async function fakeHaproxy(reply: (command: string) => string | undefined): Promise<RuntimeApi> {
  connections = 0;
  server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", (error: NodeJS.ErrnoException) => broken.push(error.code));
    socket.on("data", (data) => {
      for (const command of String(data).split("\n").filter(Boolean)) {
        const answer = command === "prompt" ? "" : reply(command);
        if (answer !== undefined) socket.write(`${answer}\n> `);
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return new RuntimeApi("127.0.0.1", typeof address === "object" ? (address?.port ?? 0) : 0, 500);
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
});

test("answers come in order, on one connection", async () => {
  const api = await fakeHaproxy((command) => `<${command}>`);
  expect(await Promise.all(["a", "b", "c"].map((command) => api.ask(command)))).toEqual([
    "<a>",
    "<b>",
    "<c>",
  ]);
  expect(connections).toBe(1);
  api.close();
});

test("a complaint names the command and haproxy's words; announcements of a changed address are none", async () => {
  const api = await fakeHaproxy((command) => {
    if (command.includes("addr"))
      return "IP changed from '127.0.0.1' to '10.0.0.1' by 'stats socket command'\n";
    return command.includes("nope") ? "No such server.\n" : "";
  });
  await api.tell(
    ["set server shard1/redis1 addr 10.0.0.1 port 9001", "set server shard1/redis1 state ready"],
    500,
  );
  await expect(api.tell(["set server nope/x state ready"], 500)).rejects.toThrow(
    'did not take "set server nope/x state ready": No such server.',
  );
  api.close();
});

test("no answer in time is an error; the next command uses a new connection", async () => {
  const api = await fakeHaproxy((command) => (command === "slow" ? undefined : "ok"));
  await expect(api.ask("slow", 50)).rejects.toThrow("no answer within 50 ms");
  expect(await api.ask("quick", 500)).toBe("ok");
  expect(connections).toBe(2);
  api.close();
});

test("a connection on which an answer is missing is reset, so that nothing of it arrives later", async () => {
  broken.length = 0;
  const api = await fakeHaproxy(() => undefined);
  await expect(api.ask("slow", 50)).rejects.toThrow("no answer within 50 ms");
  await expect.poll(() => broken).toEqual(["ECONNRESET"]);
});

test("after close nothing is asked, and no connection is made", async () => {
  const api = await fakeHaproxy(() => "ok");
  api.close();
  await expect(api.ask("x")).rejects.toThrow("closed by recovery");
  expect(connections).toBe(0);
});

test("a refused connection is an error", async () => {
  await expect(new RuntimeApi("127.0.0.1", 1, 500).ask("x")).rejects.toThrow(/ECONNREFUSED/);
});
