/** IAM role, its policy, the instance profile; and key pairs. */
import { flag, type Kind, policyDocument, scalar, text, wholeNumber } from "./kinds.ts";
import { iamName } from "./names.ts";
import { type ResourceSchema, regional, stable, tagged } from "./schema.ts";

const file = "lab/schema/identity.ts";
const path = text('a path such as "/" or "/barton/"', /^\/([!-~]+\/)?$/);

export const role: ResourceSchema = {
  type: "aws:iam/role:Role",
  file,
  inputs: {
    name: { is: iamName(64), change: "replace", autoNameLengthMax: 64 },
    assumeRolePolicy: { is: policyDocument, required: true, change: "update" },
    description: { is: text("text of at most 1000 characters", /^.{0,1000}$/s), change: "update" },
    path: { is: path, change: "replace", default: "/" },
    maxSessionDuration: { is: wholeNumber(3600, 43_200), change: "update", default: 3600 },
    forceDetachPolicies: { is: flag, change: "update", default: false },
    ...tagged,
  },
  outputs: { arn: stable, uniqueId: stable, createDate: stable },
};

export const rolePolicy: ResourceSchema = {
  type: "aws:iam/rolePolicy:RolePolicy",
  file,
  inputs: {
    name: { is: iamName(128), change: "replace", autoNameLengthMax: 128 },
    role: { is: iamName(64), required: true, change: "replace" },
    policy: { is: policyDocument, required: true, change: "update" },
  },
  outputs: {},
};

export const instanceProfile: ResourceSchema = {
  type: "aws:iam/instanceProfile:InstanceProfile",
  file,
  inputs: {
    name: { is: iamName(128), change: "replace", autoNameLengthMax: 128 },
    role: { is: iamName(64), change: "update" },
    path: { is: path, change: "replace", default: "/" },
    ...tagged,
  },
  outputs: { arn: stable, uniqueId: stable, createDate: stable },
};

/** EC2 takes RSA and ED25519 keys; the comment after the key is free. */
const publicKey: Kind = {
  ...scalar('an OpenSSH public key, "ssh-ed25519 AAAA…" or "ssh-rsa AAAA…"', (value) => {
    const [type = "", blob = ""] = typeof value === "string" ? value.trim().split(/\s+/) : [];
    const bytes = Buffer.from(blob, "base64");
    if (!["ssh-ed25519", "ssh-rsa"].includes(type) || bytes.length < 40) return false;
    // The blob begins with the length (4 bytes) and the name of the type.
    return bytes.subarray(4, 4 + type.length).toString() === type;
  }),
  same: (a, b) => (a as string).trim() === (b as string).trim(),
};

export const keyPair: ResourceSchema = {
  type: "aws:ec2/keyPair:KeyPair",
  file,
  inputs: {
    keyName: {
      is: text("a name of 1 to 255 characters", /^[ -~]{1,255}$/),
      change: "replace",
      autoNameLengthMax: 255,
    },
    publicKey: { is: publicKey, required: true, change: "replace" },
    ...tagged,
    ...regional,
  },
  outputs: { arn: stable, fingerprint: stable, keyPairId: stable, keyType: stable },
};
