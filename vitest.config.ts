import { defineConfig } from "vitest/config";
import { serversBin } from "./lab/image/servers.ts";

/** Real servers, sshd, the Pulumi engine, machines: one file at a time, because there are two cores. */
const real = { fileParallelism: false, pool: "forks" as const };

/** The second tier of end-to-end tests: `scripts/test --all`. */
const long = "test/end-to-end/**/*.long.test.ts";

export default defineConfig({
  test: {
    reporters: ["default", "./test/closing-line.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.integration.test.ts", "test/end-to-end/**"],
          // The SDKs alone take seconds to load on a busy machine.
          testTimeout: 30_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/**/*.integration.test.ts"],
          globalSetup: ["test/servers.ts"],
          // haproxy and redis as the machines run them, not the host's.
          env: { PATH: `${serversBin()}:${process.env.PATH}` },
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
          ...real,
        },
      },
      {
        test: {
          name: "end-to-end",
          include: ["test/end-to-end/**/*.test.ts"],
          exclude: process.env.BARTON_TEST_ALL ? [] : [long],
          globalSetup: ["test/end-to-end/lab.ts"],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 2 },
          ...real,
        },
      },
    ],
  },
});
