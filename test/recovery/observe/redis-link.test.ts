import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { numberFrom, RedisLink } from "../../../recovery/observe/redis-link.ts";

test.each<[unknown, number | undefined]>([
  ["7", 7],
  [null, 0],
  ["abc", undefined],
  ["", undefined],
  ["1.5", undefined],
  ["-1", undefined],
  ["1e3", undefined],
  ["NaN", undefined],
  ["Infinity", undefined],
  ["99999999999999999999", undefined],
])("a key that holds %j is the number %s", (reply, number) => {
  expect(numberFrom([null, reply])).toBe(number);
});

test("a reply that is an error, or missing, is no number", () => {
  expect(numberFrom([new Error("LOADING"), null])).toBeUndefined();
  expect(numberFrom(undefined)).toBeUndefined();
});

test("a connection on which an answer is missing is reset, and the question under way on it ends", async () => {
  const broken: (string | undefined)[] = [];
  // It takes the login, and answers nothing else.
  const server = createServer((socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => broken.push(error.code));
    socket.on("data", (data) => String(data).includes("auth") && socket.write("+OK\r\n+OK\r\n"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const link = new RedisLink("127.0.0.1", port, { redisUser: "recovery", redisPassword: "secret" }, 500);
  const question = link.ask().catch((error: Error) => error.message);
  await expect(link.run([["INCR", "x"]], 300)).rejects.toThrow("INCR x: no answer within 300 ms");
  await expect.poll(() => broken).toContain("ECONNRESET");
  expect(await question).toBe("Connection is closed.");
  link.close();
  server.close();
});
