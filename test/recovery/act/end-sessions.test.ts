import { expect, test } from "vitest";
import { sessionsFrom } from "../../../recovery/act/end-sessions.ts";

const list = [
  "id=3 addr=10.42.1.21:40000 laddr=10.42.1.11:9001 fd=8 name= age=5 idle=5 flags=b db=0 cmd=blpop user=client",
  "id=4 addr=10.42.1.210:40001 laddr=10.42.1.11:9001 fd=9 name= age=5 idle=5 flags=b db=0 cmd=blpop user=client",
  "id=5 addr=10.42.2.22:40002 laddr=10.42.1.11:9001 fd=9 name=addr=10.42.1.21:1 age=5 idle=5 flags=N db=0 cmd=get",
  "id=16 addr=10.42.1.21:40003 laddr=10.42.1.11:9001 fd=9 name= age=5 idle=0 flags=P db=0 cmd=subscribe",
  "",
].join("\n");

test("sessions are found by the whole address, whatever they do", () => {
  expect(sessionsFrom(list, "10.42.1.21")).toEqual(["3", "16"]);
  expect(sessionsFrom(list, "10.42.1.2")).toEqual([]);
});
