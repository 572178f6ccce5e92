/**
 * Serves a `Plugin` to the Pulumi engine over gRPC.
 *
 * `provider.main` of `@pulumi/pulumi/provider` cannot be used. Its server drops the provider's configuration (`aws:region`,
 * `aws:defaultTags`), passes neither old inputs to `diff` nor the preview flag to `create`, and cannot return a detailed diff. The
 * messages are those of the same package. To load only them halves the start time, for which every `up` of a failover waits.
 */
import grpc from "@grpc/grpc-js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import providerService from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import provider from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { engineLog } from "./engine-log.ts";
import { type Failure, type Plugin, type PropertyChange, resourceOf } from "./plugin.ts";
import { decodeProperties, encodeProperties, type Properties } from "./values.ts";

/** User data and assets travel in messages, so gRPC's default of 4 MB is too small; the SDK uses the same limit. */
const messageBytesMax = 400 * 1024 * 1024;

type Struct = struct.Struct;
type Handler<Request, Response> = (request: Request) => Response | Promise<Response>;

/**
 * Starts the server on a free port of the loopback, prints the port (the engine reads it from standard output),
 * and ends the process when the engine is gone.
 */
export async function serve(implementation: Plugin, engineAddress: string | undefined): Promise<void> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": messageBytesMax,
  });
  server.addService(providerService.ResourceProviderService, methods(implementation, engineAddress));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  exitWithParent();
  console.log(String(port));
}

/** A pulumi that was killed cannot end its plugins: without this they would stay for ever. */
function exitWithParent(): void {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1);
  }, 1000).unref();
}

function methods(
  implementation: Plugin,
  engineAddress: string | undefined,
): grpc.UntypedServiceImplementation {
  let engine = engineAddress;
  const resource = resourceMethods(implementation);
  return {
    ...resource,
    checkConfig: unary((request: provider.CheckRequest) =>
      checkResponse(implementation.checkConfig(decoded(request.getNews()))),
    ),
    configure: unary((request: provider.ConfigureRequest) => {
      implementation.configure(decoded(request.getArgs()), engineLog(engine));
      return new provider.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true);
    }),
    attach: unary((request: plugin.PluginAttach) => {
      engine = request.getAddress();
      return new empty.Empty();
    }),
    getPluginInfo: unary(() => new plugin.PluginInfo().setVersion(implementation.version)),
    getSchema: unary(() => new provider.GetSchemaResponse().setSchema("{}")),
    cancel: unary(() => {
      implementation.cancel();
      return new empty.Empty();
    }),
    invoke: unary(async (request: provider.InvokeRequest) => {
      const values = await implementation.invoke(request.getTok(), decoded(request.getArgs()));
      return new provider.InvokeResponse().setReturn(encoded({ values, secrets: new Set() }));
    }),
  };
}

function resourceMethods(implementation: Plugin): grpc.UntypedServiceImplementation {
  return {
    check: unary((request: provider.CheckRequest) => {
      const olds = request.getOlds();
      const hasOlds = olds !== undefined && olds.getFieldsMap().getLength() > 0;
      return checkResponse(
        implementation.check(
          resourceOf(request.getUrn()),
          hasOlds ? decoded(olds) : undefined,
          decoded(request.getNews()),
          request.getRandomseed_asU8(),
        ),
      );
    }),
    diff: unary((request: provider.DiffRequest) =>
      diffResponse(
        implementation.diff(resourceOf(request.getUrn()), {
          oldInputs: decoded(request.getOldInputs() ?? request.getOlds()),
          oldState: decoded(request.getOlds()),
          news: decoded(request.getNews()),
          ignoreChanges: request.getIgnorechangesList(),
        }),
      ),
    ),
    create: unary(async (request: provider.CreateRequest) => {
      const { id, state } = await implementation.create(
        resourceOf(request.getUrn()),
        decoded(request.getProperties()),
        { preview: request.getPreview(), timeoutMs: milliseconds(request.getTimeout()) },
      );
      return new provider.CreateResponse().setId(id).setProperties(encoded(state));
    }),
    read: unary(async (request: provider.ReadRequest) => {
      const found = await implementation.read(resourceOf(request.getUrn()), request.getId(), {
        inputs: decoded(request.getInputs()),
        state: decoded(request.getProperties()),
      });
      // An empty id tells the engine that the resource is gone.
      if (!found) return new provider.ReadResponse().setId("");
      return new provider.ReadResponse()
        .setId(found.id)
        .setInputs(encoded(found.inputs))
        .setProperties(encoded(found.state));
    }),
    update: unary(async (request: provider.UpdateRequest) => {
      const state = await implementation.update(
        resourceOf(request.getUrn()),
        request.getId(),
        { inputs: decoded(request.getOldInputs()), state: decoded(request.getOlds()) },
        decoded(request.getNews()),
        { preview: request.getPreview(), timeoutMs: milliseconds(request.getTimeout()) },
      );
      return new provider.UpdateResponse().setProperties(encoded(state));
    }),
    delete: unary(async (request: provider.DeleteRequest) => {
      await implementation.delete(
        resourceOf(request.getUrn()),
        request.getId(),
        { inputs: decoded(request.getOldInputs()), state: decoded(request.getProperties()) },
        { timeoutMs: milliseconds(request.getTimeout()) },
      );
      return new empty.Empty();
    }),
  };
}

/** A handler whose error becomes the gRPC error; the engine shows its message beside the resource. */
function unary<Request, Response>(handler: Handler<Request, Response>) {
  return async (call: { request: Request }, callback: grpc.sendUnaryData<Response>): Promise<void> => {
    try {
      callback(null, await handler(call.request));
    } catch (error) {
      const details = error instanceof Error ? error.message : String(error);
      callback({ code: grpc.status.UNKNOWN, details });
    }
  };
}

function checkResponse({ inputs, failures }: { inputs: Properties; failures: Failure[] }) {
  return new provider.CheckResponse()
    .setInputs(encoded(inputs))
    .setFailuresList(
      failures.map(({ property, reason }) =>
        new provider.CheckFailure().setProperty(property).setReason(reason),
      ),
    );
}

function diffResponse(changes: PropertyChange[]): provider.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = provider.DiffResponse.DiffChanges;
  const response = new provider.DiffResponse()
    .setChanges(changes.length > 0 ? DIFF_SOME : DIFF_NONE)
    .setDiffsList([...new Set(changes.map(({ path }) => topLevel(path)))])
    .setReplacesList([...new Set(changes.filter(({ replace }) => replace).map(({ path }) => topLevel(path)))])
    .setHasdetaileddiff(true);
  for (const { path, kind, replace, isOutput } of changes) {
    const name =
      `${kind}${replace ? "_REPLACE" : ""}`.toUpperCase() as keyof typeof provider.PropertyDiff.Kind;
    response
      .getDetaileddiffMap()
      .set(
        path,
        new provider.PropertyDiff().setKind(provider.PropertyDiff.Kind[name]).setInputdiff(!isOutput),
      );
  }
  return response;
}

function topLevel(path: string): string {
  return /^[^.[]+/.exec(path)?.[0] ?? path;
}

function decoded(wire: Struct | undefined): Properties {
  return decodeProperties(wire?.toJavaScript());
}

function encoded(properties: Properties): Struct {
  return struct.Struct.fromJavaScript(encodeProperties(properties) as Record<string, struct.JavaScriptValue>);
}

/** The engine sends seconds; 0 means that the program set no limit. */
function milliseconds(seconds: number): number | undefined {
  return seconds > 0 ? Math.ceil(seconds * 1000) : undefined;
}
