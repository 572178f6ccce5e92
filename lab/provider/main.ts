/** Entry point of the lab's provider plugin for `aws`. The first argument is the address of the engine. */
import { flushCompileCache } from "node:module";
import { serve } from "../plugin/server.ts";
import { awsPlugin } from "./aws-plugin.ts";

await serve(awsPlugin(process.env), process.argv[2]);
// The engine kills its plugins, so Node would never get to save the code that it compiled (half of the start).
flushCompileCache();
