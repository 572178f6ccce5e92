/** Lines of a plugin that the engine shows beside the resource they belong to. */
import grpc from "@grpc/grpc-js";
import type { EngineLog } from "./plugin.ts";

/**
 * A log that sends to the engine at `address`. The client is made at the first line, because most runs have
 * nothing to say; a line that cannot be delivered goes to standard error, which the engine also shows.
 */
export function engineLog(address: string | undefined): EngineLog {
  let send: EngineLog | undefined;
  return (severity, urn, message) => {
    if (address === undefined) return void console.error(message);
    send ??= connect(address);
    send(severity, urn, message);
  };
}

function connect(address: string): EngineLog {
  const ready = Promise.all([
    import("@pulumi/pulumi/proto/engine_pb.js"),
    import("@pulumi/pulumi/proto/engine_grpc_pb.js"),
  ]).then(([{ default: messages }, { default: service }]) => ({
    messages,
    client: new service.EngineClient(address, grpc.credentials.createInsecure()),
  }));
  return (severity, urn, message) => {
    ready
      .then(({ messages, client }) => {
        const level = messages.LogSeverity[severity.toUpperCase() as keyof typeof messages.LogSeverity];
        const request = new messages.LogRequest().setSeverity(level).setMessage(message).setUrn(urn);
        client.log(request, (error) => error && console.error(message));
      })
      .catch(() => console.error(message));
  };
}
