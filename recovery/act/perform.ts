/** Calls the function that carries out a step. */
import type { Step } from "../decide/steps.ts";
import { drain } from "./drain.ts";
import { endScript } from "./end-script.ts";
import { endSessions } from "./end-sessions.ts";
import { fence } from "./fence.ts";
import { pauseWrites, resumeWrites } from "./paused-writes.ts";
import { promote, writeEpoch } from "./promote.ts";
import {
  copyConfiguration,
  drainProxy,
  registerProxy,
  reloadProxy,
  reopen,
  setServers,
  unregisterProxy,
} from "./proxies.ts";
import { cut, release } from "./release.ts";
import {
  checkProgram,
  launch,
  powerOff,
  stopMonitoring,
  taint,
  takeBack,
  untaint,
  updateRecord,
} from "./replace.ts";
import { catchUp, follow } from "./replicate.ts";
import type { World } from "./world.ts";

/** Does one step. @throws when it failed; whatever it did before is observed by the next cycle. */
export function perform(world: World, step: Step): Promise<void> {
  switch (step.do) {
    case "drain":
      return drain(world, step);
    case "fence":
      return fence(world, step);
    case "pause writes":
      return pauseWrites(world, step);
    case "resume writes":
      return resumeWrites(world, step);
    case "catch up":
      return catchUp(world, step);
    case "promote":
      return promote(world, step);
    case "release":
      return release(world, step);
    case "cut":
      return cut(world, step);
    case "follow":
      return follow(world, step);
    case "write epoch":
      return writeEpoch(world, step);
    case "end script":
      return endScript(world, step);
    case "end sessions":
      return endSessions(world, step);
    case "set servers":
      return setServers(world, step);
    case "reopen":
      return reopen(world, step);
    case "reload proxy":
      return reloadProxy(world, step);
    case "copy configuration":
      return copyConfiguration(world, step);
    case "register proxy":
      return registerProxy(world, step);
    case "drain proxy":
      return drainProxy(world, step);
    case "unregister proxy":
      return unregisterProxy(world, step);
    case "stop monitoring":
      return stopMonitoring(world, step);
    case "take back":
      return takeBack(world, step);
    case "check program":
      return checkProgram(world, step);
    case "taint":
      return taint(world, step);
    case "untaint":
      return untaint(world, step);
    case "power off":
      return powerOff(world, step);
    case "launch":
      return launch(world, step);
    case "update record":
      return updateRecord(world, step);
  }
}
