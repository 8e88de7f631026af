// An OpenID provider on loopback that issues access tokens as JWTs. Each line on stdin adds a signing
// key; older keys stay published. Prints its issuer, and `rotated KID` after each rotation.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const AUDIENCE = "coins";
const KINDS = [
  ["RS256", () => generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ["ES256", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
];

const keys = [];
let issuer;
let provider;

// `oidc-provider` reads its keys once, so a rotation creates a new provider on the same server.
function rotate() {
  const [alg, make] = KINDS[keys.length % KINDS.length];
  const key = { ...make().privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg };
  keys.unshift(key);
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{ client_id: "job", client_secret: "job-secret-job-secret-job-secret", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }],
    scopes: ["coins.read"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:coins",
        getResourceServerInfo: () => ({
          audience: AUDIENCE,
          scope: "coins.read",
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
          jwt: { sign: { alg, kid: key.kid } },
        }),
      },
    },
  });
  return key.kid;
}

// A function, so that requests after a rotation reach the new provider.
const server = createServer((request, response) => provider.callback()(request, response));
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  rotate();
  console.log(issuer);
});
const lines = createInterface({ input: process.stdin });
lines.on("line", () => console.log(`rotated ${rotate()}`));
lines.on("close", () => process.exit(0));
