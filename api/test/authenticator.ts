import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { z } from "zod";

/** How a device is used. */
interface Use {
  readonly origin: string;
  /** False for a device that asks for no finger, face or PIN. */
  readonly verifiesUser?: boolean;
}

/** What a device with passkeys does, as WebAuthn level 3 says it: ES256, no attestation. */
interface AuthenticatorOptions extends Use {
  /** Of the credential id: phones have 16 to 32, some security keys hundreds. */
  readonly idBytes?: number;
}

const Creation = z.object({
  challenge: z.string(),
  rp: z.object({ id: z.string() }),
  user: z.object({ id: z.string() }),
});
const Request = z.object({ challenge: z.string(), rpId: z.string() });

const [PRESENT, VERIFIED, ATTESTED] = [0x01, 0x04, 0x40];

const clientData = (type: string, challenge: string, { origin }: Use) =>
  Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));

export function createAuthenticator({ idBytes = 16, ...usual }: AuthenticatorOptions) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const id = randomBytes(idBytes);
  let counter = 0;
  let userHandle = "";

  function authenticatorData(
    rpId: string,
    { verifiesUser = true }: Use,
    attested = Buffer.alloc(0),
  ): Buffer {
    const head = Buffer.alloc(5);
    const flags = PRESENT | (verifiesUser ? VERIFIED : 0) | (attested.length > 0 ? ATTESTED : 0);
    head.writeUInt8(flags, 0);
    head.writeUInt32BE(counter, 1);
    return Buffer.concat([createHash("sha256").update(rpId).digest(), head, attested]);
  }

  const credential = (response: object) => ({
    id: id.toString("base64url"),
    rawId: id.toString("base64url"),
    type: "public-key",
    response,
  });

  return {
    id: id.toString("base64url"),
    /** `navigator.credentials.create` */
    create: (options: unknown) => {
      const { challenge, rp, user } = Creation.parse(options);
      userHandle = user.id;
      const { x = "", y = "" } = publicKey.export({ format: "jwk" });
      const cose = cborMap([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, "base64url")],
        [-3, Buffer.from(y, "base64url")],
      ]);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(id.length);
      const attested = Buffer.concat([Buffer.alloc(16), length, id, cose]);
      const attestation = cborMap([
        ["fmt", "none"],
        ["attStmt", EMPTY],
        ["authData", authenticatorData(rp.id, usual, attested)],
      ]);
      return credential({
        clientDataJSON: clientData("webauthn.create", challenge, usual).toString("base64url"),
        attestationObject: attestation.toString("base64url"),
        transports: ["internal"],
      });
    },
    /** `navigator.credentials.get` */
    get: (options: unknown, use: Use = usual) => {
      const { challenge, rpId } = Request.parse(options);
      counter += 1;
      const data = authenticatorData(rpId, use);
      const client = clientData("webauthn.get", challenge, use);
      const signed = Buffer.concat([data, createHash("sha256").update(client).digest()]);
      return credential({
        clientDataJSON: client.toString("base64url"),
        authenticatorData: data.toString("base64url"),
        signature: sign("sha256", signed, privateKey).toString("base64url"),
        userHandle,
      });
    },
    /** As a copy of the device would be that missed the last answers. */
    rewind: (answers: number) => void (counter -= answers),
  };
}

/** An empty map. */
const EMPTY = Symbol("empty");
type Cbor = number | string | Buffer | typeof EMPTY;

/** RFC 8949, as much of it as keys and attestations need. */
function cborMap(entries: readonly (readonly [Cbor, Cbor])[]): Buffer {
  return Buffer.concat([cborHead(5, entries.length), ...entries.flat().map(cbor)]);
}

function cbor(value: Cbor): Buffer {
  if (typeof value === "number") return value < 0 ? cborHead(1, -1 - value) : cborHead(0, value);
  if (typeof value === "symbol") return cborHead(5, 0);
  const bytes = Buffer.from(value);
  return Buffer.concat([cborHead(typeof value === "string" ? 3 : 2, bytes.length), bytes]);
}

function cborHead(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  if (value < 256) return Buffer.from([(major << 5) | 24, value]);
  return Buffer.from([(major << 5) | 25, value >> 8, value & 0xff]);
}
