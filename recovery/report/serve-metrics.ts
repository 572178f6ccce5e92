/** The page for Prometheus: `GET /metrics`, read only. If its port cannot be opened, recovery works without it. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { Log } from "../log.ts";

/** Where the page is unless a setting says otherwise; the firewall opens this one (infra/firewall.ts). */
export const defaultMetricsPort = 9464;

/**
 * The port that a setting names; the default one when it names none.
 *
 * @throws when it is no port, with the setting and an example.
 */
export function metricsPortFrom(text: string | undefined): number {
  if (text === undefined || text === "") return defaultMetricsPort;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`BARTON_METRICS_PORT is "${text}"; expected a port, for example 9464, or 0 for none`);
}

/** Begins to listen on all addresses; undefined (and a warning) when the port cannot be had, or is 0. */
export async function serveMetrics(port: number, page: () => string, log: Log): Promise<Server | undefined> {
  if (port === 0) return undefined;
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404).end("see /metrics\n");
      return;
    }
    try {
      const text = page();
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
    } catch (error) {
      response.writeHead(500).end(`${(error as Error).message}\n`);
    }
  });
  server.requestTimeout = 5_000;
  server.maxConnections = 16;
  server.listen(port);
  try {
    await once(server, "listening");
    return server;
  } catch (error) {
    log.warn(`no metrics on port ${port}: ${(error as Error).message}`);
    return undefined;
  }
}
