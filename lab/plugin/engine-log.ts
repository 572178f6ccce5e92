/** Log lines of a plugin. The engine shows them beside the resource that they belong to. */
import grpc from "@grpc/grpc-js";
import type { EngineLog } from "./plugin.ts";

type Send = (...line: Parameters<EngineLog>) => Promise<void>;

/**
 * A log that sends to the engine at `address`, one line after the other. The client is made at the first line,
 * because most runs have nothing to say; a line that cannot be delivered goes to standard error, which the engine
 * also shows.
 */
export function engineLog(address: string | undefined): EngineLog {
  if (address === undefined) return async (_severity, _urn, message) => console.error(message);
  let connected: Promise<Send> | undefined;
  let last: Promise<void> = Promise.resolve();
  return (...line) => {
    connected ??= connect(address);
    const send = connected;
    last = last.then(async () => (await send)(...line)).catch(() => console.error(line[2]));
    return last;
  };
}

async function connect(address: string): Promise<Send> {
  const [{ default: messages }, { default: service }] = await Promise.all([
    import("@pulumi/pulumi/proto/engine_pb.js"),
    import("@pulumi/pulumi/proto/engine_grpc_pb.js"),
  ]);
  const client = new service.EngineClient(address, grpc.credentials.createInsecure());
  return (severity, urn, message, { isTransient = false } = {}) => {
    const level = messages.LogSeverity[severity.toUpperCase() as keyof typeof messages.LogSeverity];
    const request = new messages.LogRequest();
    request.setSeverity(level).setMessage(message).setUrn(urn).setEphemeral(isTransient);
    return new Promise((resolve, reject) => {
      client.log(request, (error) => (error ? reject(error) : resolve()));
    });
  };
}
