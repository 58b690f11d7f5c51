/** A marked secret: what it is called, and what it is. */
export interface Canary {
  readonly name: string;
  readonly secret: string | Buffer;
}

const GRAM_BYTES = 4;

/** Everything that a secret may have become on its way into a file. */
function formsOf(secret: string | Buffer): readonly Buffer[] {
  const bytes = Buffer.isBuffer(secret) ? secret : Buffer.from(secret);
  const hex = bytes.toString("hex");
  const written = Buffer.isBuffer(secret)
    ? []
    : [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)];
  const texts = [hex, hex.toUpperCase(), ...written, ...base64FormsOf(bytes)];
  const wide = Buffer.isBuffer(secret) ? [] : [Buffer.from(secret, "utf16le")];
  const forms = [bytes, ...wide, ...texts.map((text) => Buffer.from(text))];
  return forms.filter((form, index) => forms.findIndex((each) => each.equals(form)) === index);
}

/** Base64 depends on where in a text the secret begins: three ways, without the characters that its neighbours share. */
function base64FormsOf(bytes: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((offset) => {
    const bits = 8 * (offset + bytes.length);
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const own = padded.slice(Math.ceil((8 * offset) / 6), Math.floor(bits / 6));
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

/** Answers a function that tells which of the secrets are in a haystack, in whatever form. */
export function createSearch(canaries: readonly Canary[]) {
  const forms = canaries.flatMap(({ name, secret }) =>
    formsOf(secret).map((form) => ({ name, form })),
  );
  const short = forms.find(({ form }) => form.length < 2 * GRAM_BYTES);
  if (short !== undefined) throw new Error(`${short.name} is too short to be told from noise`);
  // A look at every byte for hundreds of words at once: most positions begin none of them.
  const beginnings = new Map<number, typeof forms>();
  const mayBegin = new Uint8Array(1 << 16);
  for (const each of forms) {
    const gram = each.form.readUInt32LE();
    beginnings.set(gram, [...(beginnings.get(gram) ?? []), each]);
    mayBegin[gram & 0xff_ff] = 1;
  }

  return (haystack: Buffer): ReadonlySet<string> => {
    const found = new Set<string>();
    for (let at = 0; at + GRAM_BYTES <= haystack.length; at++) {
      const pair = (haystack[at] ?? 0) | ((haystack[at + 1] ?? 0) << 8);
      if (mayBegin[pair] === 0) continue;
      for (const { name, form } of beginnings.get(haystack.readUInt32LE(at)) ?? []) {
        if (haystack.subarray(at, at + form.length).equals(form)) found.add(name);
      }
    }
    return found;
  };
}
