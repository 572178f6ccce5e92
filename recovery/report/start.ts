/** Starts the metrics page and the notifications. Recovery works without them; a mistake in their settings is only a warning. */
import type { Server } from "node:http";
import { systemClock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import type { Settings } from "../settings.ts";
import { Counters, metricsPage } from "./metrics.ts";
import { Notifier } from "./notify.ts";
import { metricsPortFrom, serveMetrics } from "./serve-metrics.ts";
import { checkWebhookUrl, Webhook } from "./webhook.ts";

/** Begins to tell. @returns the server of the metrics, if there is one. */
export async function report(
  reconciler: Reconciler,
  { reporting, stack }: Pick<Settings, "reporting" | "stack">,
  log: Log,
): Promise<Server | undefined> {
  try {
    if (reporting.webhookUrl) notifyBy(checkWebhookUrl(reporting.webhookUrl), reconciler, stack, log);
  } catch (error) {
    log.warn(`no notifications: ${(error as Error).message}`);
  }
  try {
    return await measure(reconciler, metricsPortFrom(reporting.metricsPort), log);
  } catch (error) {
    log.warn(`no metrics: ${(error as Error).message}`);
    return undefined;
  }
}

function notifyBy(url: string, reconciler: Reconciler, stack: string, log: Log): void {
  const clock = systemClock;
  const webhook = new Webhook({ url, clock, log });
  const notifier = new Notifier({ send: (notification) => webhook.send(notification), clock, stack });
  reconciler.journal.watch(notifier.take);
  reconciler.watch(notifier.takeDecisions);
  reconciler.bugs.watch(notifier.takeBug);
}

function measure(reconciler: Reconciler, port: number, log: Log): Promise<Server | undefined> {
  const counters = new Counters();
  reconciler.journal.watch(counters.take);
  return serveMetrics(port, () => metricsPage(counters, reconciler.gauges()), log);
}
