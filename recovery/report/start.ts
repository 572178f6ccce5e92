/** Starts the metrics page and the notifications. Recovery works without them; a mistake in their settings is only a warning. */
import type { Server } from "node:http";
import { systemClock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Reconciler } from "../loop/reconciler.ts";
import type { Settings } from "../settings.ts";
import { readKept } from "../storage/files.ts";
import { Counters, metricsPage } from "./metrics.ts";
import { holdsFile, holdsSchema, Notifier } from "./notify.ts";
import { metricsPortFrom, serveMetrics } from "./serve-metrics.ts";
import { checkWebhookUrl, queueFile, queueSchema, Webhook, type WebhookOptions } from "./webhook.ts";

/** Begins to tell. @returns the server of the metrics, if there is one. */
export async function report(
  reconciler: Reconciler,
  { reporting, stack, stateDir }: Pick<Settings, "reporting" | "stack" | "stateDir">,
  log: Log,
  signal?: AbortSignal,
): Promise<Server | undefined> {
  try {
    if (reporting.webhookUrl) {
      const url = checkWebhookUrl(reporting.webhookUrl);
      await notifyBy({ url, stateDir, stack, log, signal }, reconciler);
    }
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

async function notifyBy(
  settings: Pick<WebhookOptions, "url" | "log" | "signal"> & { stack: string; stateDir: string },
  reconciler: Reconciler,
): Promise<void> {
  const clock = systemClock;
  const { files } = reconciler;
  const { stack, stateDir, ...others } = settings;
  const path = queueFile(stateDir);
  const saved = await readKept(files, path, queueSchema, settings.log);
  const webhook = new Webhook({ ...others, path, clock, files, saved });
  reconciler.showNotifications(() => webhook.view);
  const notifier = new Notifier({
    send: (notification) => webhook.send(notification),
    clock,
    stack,
    saved: await readKept(files, holdsFile(stateDir), holdsSchema, settings.log),
    save: (holds) => files.write(holdsFile(stateDir), holds),
  });
  reconciler.journal.watch(notifier.take);
  reconciler.watch(notifier.takeDecisions);
  reconciler.bugs.watch(notifier.takeBug);
}

function measure(reconciler: Reconciler, port: number, log: Log): Promise<Server | undefined> {
  const counters = new Counters();
  reconciler.journal.watch(counters.take);
  return serveMetrics(port, () => metricsPage(counters, reconciler.gauges()), log);
}
