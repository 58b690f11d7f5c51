type Row = Readonly<Record<string, unknown>>;

/** Writes rows as one format, piece by piece. */
export interface Format {
  readonly extension: "json" | "csv";
  readonly begin: (columns: readonly string[]) => string;
  /** `isFirst`: nothing but the beginning stands before it. */
  readonly row: (row: Row, isFirst: boolean) => string;
  readonly end: string;
}

/** An array with one object a line. */
const json: Format = {
  extension: "json",
  begin: () => "[",
  row: (row, isFirst) => `${isFirst ? "\n" : ",\n"}${JSON.stringify(row)}`,
  end: "\n]\n",
};

/** RFC 4180. */
const csv: Format = {
  extension: "csv",
  begin: (columns) => `${columns.map(csvField).join(",")}\r\n`,
  row: (row) => `${Object.values(row).map(csvField).join(",")}\r\n`,
  end: "",
};

export const FORMATS: readonly Format[] = [json, csv];

/**
 * A field by RFC 4180. Text that a spreadsheet would take for a formula gets an apostrophe, by OWASP's list of its beginnings; numbers may
 * begin with a sign.
 */
export function csvField(value: unknown): string {
  const text = textOf(value);
  const isFormula = /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text);
  const safe = isFormula ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? value : JSON.stringify(value);
}
