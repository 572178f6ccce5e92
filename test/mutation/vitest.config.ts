import { defineConfig } from "vitest/config";

/** These take a second each, which is a long time for a mutant; they test `recovery/decide/memory`, so they run for that alone. */
const ofMemory = ["**/flapping.test.ts", "**/revive.test.ts"];

/**
 * The tests of scripts/mutate: those that mirror `recovery/decide` and `recovery/act`, without real servers. Each mutant runs them
 * again, so the test of random worlds, which takes seconds, is left out: what it kills must be killed by a test that names it.
 */
export default defineConfig({
  test: {
    include: ["test/recovery/act/**/*.test.ts", "test/recovery/decide/**/*.test.ts"],
    exclude: [
      "**/*.integration.test.ts",
      "**/invariants.test.ts",
      ...(process.env.BARTON_MUTATE_MEMORY ? [] : ofMemory),
    ],
    // A third of the time goes into loading modules; none of these tests changes a module's state.
    isolate: false,
  },
});
