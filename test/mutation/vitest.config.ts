import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** These take a second each, so they run last: most mutants are killed before. */
const slow = /\/(flapping|revive)\.test\.ts$/;

class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isSlow = ({ moduleId }: TestSpecification) => slow.test(moduleId);
    return [...sorted.filter((file) => !isSlow(file)), ...sorted.filter(isSlow)];
  }
}

/**
 * The tests of scripts/mutate: those that mirror `recovery/decide` and `recovery/act`, without real servers. Each mutant runs them
 * again, so the test of random worlds, which takes seconds, is left out: what it kills must be killed by a test that names it.
 */
export default defineConfig({
  test: {
    include: ["test/recovery/act/**/*.test.ts", "test/recovery/decide/**/*.test.ts"],
    exclude: ["**/*.integration.test.ts", "**/invariants.test.ts"],
    // A third of the time goes into loading modules; none of these tests changes a module's state.
    isolate: false,
    sequence: { sequencer: QuickFirst },
  },
});
