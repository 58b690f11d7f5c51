import { expect, test } from "vitest";
import { parseObject } from "./parse-object.ts";

const record = [
  {
    manager: "kubectl",
    operation: "Update",
    fieldsV1: { "f:spec": { 'k:{"type":"Ready"}': { ".": {}, "f:status": {} } } },
  },
  { manager: "tradingbots", operation: "Update", fieldsV1: { "f:status": {} } },
];
const pod = (metadata: object, rest: object = {}) => ({
  kind: "Pod",
  metadata: { name: "a", ...metadata },
  ...rest,
});
const cases: Record<string, readonly [given: unknown, parsed: unknown]> = {
  "an object's record is left out": [
    pod({ managedFields: record, uid: "u" }, { spec: { nodeName: "n" } }),
    pod({ uid: "u" }, { spec: { nodeName: "n" } }),
  ],
  "a watch event's too": [
    { type: "ADDED", object: pod({ managedFields: record }) },
    { type: "ADDED", object: pod({}) },
  ],
  "an object without one is as it is": [pod({}), pod({})],
  "an empty one too": [pod({ managedFields: [] }), pod({})],
  "a bracket in one of its texts: the object is whole": same(
    pod({ managedFields: [{ fieldsV1: { 'v:"a]b"': {} } }, ...record] }),
  ),
  "and in the name of a manager": same(pod({ managedFields: [{ manager: '}],"x":[{' }] })),
  "a list in a record: the object is whole": same(pod({ managedFields: [{ later: [1, [2]] }] })),
  "a field of this name elsewhere is kept": same(
    pod({}, { spec: { params: { managedFields: [{ a: 1 }] } } }),
  ),
  "also before the record": same({
    data: { managedFields: [{ a: 1 }] },
    ...pod({ managedFields: record }),
  }),
  "a text that looks like one is a text": [
    pod({ annotations: { last: JSON.stringify(pod({ managedFields: record })) } }),
    pod({ annotations: { last: JSON.stringify(pod({ managedFields: record })) } }),
  ],
  "a list is whole": same({ kind: "PodList", items: [pod({ managedFields: record })] }),
  "what is no object": same([1, "managedFields"]),
};

function same(value: unknown): readonly [unknown, unknown] {
  return [value, value];
}

test.each(Object.entries(cases))("%s", (_name, [given, parsed]) => {
  expect(parseObject(JSON.stringify(given))).toStrictEqual(parsed);
});

test("half an object is refused, wherever it ends", () => {
  const text = JSON.stringify(pod({ managedFields: record }, { spec: {} }));
  for (let end = 0; end < text.length; end++) {
    expect(() => parseObject(text.slice(0, end))).toThrow(SyntaxError);
  }
});
