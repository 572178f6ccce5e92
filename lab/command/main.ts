/** Entry point of the stand-in for the `command` plugin. The first argument is the address of the engine. */
import { flushCompileCache } from "node:module";
import { serve } from "../plugin/server.ts";
import { commandPlugin } from "./command-plugin.ts";

await serve(commandPlugin(), process.argv[2]);
// The engine kills its plugins, so Node would never get to save the code that it compiled (half of the start).
flushCompileCache();
