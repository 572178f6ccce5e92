/**
 * A vitest reporter that ends a run with one plain line, `N passed, N failed, N skipped`, for CI systems
 * that do not read vitest's own summary. A file that could not be loaded counts as a failure.
 */
import type { Reporter, TestModule } from "vitest/node";

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const states = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => test.result().state),
    );
    const broken = modules.filter(
      (module) => module.state() === "failed" && module.errors().length > 0,
    ).length;
    const count = (state: string) => states.filter((each) => each === state).length;
    const failed = count("failed") + broken + errors.length;
    process.on("exit", () => {
      console.log(
        `${count("passed")} passed, ${failed} failed, ${count("skipped") + count("pending")} skipped`,
      );
    });
  }
}
