/** The tables of situations of app and of monit. They hold no data, and no counterpart waits for them. */
import {
  type AppView,
  isAppDoubted,
  isAppLost,
  isAppStarting,
  isAppUnseen,
  isMonitOff,
  type MonitView,
  troubleOfApp,
  whyAppLost,
} from "../rules/app.ts";
import { isMachineCondemned, stopMonitoring, whyCondemned } from "../rules/condemn.ts";
import { nothingToDo, otherwise, type Row } from "./table.ts";

export const appSituations = [
  {
    situation: "condemned",
    meaning: "The machine is condemned. Recovery replaces it (see the table of the replacement).",
    operator: nothingToDo,
    when: isMachineCondemned,
    because: (view) => `${view.machine} is condemned: ${whyCondemned(view)}`,
    about: ({ machine }) => machine,
  },
  {
    situation: "lost",
    opens: true,
    meaning:
      "The cloud says that the machine does not run, or its failover was ordered, or it is silent to monit and to every proxy that can tell. Recovery condemns it.",
    operator: nothingToDo,
    when: isAppLost,
    steps: (view) => [stopMonitoring(view.known, view.machine, String(whyAppLost(view)))],
    because: (view) => `${whyAppLost(view)}: ${view.machine} is condemned`,
    about: ({ machine }) => machine,
  },
  {
    situation: "starting",
    meaning: "The machine is new: its proxy has not answered yet.",
    operator: nothingToDo,
    when: isAppStarting,
    because: ({ machine }) => `${machine} has not answered yet`,
    about: ({ machine }) => machine,
  },
  {
    situation: "unseen",
    holds: true,
    opens: true,
    meaning:
      "Monit has not reached the machine for `graceMs`, but a proxy hears it, or no proxy can tell, or only its proxy process is gone or hangs. The clients on it may be well, so recovery does not replace it.",
    operator: "Look at app; if it is lost, run `failover app` on monit.",
    when: isAppUnseen,
    because: (view) =>
      `${troubleOfApp(view)}: it is kept; if it is lost, run "failover ${view.machine}" on monit`,
    about: ({ machine }) => machine,
  },
  {
    situation: "doubt",
    meaning: "The machine does not answer monit. There is no verdict.",
    operator: nothingToDo,
    when: isAppDoubted,
    because: (view) => `${troubleOfApp(view)}, which is no verdict yet`,
  },
  {
    situation: "present",
    settled: true,
    meaning: "The machine answers, and runs as far as the cloud says.",
    operator: nothingToDo,
    when: otherwise,
    because: ({ machine }) => `${machine} is present`,
  },
] as const satisfies readonly Row<AppView>[];

/** Recovery runs on monit, so it cannot see its own machine fail: the auto scaling group does (infra/monit-group.ts). */
export const monitSituations = [
  {
    situation: "off",
    holds: true,
    meaning:
      "The cloud says that the machine of this monitor does not run: its group ends the instance, or a person did. The group launches another one.",
    operator: "If no other monit comes up within minutes, look at the activities of its auto scaling group.",
    when: isMonitOff,
    because: ({ machine, facts }) =>
      `${machine} is ${facts.cloud}, says the cloud: its auto scaling group launches another one`,
  },
  {
    situation: "present",
    settled: true,
    meaning: "The machine runs, as far as the cloud says.",
    operator: nothingToDo,
    when: otherwise,
    because: ({ machine }) => `${machine} is present`,
  },
] as const satisfies readonly Row<MonitView>[];
