import { expect, test } from "vitest";
import { csvField, FORMATS } from "./formats.ts";

const ROWS = [
  { at: new Date("2026-01-02T03:04:05Z"), pnl: "-1.5", words: '=1+1, "so"', details: { a: 1 } },
  { at: null, pnl: "2", words: "-x", details: {} },
];

function written(extension: string): string {
  const format = FORMATS.find((each) => each.extension === extension);
  const rows = ROWS.map((row, index) => format?.row(row, index === 0));
  return [format?.begin(Object.keys(ROWS[0] ?? {})), ...rows, format?.end].join("");
}

test("JSON can be parsed, with and without rows", () => {
  expect(JSON.parse(written("json"))).toEqual(JSON.parse(JSON.stringify(ROWS)));
  const [format] = FORMATS;
  expect(JSON.parse(`${format?.begin([])}${format?.end}`)).toEqual([]);
});

test("CSV quotes what must be, and runs nothing in a spreadsheet", () => {
  expect(written("csv")).toBe(
    'at,pnl,words,details\r\n2026-01-02T03:04:05.000Z,-1.5,"\'=1+1, ""so""","{""a"":1}"\r\n,2,\'-x,{}\r\n',
  );
});

test.each(["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])(
  "text that begins with %j is no formula",
  (beginning) => {
    expect(csvField(`${beginning}cmd`)).toMatch(/^"?'/);
  },
);
