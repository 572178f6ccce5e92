import { defineConfig } from "vitest/config";

/**
 * The tests of scripts/mutate: those that mirror `recovery/decide` and `recovery/act`, without real servers. Each mutant runs them
 * again, so tests of random worlds, which take seconds, are left out: what they kill must be killed by a test that names it.
 */
export default defineConfig({
  test: {
    include: ["test/recovery/act/**/*.test.ts", "test/recovery/decide/**/*.test.ts"],
    exclude: [
      "**/*.integration.test.ts",
      ...["invariants", "flapping", "revive"].map((name) => `**/${name}.test.ts`),
    ],
    // A third of the time goes into loading modules; none of these tests changes a module's state.
    isolate: false,
  },
});
