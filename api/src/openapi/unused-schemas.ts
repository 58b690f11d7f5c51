interface Described {
  readonly paths?: unknown;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

/** Leaves out the schemas that no route leads to: each named one is there as it goes in and as it comes out, whichever is needed. */
export function withoutUnusedSchemas<Document extends Described>(document: Document): Document {
  const { paths, components } = document;
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  function visit(part: unknown): void {
    for (const [, name = ""] of JSON.stringify(part).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(schemas[name]);
    }
  }
  visit(paths);
  const kept = Object.entries(schemas).filter(([name]) => used.has(name));
  return { ...document, components: { ...components, schemas: Object.fromEntries(kept) } };
}
